# SPDX-License-Identifier: Apache-2.0
"""The test copy of a machine on its way: what it is like, and its end once the machine itself takes over."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from v2x.errors import Conflict
from v2x.migrate.observe import HearsOfTests
from v2x.model.machine import Machine
from v2x.model.target import HaPriority, TargetMachine
from v2x.model.units import MIB
from v2x.target.interface import ClaimedDisk, Rehearses

if TYPE_CHECKING:
    from v2x.migrate.work import Work

NO_NETWORK = "(no network)"
THIN_SHARE = 0.2


def network_names(machine: Machine, spec: TargetMachine, source: str) -> dict[str, str]:
    """The source's networks that a machine's adapters are on: name by key. Two sources may use one name."""
    names = (_network_of(machine, nic.source_position) for nic in spec.nics)
    return {f"{source}/{name}": name for name in names}


def _network_of(machine: Machine, position: int) -> str:
    return next((nic.network for nic in machine.nics if nic.position == position), "") or NO_NETWORK


def rehearsed(machine: Machine, spec: TargetMachine, source: str, networks: Mapping[str, str]) -> TargetMachine:
    """`spec` as a test copy: the same hardware and addresses on isolated `networks`, without ties to other machines.

    Its generation id is a new one, so that a guest that knows of such things takes itself for a copy.
    """
    nics = tuple(
        replace(nic, network=networks[f"{source}/{_network_of(machine, nic.source_position)}"]) for nic in spec.nics
    )
    return replace(
        spec,
        name=f"[test] {spec.name}",
        description=f"test copy of {spec.name}, made by v2x while its migration goes on; it will be discarded",
        nics=nics,
        generation_id="0:0" if spec.generation_id else "",
        auto_start=False,
        ha_priority=HaPriority.NONE,
        start_group=None,
        resource_set="",
        affinity="",
        tags=(),
    )


def end_rehearsals(work: "Work") -> None:
    """Removes the machine's test copy, if there is one: the machine itself is about to start, or to be given up."""
    if not isinstance(work.target, Rehearses):
        return
    for one in work.target.rehearsals(work.tag):
        try:
            work.target.end_rehearsal(one)
        except Conflict as problem:
            # It is apart from everything, so what is left of it stands in nobody's way.
            work.observer.warning(f"of its test copy {one.name}, {problem.message}")
        else:
            work.observer.warning(f"its test copy {one.name} was discarded")
        if isinstance(work.observer, HearsOfTests):
            work.observer.test_ended()
        for said in work.target.strike(one.id):
            work.observer.warning(said)


def room_needed(disks: Iterable[ClaimedDisk], held_bytes: Mapping[str, int], *, thick: bool) -> int:
    """Bytes of storage that a copy of a claim's disks needs.

    On thick storage a clone takes the whole virtual size with the VHD's tables (xapi: snapshots on LVM). On thin one it
    takes nothing at first; a share of what the disks hold (`held_bytes`, by source disk) is kept for what the copy
    writes and for what later passes write anew over blocks that both still have in common.
    """
    if thick:
        return sum(disk.size_bytes + -(-disk.size_bytes // (2 * MIB)) * 4096 + 4 * MIB for disk in disks)
    return int(sum(held_bytes.get(disk.source_disk, disk.size_bytes) for disk in disks) * THIN_SHARE)
