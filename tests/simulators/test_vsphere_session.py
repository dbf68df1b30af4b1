# SPDX-License-Identifier: Apache-2.0
"""Logging in, and what may end or forbid it."""

import time

import pytest
from pyVmomi import vim, vmodl

from tests.vsphere_estate import Factory, everything, finished, service_of
from v2x.simulators.vsphere import MIGRATION, READ_ONLY, Account, VsphereSimulator


def test_login_and_logout(vcenter: VsphereSimulator) -> None:
    service = service_of(vcenter)
    session = service.content.sessionManager.currentSession
    assert session.userName == vcenter.user
    service.content.sessionManager.Logout()
    with pytest.raises(vim.fault.NotAuthenticated):
        service.CurrentTime()
    assert vcenter.state.sessions.count() == 0


def test_a_locked_account_says_so_and_opens_again(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere(estate="empty", lock_after=2, lock_seconds=0.3)
    for _ in range(2):
        with pytest.raises(vim.fault.InvalidLogin, match="incorrect user name"):
            service_of(simulator, password="wrong")
    with pytest.raises(vim.fault.InvalidLogin, match="locked"):
        service_of(simulator)
    time.sleep(0.35)
    service_of(simulator)


def test_sessions_end_when_idle_or_by_order(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere(estate="empty", session_idle=0.2)
    service = service_of(simulator)
    time.sleep(0.3)
    with pytest.raises(vim.fault.NotAuthenticated):
        service.CurrentTime()
    service = service_of(simulator)
    assert simulator.expire_sessions() == 1
    with pytest.raises(vim.fault.NotAuthenticated):
        service.CurrentTime()


def test_a_session_is_lost_at_the_chosen_call(vcenter: VsphereSimulator) -> None:
    service = service_of(vcenter)
    vcenter.faults.arm("lose_session", target="CurrentTime", after=2)
    service.CurrentTime()
    service.CurrentTime()
    with pytest.raises(vim.fault.NotAuthenticated):
        service.CurrentTime()


def test_a_read_only_account_sees_and_changes_nothing(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere(accounts=[Account("viewer", "pw", READ_ONLY)])
    service = service_of(simulator, "viewer", "pw")
    machines = everything(service, vim.VirtualMachine, "name")
    assert len(machines) > 40
    with pytest.raises(vim.fault.NoPermission) as refused:
        machines[0][0].CreateSnapshot_Task("x", "", False, False)
    assert refused.value.privilegeId == "VirtualMachine.State.CreateSnapshot"
    with pytest.raises(vim.fault.NoPermission) as refused:
        machines[0][0].ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=True))
    assert refused.value.privilegeId == "VirtualMachine.Config.ChangeTracking"
    assert [c.fault for c in simulator.ledger.calls] == ["NoPermission", "NoPermission"]
    told = service.content.authorizationManager.HasPrivilegeOnEntities(
        [service.content.rootFolder], "", ["System.Read", "VApp.Export"]
    )
    assert [p.isGranted for p in told[0].privAvailability] == [True, False]


def test_one_missing_privilege_is_named(simulated_vsphere: Factory) -> None:
    account = Account("mover", "pw", MIGRATION - {"VApp.Export"})
    simulator = simulated_vsphere(estate="empty", accounts=[account])
    machine = simulator.add_vm("one")
    service = service_of(simulator, "mover", "pw")
    found = service.content.searchIndex.FindByInventoryPath("Europe/DC 1/vm/one")
    assert found._moId == machine.moid
    finished(found.CreateSnapshot_Task("x", "", False, False))
    with pytest.raises(vim.fault.NoPermission) as refused:
        found.ExportVm()
    assert refused.value.privilegeId == "VApp.Export"


def test_the_free_licence_forbids_every_effect(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere(profile="esxi-free")
    service = service_of(simulator)
    machine = everything(service, vim.VirtualMachine, "name")[0][0]
    with pytest.raises(vim.fault.RestrictedVersion, match="Current license or ESXi version prohibits"):
        machine.CreateSnapshot_Task("x", "", False, False)
    assert service.content.licenseManager.licenses[0].editionKey == "esxBasic"


@pytest.mark.parametrize("profile", ["vcenter-8.0", "vcenter-6.5", "esxi-8.0", "esxi-7.0", "esxi-6.7", "esxi-6.5"])
def test_every_profile_is_listed_whole(simulated_vsphere: Factory, profile: str) -> None:
    """All properties of all objects, in the version of the profile: what cannot be printed would be a fault."""
    simulator = simulated_vsphere(profile=profile)
    service = service_of(simulator)
    about = service.content.about
    assert about.apiType == ("VirtualCenter" if profile.startswith("vcenter") else "HostAgent")
    assert about.version.startswith(profile.rpartition("-")[2])
    for kind in (vim.VirtualMachine, vim.HostSystem, vim.Datastore, vim.Network, vim.Folder, vim.Datacenter):
        assert everything(service, kind), kind
    for kind in (vim.ComputeResource, vim.ResourcePool, vim.DistributedVirtualSwitch):
        everything(service, kind)


def test_a_web_server_that_is_no_vsphere(vcenter: VsphereSimulator) -> None:
    vcenter.settings.plain_web_server = True
    with pytest.raises(Exception, match="not a VIM server"):
        service_of(vcenter)


def test_names_of_singletons_on_a_lone_host(simulated_vsphere: Factory) -> None:
    service = service_of(simulated_vsphere(profile="esxi"))
    content = service.content
    assert content.rootFolder._moId == "ha-folder-root"
    assert content.customFieldsManager is None
    datacenter = content.rootFolder.childEntity[0]
    assert datacenter._moId == "ha-datacenter"
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        _ = vim.SessionManager("SessionManager", service._stub).currentSession
