# SPDX-License-Identifier: Apache-2.0
"""What of a machine is another than it was, as far as a plan's choices stand on it."""

from collections.abc import Iterable, Iterator

from v2x.model.machine import Disk, Machine, Nic
from v2x.model.units import show_bytes


def differences(before: Machine, now: Machine, *, same_source: bool = True) -> tuple[str, ...]:
    """What changed, in words; empty where nothing did that matters.

    Without `same_source` (an export then, the live source now) ids of disks and adapters are not comparable: their
    number and the sum of the sizes, to a MiB for each disk, are.
    """
    found = list(_plain(before, now))
    if same_source:
        found += _disks(before.disks, now.disks)
        found += _nics(before.nics, now.nics)
    else:
        found += _sums(before, now)
    return tuple(found)


def _plain(before: Machine, now: Machine) -> Iterator[str]:
    if before.cpu.count != now.cpu.count:
        yield f"{before.cpu.count} vCPUs then, {now.cpu.count} now"
    if before.memory.size_bytes != now.memory.size_bytes:
        yield f"{show_bytes(before.memory.size_bytes)} of memory then, {show_bytes(now.memory.size_bytes)} now"
    if before.firmware != now.firmware:
        yield f"firmware {before.firmware} then, {now.firmware} now"


def _disks(before: Iterable[Disk], now: Iterable[Disk]) -> Iterator[str]:
    then, there = ({disk.id: disk for disk in disks} for disks in (before, now))
    for key in then.keys() - there.keys():
        yield f"disk {key} ({then[key].label}) is gone"
    for key, disk in there.items():
        size = show_bytes(disk.capacity_bytes)
        if key not in then:
            yield f"disk {key} ({disk.label}, {size}) is new"
        elif then[key].capacity_bytes != disk.capacity_bytes:
            yield f"disk {key} ({disk.label}) had {then[key].capacity_bytes:,} bytes, now {disk.capacity_bytes:,}"


def _nics(before: Iterable[Nic], now: Iterable[Nic]) -> Iterator[str]:
    then, there = ({nic.position: nic for nic in nics} for nics in (before, now))
    for key in sorted(then.keys() - there.keys()):
        yield f"adapter {key} ({then[key].network!r}) is gone"
    for key, nic in there.items():
        if key not in then:
            yield f"adapter {key} ({nic.network!r}) is new"
            continue
        if then[key].network != nic.network:
            yield f"adapter {key} was on {then[key].network!r}, now on {nic.network!r}"
        # Hyper-V gives a dynamic address with the first start: none before is no choice of anybody's.
        if then[key].mac not in ("", nic.mac):
            yield f"adapter {key} had {then[key].mac}, now {nic.mac or 'none'}"


def _sums(before: Machine, now: Machine) -> Iterator[str]:
    for what, then, there in (("disks", before.disks, now.disks), ("adapters", before.nics, now.nics)):
        if len(then) != len(there):
            yield f"{what}: {len(then)} then, {len(there)} now"
    sizes = [sum(disk.capacity_bytes for disk in machine.disks) for machine in (before, now)]
    if len(before.disks) == len(now.disks) and abs(sizes[0] - sizes[1]) > len(now.disks) * 2**20:
        yield f"{show_bytes(sizes[0])} of disks then, {show_bytes(sizes[1])} now"
