# SPDX-License-Identifier: Apache-2.0
"""What power.ps1 would do on a described host, and what it would say. Nothing else changes a described machine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from v2x.simulators.hyperv.checkpoints import Checkpoints
from v2x.simulators.hyperv.described import Estate, Host, VirtualMachine

ACTIONS = ("state", "shutdown", "start", "autostart", "offline", "priority", "checkpoint", "drop")
OURS = "v2x "
START_ACTIONS = ("Nothing", "StartIfRunning", "Start")


class Refused(Exception):
    """An error record of PowerShell: `id` is its FullyQualifiedErrorId, `ends` whether it ends the script."""

    def __init__(self, id: str, text: str, *, target: str = "", ends: bool = True) -> None:
        super().__init__(text)
        self.id = id
        self.text = text
        self.target = target
        self.ends = ends


class Actor:
    """Acts on one host of the estate; every change is told to `record`. `place` finds the files of its disks."""

    def __init__(
        self, estate: Estate, host: Host, record: Callable[[str, str, str, str], None], place: Callable[[str], Path]
    ) -> None:
        self._checkpoints = Checkpoints(estate, place)
        self._estate = estate
        self._host = host
        self._record = record

    def act(self, action: str, id: str, value: str) -> str:
        """The script's JSON. Refused as the real one would be."""
        if action not in ACTIONS:
            raise Refused("ParameterArgumentValidationError,power.ps1", f"Action: {action}")
        vm = self._estate.machine(id)
        if vm is None or vm.host != self._host.name:
            raise Refused(
                "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM",
                f"Hyper-V was unable to find a virtual machine with id {id}.",
                target=id,
            )
        before = {
            "state": self._nothing,
            "shutdown": self._shutdown,
            "start": self._start,
            "autostart": self._autostart,
            "offline": self._offline,
            "priority": self._priority,
            "checkpoint": self._checkpoint,
            "drop": self._drop,
        }[action](vm, value)
        return json.dumps(self._answer(vm, action, before), ensure_ascii=False)

    def _nothing(self, _vm: VirtualMachine, _value: str) -> dict[str, Any]:
        return {}

    def _set(self, vm: VirtualMachine, what: str, before: object, after: object) -> None:
        if before != after:
            self._record(vm.id, what, str(before), str(after))

    def _shutdown(self, vm: VirtualMachine, _value: str) -> dict[str, Any]:
        before = vm.state
        if before == "Running":
            if vm.refuses_shutdown:
                raise Refused(
                    "OperationFailed,Microsoft.HyperV.PowerShell.Commands.StopVM",
                    f"'{vm.name}' konnte nicht heruntergefahren werden: der Integrationsdienst antwortet nicht.",
                    target=vm.name,
                )
            # The role of a machine that was shut down from outside of the cluster is online for a while yet.
            vm.state = "Off"
            self._set(vm, "state", before, vm.state)
        return {"state": before}

    def _start(self, vm: VirtualMachine, _value: str) -> dict[str, Any]:
        before = vm.state
        if before not in {"Off", "Saved"}:
            raise Refused("InvalidState,StartVM", f"'{vm.name}' is {before}.")
        vm.state = "Running"
        self._role_follows(vm)
        self._set(vm, "state", before, vm.state)
        return {"state": before}

    def _role_follows(self, vm: VirtualMachine) -> None:
        if vm.role_priority is not None:
            vm.role_state = "Online" if vm.state == "Running" else "Offline"

    def _autostart(self, vm: VirtualMachine, value: str) -> dict[str, Any]:
        if value not in START_ACTIONS:
            raise Refused("CannotConvertArgumentNoMessage,SetVM", f"AutomaticStartAction: {value}")
        before, vm.start_action = vm.start_action, value
        self._set(vm, "start_action", before, value)
        return {"startAction": before}

    def _offline(self, vm: VirtualMachine, _value: str) -> dict[str, Any]:
        if vm.role_priority is None or vm.state != "Off":
            return {}
        before = vm.role_state or "Offline"
        vm.role_state = "Offline"
        self._set(vm, "role", before, "Offline")
        return {"roleState": before}

    def _priority(self, vm: VirtualMachine, value: str) -> dict[str, Any]:
        if vm.role_priority is None:
            return {}
        if not value.isdecimal():
            raise Refused("RuntimeException", f"Priority: {value}")
        before, vm.role_priority = vm.role_priority, int(value)
        self._set(vm, "priority", before, vm.role_priority)
        return {"priority": before}

    def _checkpoint(self, vm: VirtualMachine, name: str) -> dict[str, Any]:
        cause = ""
        if vm.checkpoint_type == "Disabled":
            cause = "Prüfpunkte sind deaktiviert."
        elif vm.checkpoint_type == "ProductionOnly" and not vm.kvp:
            cause = "Der Produktionsprüfpunkt kann nicht erstellt werden: der Gast antwortet nicht."
        elif any(one.shared or one.disk_number is not None for one in vm.disks):
            cause = "Ein Datenträger lässt keine Prüfpunkte zu."
        elif not name:
            cause = "Der Name ist leer."
        if cause or vm.state not in {"Running", "Off", "Paused", "Saved"}:
            raise Refused("OperationFailed,Microsoft.HyperV.PowerShell.Commands.CheckpointVM", cause, target=vm.name)
        made = self._checkpoints.make(vm, name)
        self._record(vm.id, "checkpoint", "", name)
        return {"checkpoint": made.id}

    def _drop(self, vm: VirtualMachine, name: str) -> dict[str, Any]:
        dropped = [one for one in vm.checkpoints if one.name.lower() == name.lower()]
        for one in dropped:
            self._checkpoints.drop(vm, one)
            self._record(vm.id, "checkpoint", name, "")
        return {"dropped": len(dropped)}

    def _answer(self, vm: VirtualMachine, action: str, before: dict[str, Any]) -> dict[str, Any]:
        role = None
        if vm.role_priority is not None:
            state = vm.role_state or ("Online" if vm.state == "Running" else "Offline")
            role = {"name": vm.name, "state": state, "owner": vm.host, "priority": vm.role_priority}
        return {
            "schema": "v2x.hyperv.power/1",
            "action": action,
            "id": vm.id,
            "name": vm.name,
            "host": vm.host,
            "state": vm.state,
            "operationalStatus": vm.status,
            "startAction": vm.start_action,
            "recoveryCheckpoints": [one.name for one in vm.checkpoints if one.type == "Recovery"],
            "checkpoints": [
                {
                    "id": one.id,
                    "name": one.name,
                    "created": one.created,
                    "disks": [
                        {
                            "controllerType": disk.controller,
                            "controllerNumber": disk.number,
                            "location": disk.location,
                            "path": disk.path,
                        }
                        for disk in one.disks
                    ],
                }
                for one in vm.checkpoints
                if one.name.startswith(OURS)
            ],
            "role": role,
            "before": before,
        }
