# SPDX-License-Identifier: Apache-2.0
"""A machine as it is at the server now: found again by its identity, and held against what was planned."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from v2x.errors import SourceError, V2xError
from v2x.model.machine import Machine, PowerState
from v2x.model.units import show_bytes
from v2x.sources.ovf_dialects import plain_uuid
from v2x.sources.vsphere.failures import GONE, fault_name
from v2x.sources.vsphere.session import VsphereSession

IDENTITY = "config.instanceUuid"
POWER = {"poweredOn": PowerState.ON, "poweredOff": PowerState.OFF, "suspended": PowerState.SUSPENDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """`reference` is pyVmomi's; `values` are the properties that were asked for."""

    reference: Any
    values: dict[str, Any]

    @property
    def power(self) -> PowerState:
        return POWER.get(str(self.values.get("runtime.powerState", "")), PowerState.UNKNOWN)


def present(session: VsphereSession, machine: Machine, paths: Sequence[str] = ()) -> Present:
    """The machine with those properties. A moref may have changed, or belong to another machine meanwhile: the instance
    uuid decides. SourceError SOURCE-GONE where it is not there any more.
    """
    wanted = tuple(dict.fromkeys(("name", IDENTITY, "runtime.powerState", *paths)))
    by_uuid = bool(plain_uuid(machine.id))
    found = _read(session, vim.VirtualMachine(machine.reference, session.stub), wanted) if machine.reference else None
    if found is not None and (not by_uuid or plain_uuid(str(found.values.get(IDENTITY, ""))) == machine.id):
        return found
    if by_uuid:
        index = session.content.searchIndex
        other = session.read(index.FindByUuid, None, machine.id, True, True, doing="look for it", subject=machine.name)
        again = _read(session, other, wanted) if other is not None else None
        if again is not None:
            return again
    raise SourceError(
        f"{machine.name} is not at {session.host} any more", code="SOURCE-GONE", hint="list the source again"
    )


def _read(session: VsphereSession, reference: Any, paths: Sequence[str]) -> Present | None:
    try:
        (found,) = session.retrieve(vim.VirtualMachine, paths, objects=[reference])
    except ValueError:
        return None
    except V2xError as problem:
        if fault_name(problem.__cause__) in GONE:
            return None
        raise
    return Present(reference=reference, values=found.values)


def virtual_disks(now: Present) -> dict[str, Any]:
    """The machine's disks by device key, from `config.hardware.device`."""
    devices = now.values.get("config.hardware.device") or []
    return {str(one.key): one for one in devices if isinstance(one, vim.vm.device.VirtualDisk)}


def capacity_of(device: Any) -> int:
    exact = getattr(device, "capacityInBytes", None)
    return int(exact) if exact else int(device.capacityInKB) * 1024


def _label(device: Any) -> str:
    told = getattr(device.deviceInfo, "label", None)
    return str(told or f"disk {device.key}")


def check_disks(machine: Machine, now: Present) -> None:
    """SourceError SOURCE-CHANGED if a disk was added, removed or resized since the machine was listed.

    Disks that were lent to it come and go.
    """
    held = virtual_disks(now)
    lent = {disk.id for disk in machine.disks if disk.lent_by}
    planned = {disk.id: disk for disk in machine.disks if not disk.lent_by}
    changes = [f"{planned[key].label} is gone" for key in planned if key not in held]
    changes += [f"{_label(held[key])} is new" for key in held if key not in planned and key not in lent]
    for key in planned.keys() & held.keys():
        size = capacity_of(held[key])
        if size != planned[key].capacity_bytes:
            was, is_now = show_bytes(planned[key].capacity_bytes), show_bytes(size)
            changes.append(f"{planned[key].label} had {was} and has {is_now}")
    if changes:
        raise SourceError(
            f"{machine.name} changed since it was planned: {', '.join(sorted(changes))}",
            code="SOURCE-CHANGED",
            hint="draft the plan again (v2x plan draft); v2x migrate lists the machine by itself",
        )
