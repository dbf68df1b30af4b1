# SPDX-License-Identifier: Apache-2.0
"""Power, changes of machines, hosts, tags and attributes of the stand-in for vSphere."""

import base64
import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from tests.vsphere_estate import Factory, everything, finished, pinned, service_of
from v2x.errors import UsageError
from v2x.simulators.vsphere import MachineSpec, NicSpec, VsphereSimulator, events


def seen(simulator: VsphereSimulator, name: str) -> Any:
    return vim.VirtualMachine(simulator.machine(name).moid, service_of(simulator)._stub)


def until(machine: Any, power: str) -> None:
    deadline = time.monotonic() + 5
    while machine.runtime.powerState != power:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_power_and_its_faults(vcenter: VsphereSimulator) -> None:
    vcenter.add_vm("one")
    machine = seen(vcenter, "one")
    with pytest.raises(vim.fault.InvalidPowerState) as refused:
        machine.PowerOffVM_Task()
    assert (refused.value.requestedState, refused.value.existingState) == ("poweredOff", "poweredOff")
    finished(machine.PowerOnVM_Task())
    assert machine.guest.toolsRunningStatus == "guestToolsRunning"
    finished(machine.SuspendVM_Task())
    finished(machine.PowerOnVM_Task())
    finished(machine.PowerOffVM_Task())
    assert [e.says["to"] for e in vcenter.ledger.effects_of("power")] == [
        *("poweredOn", "suspended", "poweredOn", "poweredOff")
    ]


def test_guests_shut_down_in_their_own_time_or_never(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere(estate="empty", shutdown_delay=0.2)
    for name, tools in (("willing", "running"), ("mute", "not-running")):
        simulator.add_vm(name, power="poweredOn", tools=tools)
    willing, mute = seen(simulator, "willing"), seen(simulator, "mute")
    willing.ShutdownGuest()
    assert willing.runtime.powerState == "poweredOn"
    until(willing, "poweredOff")
    with pytest.raises(vim.fault.ToolsUnavailable):
        mute.ShutdownGuest()
    finished(willing.PowerOnVM_Task())
    simulator.settings.guests_ignore_shutdown = True
    willing.ShutdownGuest()
    time.sleep(0.4)
    assert willing.runtime.powerState == "poweredOn"


def test_cards_follow_power_and_can_be_kept_off(vcenter: VsphereSimulator) -> None:
    vcenter.add_vm("one", nics=(NicSpec(), NicSpec(start_connected=False)))
    machine = seen(vcenter, "one")
    cards = [d for d in machine.config.hardware.device if isinstance(d, vim.vm.device.VirtualEthernetCard)]
    cards[0].connectable.startConnected = False
    change = vim.vm.device.VirtualDeviceSpec(operation="edit", device=cards[0])
    finished(machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change], annotation="kept off")))
    finished(machine.PowerOnVM_Task())
    cards = [d for d in machine.config.hardware.device if isinstance(d, vim.vm.device.VirtualEthernetCard)]
    assert [c.connectable.connected for c in cards] == [False, False]
    assert machine.config.annotation == "kept off"
    assert vcenter.ledger.calls_of("ReconfigVM_Task")[0].says["spec"]["annotation"] == "kept off"


def test_renaming(vcenter: VsphereSimulator) -> None:
    vcenter.add_vm("one")
    vcenter.add_vm("two")
    machine = seen(vcenter, "one")
    with pytest.raises(vim.fault.DuplicateName):
        finished(machine.Rename_Task("two"))
    finished(machine.Rename_Task("one/moved 100%"))
    assert machine.name == machine.config.name == "one%2fmoved 100%25"
    finished(machine.ReconfigVM_Task(vim.vm.ConfigSpec(name="again")))
    assert machine.summary.config.name == "again"
    with pytest.raises(vim.fault.ConcurrentAccess):
        machine.ReconfigVM_Task(vim.vm.ConfigSpec(name="x", changeVersion="old"))


def test_attributes_and_tags(vcenter: VsphereSimulator) -> None:
    entity = vcenter.add_vm("one", fields={"Owner": "Team A", "Room": "12"}, tags=("Production", "Gold"))
    machine = seen(vcenter, "one")
    names = {f.key: f.name for f in machine.availableField}
    assert {names[v.key]: v.value for v in machine.customValue} == {"Owner": "Team A", "Room": "12"}
    manager = service_of(vcenter).content.customFieldsManager
    made = manager.AddCustomFieldDef("v2x", vim.VirtualMachine)
    manager.SetField(machine, made.key, "moved")
    assert "moved" in [v.value for v in machine.customValue]
    with pytest.raises(vim.fault.DuplicateName):
        manager.AddCustomFieldDef("v2x", vim.VirtualMachine)
    rest = Rest(vcenter)
    asked = {"object_ids": [{"id": entity.moid, "type": "VirtualMachine"}, {"id": "vm-x", "type": "VirtualMachine"}]}
    action = "tagging/tag-association?{}action=list-attached-tags-on-objects"
    [old] = rest.ask("POST", "/rest/com/vmware/cis/" + action.format("~"), asked)["value"]
    [new] = rest.ask("POST", "/api/cis/" + action.format(""), asked)
    assert old == new
    tags = [rest.ask("GET", f"/api/cis/tagging/tag/{i}") for i in new["tag_ids"]]
    assert [t["name"] for t in tags] == ["Production", "Gold"]
    category = rest.ask("GET", f"/rest/com/vmware/cis/tagging/category/id:{tags[0]['category_id']}")["value"]
    assert category["name"] == "Environment"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        rest.ask("GET", "/api/cis/tagging/tag/none")


