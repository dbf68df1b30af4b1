# SPDX-License-Identifier: Apache-2.0
"""What is put right in a Linux guest: every concern asked in turn, and their answers in one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

from v2x.convert.agent import guest_agent
from v2x.convert.boot_loader import command_lines
from v2x.convert.clock import clocks
from v2x.convert.efi import fallback_loader
from v2x.convert.fstab import device_tables
from v2x.convert.guest_tools import old_tools
from v2x.convert.initramfs import boot_drivers
from v2x.convert.inspect import inspect
from v2x.convert.interface import (
    Adapter,
    Concern,
    Conversion,
    Edit,
    Facts,
    GuestFiles,
    GuestWishes,
    Inspection,
    Proposal,
    Remark,
)
from v2x.convert.modprobe import driver_aliases
from v2x.convert.network import cloud_init, interface_names

CONCERNS: tuple[Concern, ...] = (
    device_tables,
    command_lines,
    interface_names,
    cloud_init,
    old_tools,
    clocks,
    driver_aliases,
    boot_drivers,  # after the files that are copied into the initial RAM disk
    fallback_loader,
    guest_agent,
)
_RELABEL = "/.autorelabel"


def plan_linux(
    files: GuestFiles,
    *,
    stable_names: Mapping[str, str] | None = None,
    adapters: Sequence[Adapter] = (),
    clock_offset_seconds: int | None = None,
    wishes: GuestWishes | None = None,
) -> Conversion:
    """All that is intended for a guest; an unknown one passes through untouched, with a remark.

    `stable_names` leads from a device as the guest names it (`/dev/sda1`) to a lasting name (`UUID=…`); the rest is as
    in `Facts`. InputRefused if the guest's files are not what configuration files can be.
    """
    inspection = inspect(files)
    if inspection.os != "linux":
        remark = Remark(text="this is no Linux guest that v2x knows", remedy="it is copied as it is")
        return Conversion(inspection=inspection, proposal=Proposal(remarks=(remark,)))
    facts = Facts(
        inspection=inspection,
        stable_names=stable_names or {},
        adapters=tuple(adapters),
        clock_offset_seconds=clock_offset_seconds,
        wishes=wishes or GuestWishes(),
    )
    whole = joined(concern(files, facts) for concern in CONCERNS)
    extra = Proposal(edits=_relabelled(files, inspection, whole), remarks=tuple(_notes(inspection)))
    return Conversion(inspection=inspection, proposal=joined((whole, extra)))


def joined(proposals: Iterable[Proposal]) -> Proposal:
    """Several proposals as one, each part in its order."""
    found = list(proposals)
    return Proposal(
        **{
            part.name: tuple(one for proposal in found for one in getattr(proposal, part.name))
            for part in fields(Proposal)
        }
    )


def _relabelled(files: GuestFiles, inspection: Inspection, done: Proposal) -> tuple[Edit, ...]:
    """What was written from outside has no SELinux label; the guest gives them all anew at its next boot."""
    if not inspection.selinux or not done.edits or files.exists(_RELABEL):
        return ()
    return (Edit(path=_RELABEL, before=None, after="", why="files written from outside have no SELinux label"),)


def _notes(inspection: Inspection) -> Iterable[Remark]:
    if inspection.zfs:
        yield Remark(
            text="the guest is set up for ZFS",
            remedy="if a pool does not come up by itself, import it once with zpool import -f",
        )
    if inspection.efi and not inspection.root_device:
        yield Remark(text="no root file system stands in fstab", remedy="see that the machine finds it by itself")
