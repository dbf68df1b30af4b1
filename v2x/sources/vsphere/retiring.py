# SPDX-License-Identifier: Apache-2.0
"""Keeping a machine that has a successor from coming back: its adapters, and its host's automatic start.

Each change is told with its old value, which the way back needs. Sources: vSphere API, VirtualDeviceConnectInfo
(startConnected) and HostAutoStartManager (a vCenter asks the manager of the machine's host).
"""

from collections.abc import Mapping
from typing import Any, Final

from pyVmomi import vim

from v2x.model.machine import Machine
from v2x.sources.vsphere.present import Present, present
from v2x.sources.vsphere.session import VsphereSession
from v2x.sources.vsphere.snapshots import Note

_DEVICES: Final = "config.hardware.device"
_HOST: Final = "runtime.host"
_NIC: Final = "nic "
_START: Final = "start action"
_SECONDS: Final = 600.0


def was(session: VsphereSession, machine: Machine) -> dict[str, str]:
    """What `stay_off` is about to change, as it is now: `nic KEY` is yes or no, `start action` the host's word."""
    now = present(session, machine, [_DEVICES, _HOST])
    found = {
        f"{_NIC}{card.key}": "yes" if card.connectable.startConnected else "no"
        for card in _cards(now)
        if card.connectable is not None
    }
    started = _started(session, now)
    return {**found, **({_START: str(started.startAction)} if started is not None else {})}


def stay_off(session: VsphereSession, machine: Machine, note: Note) -> None:
    """Adapters do not connect at the next start, and the host does not start the machine by itself."""
    old = was(session, machine)
    wanted = {key: "no" if key.startswith(_NIC) else "none" for key in old}
    changed = [key for key, value in old.items() if value.casefold() != wanted[key]]
    if changed:
        told = ", ".join(f"{key} was {old[key]}" for key in changed)
        note(f"{machine.name}: kept off the network and from starting by itself at the source ({told})")
        _set(session, machine, wanted)


def give_back(session: VsphereSession, machine: Machine, old: Mapping[str, str]) -> None:
    """Sets what `was` told."""
    _set(session, machine, old)


def _set(session: VsphereSession, machine: Machine, wanted: Mapping[str, str]) -> None:
    now = present(session, machine, [_DEVICES, _HOST])
    edits = []
    for card in _cards(now):
        value = wanted.get(f"{_NIC}{card.key}")
        if value is None or card.connectable is None or card.connectable.startConnected is (value == "yes"):
            continue
        card.connectable.startConnected = value == "yes"
        edits.append(
            vim.vm.device.VirtualDeviceSpec(operation=vim.vm.device.VirtualDeviceSpec.Operation.edit, device=card)
        )
    if edits:
        doing = "set when its adapters connect"
        task = session.call(
            now.reference.ReconfigVM_Task, vim.vm.ConfigSpec(deviceChange=edits), doing=doing, subject=machine.name
        )
        session.wait_task(task, doing=doing, subject=machine.name, timeout=_SECONDS)
    started = _started(session, now)
    if started is not None and _START in wanted and str(started.startAction) != wanted[_START]:
        started.startAction = wanted[_START]
        manager = _manager(session, now)
        session.call(
            manager.ReconfigureAutostart,
            vim.host.AutoStartManager.Config(powerInfo=[started]),
            doing="set its automatic start",
            subject=machine.name,
        )


def _cards(now: Present) -> list[Any]:
    devices = now.values.get(_DEVICES) or []
    return [one for one in devices if isinstance(one, vim.vm.device.VirtualEthernetCard)]


def _manager(session: VsphereSession, now: Present) -> Any:
    host = now.values.get(_HOST)
    if host is None:
        return None
    for found in session.retrieve(vim.HostSystem, ["configManager.autoStartManager"], objects=[host]):
        return found.values.get("configManager.autoStartManager")
    return None


def _started(session: VsphereSession, now: Present) -> Any:
    """The machine's own entry in its host's list; None where it has none."""
    manager = _manager(session, now)
    if manager is None:
        return None
    for found in session.retrieve(vim.host.AutoStartManager, ["config.powerInfo"], objects=[manager]):
        for info in found.values.get("config.powerInfo") or []:
            if info.key._GetMoId() == now.reference._GetMoId():
                return info
    return None
