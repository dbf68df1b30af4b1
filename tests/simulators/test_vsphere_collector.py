# SPDX-License-Identifier: Apache-2.0
"""The property collector of the stand-in for vSphere."""

import threading

import pytest
from pyVmomi import vim, vmodl

from tests.vsphere_estate import Factory, everything, finished, service_of
from v2x.simulators.vsphere import VsphereSimulator

PC = vmodl.query.PropertyCollector


def filter_on(obj: object, *paths: str) -> object:
    return PC.FilterSpec(
        propSet=[PC.PropertySpec(type=type(obj), pathSet=list(paths))], objectSet=[PC.ObjectSpec(obj=obj)]
    )


def test_pages_hold_at_most_what_was_asked_and_each_object_once(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere()
    service = service_of(simulator)
    whole = [o._moId for o, _ in everything(service, vim.VirtualMachine, "name")]
    assert [o._moId for o, _ in everything(service, vim.VirtualMachine, "name", page=7)] == whole
    assert len(set(whole)) == len(whole)
    simulator.settings.page_objects = 3
    assert [o._moId for o, _ in everything(service, vim.VirtualMachine, "name", page=1000)] == whole


def test_a_token_is_good_once_and_for_its_session(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere()
    service, other = service_of(simulator), service_of(simulator)
    view = service.content.viewManager.CreateContainerView(service.content.rootFolder, [vim.VirtualMachine], True)
    walk = PC.TraversalSpec(name="v", path="view", skip=False, type=vim.view.ContainerView)
    spec = PC.FilterSpec(
        propSet=[PC.PropertySpec(type=vim.VirtualMachine, pathSet=["name"])],
        objectSet=[PC.ObjectSpec(obj=view, skip=True, selectSet=[walk])],
    )
    ask = service.content.propertyCollector.RetrievePropertiesEx
    told = ask([spec], PC.RetrieveOptions(maxObjects=5))
    with pytest.raises(vmodl.fault.InvalidArgument):
        other.content.propertyCollector.ContinueRetrievePropertiesEx(told.token)
    told = ask([spec], PC.RetrieveOptions(maxObjects=5))
    service.content.propertyCollector.ContinueRetrievePropertiesEx(told.token)
    with pytest.raises(vmodl.fault.InvalidArgument):
        service.content.propertyCollector.ContinueRetrievePropertiesEx(told.token)
    told = ask([spec], PC.RetrieveOptions(maxObjects=5))
    service.content.propertyCollector.CancelRetrievePropertiesEx(told.token)
    with pytest.raises(vmodl.fault.InvalidArgument):
        service.content.propertyCollector.ContinueRetrievePropertiesEx(told.token)


@pytest.mark.parametrize(
    "path", ["nonsense", "config.nonsense", "config.hardware.device.key", "config.", "snapshot[1]"]
)
def test_an_unknown_path_is_a_fault_that_names_it(vcenter: VsphereSimulator, path: str) -> None:
    vcenter.add_vm("one")
    with pytest.raises(vmodl.query.InvalidProperty) as refused:
        everything(service_of(vcenter), vim.VirtualMachine, "name", path)
    assert refused.value.name == path


def test_a_path_of_a_newer_version_is_unknown_to_an_older_one(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere(profile="vcenter-6.5", estate="empty")
    simulator.add_vm("one")
    with pytest.raises(vmodl.query.InvalidProperty):
        everything(service_of(simulator), vim.VirtualMachine, "config.sevEnabled")


def test_what_is_not_set_is_left_out_and_keys_pick_items(vcenter: VsphereSimulator) -> None:
    vcenter.add_vm("one")
    [(_, values)] = everything(
        service_of(vcenter),
        vim.VirtualMachine,
        *("snapshot", "config.hardware.device[2000].capacityInBytes", 'config.extraConfig["svga.present"].value'),
        *("config.hardware.device[9999]", "parentVApp", "network"),
    )
    assert values["config.hardware.device[2000].capacityInBytes"] == 1024**3
    assert values['config.extraConfig["svga.present"].value'] == "TRUE"
    assert len(values["network"]) == 1
    assert not {"snapshot", "parentVApp", "config.hardware.device[9999]"} & set(values)


def test_what_may_not_be_seen_is_in_the_missing_set(vcenter: VsphereSimulator) -> None:
    vcenter.add_vm("one")
    service = service_of(vcenter)
    machine = service.content.searchIndex.FindByInventoryPath("Europe/DC 1/vm/one")
    vcenter.faults.arm("missing", target="config.annotation")
    told = service.content.propertyCollector.RetrievePropertiesEx(
        [filter_on(machine, "name", "config.annotation")], PC.RetrieveOptions()
    )
    assert [p.name for p in told.objects[0].propSet] == ["name"]
    [missing] = told.objects[0].missingSet
    assert missing.path == "config.annotation"
    assert isinstance(missing.fault, vim.fault.NoPermission)


def test_updates_are_told_when_something_changes(vcenter: VsphereSimulator) -> None:
    made = vcenter.add_vm("one")
    service = service_of(vcenter)
    machine = service.content.searchIndex.FindByInventoryPath("Europe/DC 1/vm/one")
    collector = service.content.propertyCollector.CreatePropertyCollector()
    collector.CreateFilter(filter_on(machine, "runtime.powerState", "name"), True)
    first = collector.WaitForUpdatesEx("", PC.WaitOptions(maxWaitSeconds=5))
    assert first.filterSet[0].objectSet[0].kind == "enter"
    assert collector.WaitForUpdatesEx(first.version, PC.WaitOptions(maxWaitSeconds=0)) is None
    other = service_of(vcenter)
    threading.Timer(0.1, lambda: vim.VirtualMachine(made.moid, other._stub).PowerOnVM_Task()).start()
    told = collector.WaitForUpdatesEx(first.version, PC.WaitOptions(maxWaitSeconds=10))
    [change] = told.filterSet[0].objectSet[0].changeSet
    assert (change.name, change.val) == ("runtime.powerState", "poweredOn")
    collector.DestroyPropertyCollector()
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        collector.CheckForUpdates("")


def test_updates_come_in_portions(simulated_vsphere: Factory) -> None:
    service = service_of(simulated_vsphere())
    view = service.content.viewManager.CreateContainerView(service.content.rootFolder, [vim.VirtualMachine], True)
    walk = PC.TraversalSpec(name="v", path="view", skip=False, type=vim.view.ContainerView)
    spec = PC.FilterSpec(
        propSet=[PC.PropertySpec(type=vim.VirtualMachine, pathSet=["name"])],
        objectSet=[PC.ObjectSpec(obj=view, skip=True, selectSet=[walk])],
    )
    collector = service.content.propertyCollector
    collector.CreateFilter(spec, True)
    names, version, more = [], "", True
    while more:
        told = collector.WaitForUpdatesEx(version, PC.WaitOptions(maxWaitSeconds=5, maxObjectUpdates=20))
        assert len(told.filterSet[0].objectSet) <= 20
        names += [o.changeSet[0].val for o in told.filterSet[0].objectSet]
        version, more = told.version, told.truncated
    assert len(names) == len(view.view)
    assert collector.WaitForUpdatesEx(version, PC.WaitOptions(maxWaitSeconds=0)) is None


def test_a_task_shows_progress_and_its_fault(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere(estate="empty", task_delay=0.3)
    simulator.add_vm("one")
    service = service_of(simulator)
    machine = service.content.searchIndex.FindByInventoryPath("Europe/DC 1/vm/one")
    collector = service.content.propertyCollector
    task = machine.PowerOnVM_Task()
    kept = collector.CreateFilter(filter_on(task, "info.state", "info.progress"), True)
    seen, version, state = [], "", ""
    while state not in ("success", "error"):
        told = collector.WaitForUpdatesEx(version, PC.WaitOptions(maxWaitSeconds=5))
        version = told.version
        for change in told.filterSet[0].objectSet[0].changeSet:
            if change.name == "info.state":
                state = change.val
            elif change.val is not None:
                seen.append(change.val)
    kept.DestroyPropertyFilter()
    assert state == "success"
    assert seen == sorted(seen)
    assert len(seen) > 2
    simulator.faults.arm("fail_task", target="PowerOffVM_Task", at=30, name="vim.fault.GenericVmConfigFault")
    with pytest.raises(vim.fault.GenericVmConfigFault):
        finished(machine.PowerOffVM_Task())
    assert machine.runtime.powerState == "poweredOn"
    assert [t.info.state for t in machine.recentTask] == ["success", "error"]


def test_searching(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere()
    service = service_of(simulator)
    search = service.content.searchIndex
    web = search.FindByInventoryPath("Europe/DC 1/vm/Web/Front/web01")
    assert search.FindByDnsName(None, "web01.example.test", True) == web
    assert search.FindByIp(None, "192.0.2.11", True) == web
    assert search.FindByUuid(None, web.config.instanceUuid, True, True) == web
    assert search.FindByDatastorePath(web.parent.parent.parent.parent, "[vmfs6-ssd] web01/web01.vmx") == web
    twins = search.FindAllByUuid(None, "42110000-1111-4222-8333-444444444444", True, False)
    assert len(twins) == 2
    assert search.FindByInventoryPath("100%25 Other%5cSites/DC%2f2 100%25/vm/Web/web01").name == "web01"
    assert search.FindByInventoryPath("Europe/DC 1/vm/none") is None
    assert search.FindChild(web.parent, "web01") == web