class Rest:
    """A REST session."""

    def __init__(self, simulator: VsphereSimulator) -> None:
        self.simulator, self.token = simulator, ""
        given = base64.b64encode(f"{simulator.user}:{simulator.password}".encode()).decode()
        self.token = self.ask("POST", "/rest/com/vmware/cis/session", None, Authorization=f"Basic {given}")["value"]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"https://{self.simulator.address}{path}", data, headers, method=method)
        request.add_header("vmware-api-session-id", self.token)
        with urllib.request.urlopen(request, context=pinned(self.simulator), timeout=10) as answer:
            return json.load(answer)


def test_rest_wants_a_session_and_a_vcenter(simulated_vsphere: Factory) -> None:
    vcenter = simulated_vsphere(profile="vcenter-6.7", estate="empty")
    rest = Rest(vcenter)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        rest.ask("GET", "/api/cis/tagging/tag")
    vcenter.expire_sessions()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        rest.ask("GET", "/rest/com/vmware/cis/tagging/tag")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        Rest(simulated_vsphere(profile="esxi", estate="empty"))


def test_a_host_in_maintenance_starts_nothing(vcenter: VsphereSimulator) -> None:
    vcenter.add_vm("one", power="poweredOn")
    machine = seen(vcenter, "one")
    host = machine.runtime.host
    with pytest.raises(vim.fault.Timedout):
        finished(host.EnterMaintenanceMode_Task(0))
    finished(machine.PowerOffVM_Task())
    finished(host.EnterMaintenanceMode_Task(0))
    with pytest.raises(vim.fault.InvalidHostState):
        machine.PowerOnVM_Task()
    finished(host.ExitMaintenanceMode_Task(0))
    finished(machine.PowerOnVM_Task())


def test_moving_to_another_host(vcenter: VsphereSimulator, simulated_vsphere: Factory) -> None:
    vcenter.add_vm("one", power="poweredOn")
    machine = seen(vcenter, "one")
    first = machine.runtime.host
    finished(machine.MigrateVM_Task(priority="defaultPriority"))
    assert machine.runtime.host != first
    assert machine in machine.runtime.host.vm
    assert machine not in first.vm
    lone = simulated_vsphere(profile="esxi", estate="empty")
    with pytest.raises(UsageError, match="no other host"):
        events.vmotion(lone.state, lone.add_vm("one"))


def test_starting_with_the_host(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere(profile="esxi")
    service = service_of(simulator)
    host = everything(service, vim.HostSystem, "configManager")[0][1]["configManager"]
    manager = host.autoStartManager
    [info] = manager.config.powerInfo
    assert manager.config.defaults.enabled
    info.startAction = "none"
    manager.ReconfigureAutostart(vim.host.AutoStartManager.Config(powerInfo=[info]))
    assert manager.config.powerInfo == []
    assert manager.config.defaults.startDelay == 120


def test_a_removed_machine_is_gone(vcenter: VsphereSimulator) -> None:
    entity = vcenter.add_vm("one")
    machine = seen(vcenter, "one")
    events.remove(vcenter.state, entity)
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        _ = machine.name
    assert everything(service_of(vcenter), vim.VirtualMachine, "name") == []


def test_unreachable_machines_can_be_asked_nothing(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere()
    with pytest.raises(vmodl.fault.HostNotReachable):
        seen(simulator, "lost-disconnected").ExportVm()
    with pytest.raises(vim.fault.InvalidState):
        seen(simulator, "lost-orphaned").PowerOnVM_Task()
    with pytest.raises(vim.fault.InvalidState):
        seen(simulator, "template-ubuntu").CreateSnapshot_Task("s", "", False, False)


def test_places_that_do_not_exist_are_named(vcenter: VsphereSimulator) -> None:
    for spec in (
        MachineSpec(name="x", host="none"),
        MachineSpec(name="x", datastore="none"),
        MachineSpec(name="x", pool="none"),
        MachineSpec(name="x", nics=(NicSpec(network="none"),)),
    ):
        with pytest.raises(UsageError, match="none"):
            vcenter.add_vm(spec)
