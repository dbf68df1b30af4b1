# SPDX-License-Identifier: Apache-2.0
"""What is put right in a Windows guest: every concern asked in turn, and what is left for its first boot."""

from collections.abc import Sequence
from pathlib import Path

from v2x.convert.interface import Adapter, Conversion, GuestWishes, Inspection, Proposal, Refusal, Remark
from v2x.convert.linux import joined
from v2x.convert.windows.bitlocker import Protection, judged
from v2x.convert.windows.clock import hardware_clock
from v2x.convert.windows.drives import letters
from v2x.convert.windows.findings import notes
from v2x.convert.windows.firstboot import FirstBoot, first_boot
from v2x.convert.windows.hibernation import fast_startup, sleeps, unclean
from v2x.convert.windows.inspect import facts_of, hive_paths, inspection_of
from v2x.convert.windows.network import old_adapters, static_interfaces
from v2x.convert.windows.products import VMWARE_TOOLS, has_pv_drivers, product_codes
from v2x.convert.windows.services import boot_drivers, old_services
from v2x.convert.windows.view import Hives, WindowsConcern, WindowsDisk, WindowsFacts, WindowsView

CONCERNS: tuple[WindowsConcern, ...] = (boot_drivers, old_services, hardware_clock, fast_startup, notes)
_OLDEST = (6, 0)
_OLDEST_DRIVERS_BUILD = 14393
"""Windows 10 1607 and Server 2016: the oldest that the PV drivers of XCP-ng are made for, on x64 only."""


def plan_windows(
    disk: WindowsDisk,
    *,
    adapters: Sequence[Adapter] = (),
    wishes: GuestWishes | None = None,
    clock_offset_seconds: int | None = None,
    volumes: Sequence[tuple[Protection, bool]] = (),
    dynamic_disks: int = 0,
    unclean_volume: bool = False,
    cleaned: str | None = None,
) -> tuple[Conversion, Hives] | None:
    """All that is intended for a guest, and its registry; None for what is no Windows.

    `volumes` are those that BitLocker protects, each with whether it was opened. `cleaned` is the file with a
    hibernated state that is, or was already, thrown away. A guest that is refused gets the
    refusal only: its registry cannot be relied on.
    """
    located = hive_paths(disk)
    if located is None:
        return None
    root, paths = located
    hives = Hives(disk, paths)
    wishes = wishes or GuestWishes()
    locked = protected(volumes, wishes)
    asleep = sleeps(disk, cleaned)
    stopped = Proposal() if asleep.refusals else unclean(disk, paths, volume=unclean_volume)
    facts = None if stopped.refusals else facts_of(root, hives)
    if facts is None or locked.refusals or asleep.refusals or facts.version < _OLDEST:
        inspection = inspection_of(facts) if facts else Inspection(os="windows", distro="windows")
        left = _left(facts) if not (locked.refusals or asleep.refusals or stopped.refusals) else Proposal()
        return Conversion(inspection=inspection, proposal=joined((locked, asleep, stopped, left))), hives
    view = WindowsView(
        disk=disk,
        registry=hives,
        facts=facts,
        adapters=tuple(adapters),
        wishes=wishes,
        clock_offset_seconds=clock_offset_seconds,
        dynamic_disks=dynamic_disks,
    )
    rearm = any(volume.suspended for volume, _ in volumes) or (bool(volumes) and wishes.bitlocker_suspended)
    parts = [locked, asleep, *(concern(view) for concern in CONCERNS), _first_boot(view, rearm=rearm)]
    return Conversion(inspection=inspection_of(facts), proposal=joined(parts)), hives


def _left(facts: WindowsFacts | None) -> Proposal:
    if facts is None:
        text = "the registry does not say which control set boots"
    elif facts.version == (0, 0):
        text = "the registry does not say which Windows this is"
    else:
        text = "this Windows is older than Vista"
    return Proposal(remarks=(Remark(text=text, remedy="it is copied as it is"),))


def protected(volumes: Sequence[tuple[Protection, bool]], wishes: GuestWishes) -> Proposal:
    """What is said of encrypted volumes, and whether the guest is refused for one of them."""
    told = [judged(volume, unlocked=opened, confirmed=wishes.bitlocker_suspended) for volume, opened in volumes]
    return Proposal(
        remarks=tuple(one for one in told if isinstance(one, Remark)),
        refusals=tuple(one for one in told if isinstance(one, Refusal)),
    )


def _first_boot(view: WindowsView, *, rearm: bool) -> Proposal:
    if not view.facts.runs_scripts:
        remark = Remark(
            text="this Windows has no PowerShell of its own, so nothing is left for its first boot",
            remedy="set addresses, remove VMware Tools and install drivers by hand",
        )
        return Proposal(remarks=(remark,))
    network, remarks = static_interfaces(view)
    drivers, note = _drivers(view)
    todo = FirstBoot(
        uninstall=tuple(product_codes(view, VMWARE_TOOLS)),
        drivers=drivers,
        ghosts=tuple(old_adapters(view)),
        network=tuple(network),
        letters=tuple(letters(view)),
        rearm_bitlocker=rearm,
    )
    return joined((Proposal(remarks=(*remarks, *note)), first_boot(view, todo)))


def _drivers(view: WindowsView) -> tuple[Path | None, tuple[Remark, ...]]:
    """The file to be installed, where there is one and this Windows can have it."""
    new_enough = view.facts.build >= _OLDEST_DRIVERS_BUILD and view.facts.architecture.upper() == "AMD64"
    if not new_enough:
        remark = Remark(
            text="XCP-ng's PV drivers are for Windows 10 1607, Server 2016 and later on x64 only",
            remedy="it runs on emulated devices: at most 4 disks, 4 adapters, and no live migration",
        )
        return None, (remark,)
    if view.wishes.windows_drivers is not None:
        return view.wishes.windows_drivers, ()
    if has_pv_drivers(view):
        return None, ()
    remark = Remark(
        text="no PV drivers are installed at the first boot",
        remedy="give their installer with --windows-drivers FILE.msi, or install them in the guest",
    )
    return None, (remark,)
