# SPDX-License-Identifier: Apache-2.0
"""A look into a machine's guest before anything is done: what its conversion would change. Nothing is written."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from v2x.convert.guest import plan_guest
from v2x.convert.interface import Adapter, Conversion, Remark
from v2x.disks.interface import DiskReader
from v2x.migrate.backup_wait import once_free
from v2x.migrate.power import refuse_running
from v2x.model.machine import Disk, Machine
from v2x.model.plan import Running
from v2x.model.target import TargetMachine

if TYPE_CHECKING:
    from v2x.migrate.work import Work


def look_into(work: "Work") -> Conversion:
    """What the guest of the work's machine needs changed, read from its disks at the source.

    A machine that runs is refused, unless its row has a snapshot of it copied: then one is made and removed again,
    under a tag of its own, so that a migration that was begun keeps its own. Raises as the source's
    reader and `plan_guest`.
    """
    if work.running is not Running.SNAPSHOT:
        work = replace(work, running=Running.REFUSE)
    refuse_running(work)
    tag = f"{work.tag}-look"
    at = once_free(work, lambda: work.source.checkpoint(work.machine, tag))
    try:
        with contextlib.ExitStack() as stack:
            readers: list[DiskReader] = []
            for disk in own_disks(work.machine):
                reader = once_free(work, partial(work.source.reader, work.machine, disk, at))
                readers.append(stack.enter_context(contextlib.closing(reader)))
            adapters = adapters_of(work.machine, work.spec)
            found = plan_guest(
                readers,
                adapters=adapters,
                clock_offset_seconds=clock_offset_of(work.spec),
                wishes=work.wishes,
            )
    finally:
        once_free(work, lambda: work.source.release(work.machine, tag))
    if len(adapters) == len(work.spec.nics):
        return found
    remark = Remark(
        text="the target makes new addresses for some adapters, so their interfaces cannot be tied to them",
        remedy="keep the addresses (--mac keep), or name the interfaces in the guest afterwards",
    )
    return replace(found, proposal=replace(found.proposal, remarks=(remark, *found.proposal.remarks)))


def clock_offset_of(spec: TargetMachine) -> int:
    """Seconds that the new machine's hardware clock is ahead of UTC when it first starts."""
    return int(spec.platform.get("timeoffset") or 0)


def own_disks(machine: Machine) -> list[Disk]:
    """In the order in which the guest sees them; not those that are lent to it by another machine."""
    return sorted((disk for disk in machine.disks if not disk.lent_by), key=lambda disk: disk.position)


def told_interfaces(machine: Machine) -> dict[str, str]:
    """The names of interfaces that the guest's agent told, by address in lower case."""
    return {one.mac.lower(): one.interface for one in machine.guest.addresses}


def told_addresses(machine: Machine, mac: str) -> tuple[str, ...]:
    """ADDRESS/PREFIX that the guest's agent told of the adapter with this MAC."""
    told = (one for one in machine.guest.addresses if mac and one.mac.lower() == mac.lower())
    return tuple(address for one in told for address in one.addresses)


def adapters_of(machine: Machine, spec: TargetMachine) -> Sequence[Adapter]:
    """The adapters that the machine will have, with the names that its agent told; no address, no adapter."""
    told = told_interfaces(machine)
    before = {nic.position: nic.mac.lower() for nic in machine.nics}
    return [
        Adapter(
            mac=nic.mac.lower(),
            interface=told.get(before.get(nic.source_position, ""), ""),
            addresses=told_addresses(machine, before.get(nic.source_position, "")),
            source_mac=before.get(nic.source_position, ""),
        )
        for nic in spec.nics
        if nic.mac
    ]
