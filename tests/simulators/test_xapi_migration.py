# SPDX-License-Identifier: Apache-2.0
"""Migration inside a simulated pool of several hosts: of VMs, of disks, of both; evacuation."""

import os

import pytest

MIB = 1024 * 1024


@pytest.fixture
def pool(simulated_pool):
    return simulated_pool(hosts=2, guest_agent=True)


@pytest.fixture
def hosts(client):
    return client.rpc("host.get_all")


@pytest.fixture
def error(client, refused):
    def call(method, *args):
        with pytest.raises(refused) as failed:
            client.rpc(method, *args)
        return list(failed.value.args)

    return call


@pytest.fixture
def running(client, hosts):
    """A VM that runs on the first host, its disk (of random content) on shared storage: (vm, vdi, vbd, content)."""
    content = os.urandom(2 * MIB)
    vm, vdi = client.vm(), client.vdi(2 * MIB, client.sr("NFS storage"))
    client.upload(vdi, content)
    vbd = client.vbd(vm, vdi)
    client.rpc("VM.start_on", vm, hosts[0], False, False)
    return vm, vdi, vbd, content


def test_a_running_vm_moves_to_another_host(client, hosts, running, error):
    vm, vdi, vbd, _content = running
    task = client.rpc("Async.VM.pool_migrate", vm, hosts[1], {"live": "true"})
    assert client.finished(task)["status"] == "success"
    assert client.rpc("VM.get_resident_on", vm) == hosts[1]
    assert (client.rpc("VM.get_power_state", vm), client.rpc("VBD.get_VDI", vbd)) == ("Running", vdi)
    console = client.rpc("console.get_location", client.rpc("VM.get_consoles", vm)[0])
    assert client.rpc("host.get_address", hosts[1]) in console
    client.rpc("VM.hard_shutdown", vm)
    assert error("VM.pool_migrate", vm, hosts[0], {}) == ["VM_BAD_POWER_STATE", vm, "running", "halted"]
    assert error("VM.pool_migrate", vm, "OpaqueRef:none", {})[0] == "VM_BAD_POWER_STATE"


def test_a_vm_does_not_move_where_it_could_not_start(client, hosts, running, error):
    vm = running[0]
    local = client.vdi(MIB)
    client.rpc("VBD.plug", client.vbd(vm, local))
    assert error("VM.pool_migrate", vm, hosts[1], {}) == ["VM_REQUIRES_SR", vm, client.sr()]
    client.rpc("host.disable", hosts[1])
    assert error("VM.pool_migrate", vm, hosts[1], {}) == ["HOST_DISABLED", hosts[1]]
    assert client.rpc("VM.get_resident_on", vm) == hosts[0]


def test_a_guest_without_agent_stays(simulated_pool, client_of, refused):
    client = client_of(simulated_pool(hosts=2))
    one, two = client.rpc("host.get_all")
    vm = client.vm()
    client.rpc("VM.start_on", vm, one, False, False)
    with pytest.raises(refused) as failed:
        client.rpc("VM.pool_migrate", vm, two, {})
    assert failed.value.args == ("VM_LACKS_FEATURE", vm)


def received(client, host):
    network = client.rpc("network.get_by_name_label", "Pool-wide network associated with eth0")[0]
    return client.rpc("host.migrate_receive", host, network, {})


def test_migrate_receive_names_the_services_and_a_session(client, hosts, error, pool):
    told = received(client, hosts[1])
    assert set(told) == {"SM", "host", "xenops", "session_id", "master"}
    assert (told["host"], told["master"]) == (hosts[1], f"https://{pool.address}/")
    assert type(client)(pool.address, pool.user, pool.password, session=told["session_id"]).rpc("VM.get_all")
    (internal,) = client.rpc("network.get_by_name_label", "Internal")
    assert error("host.migrate_receive", hosts[1], internal, {}) == ["HOST_CANNOT_ATTACH_NETWORK", hosts[1], internal]
    (tagged,) = client.rpc("network.get_by_name_label", "VLAN 10")
    assert error("host.migrate_receive", hosts[1], tagged, {})[0] == "INTERFACE_HAS_NO_IP"


def test_a_vm_moves_with_its_disks(client, hosts, running, error, content_of):
    vm, vdi, vbd, content = running
    other = client.sr("Local storage 2")
    told = received(client, hosts[1])
    local = client.sr("Local storage")
    assert error("VM.assert_can_migrate", vm, told, True, {vdi: local}, {}, {}) == [
        "HOST_CANNOT_SEE_SR",
        hosts[1],
        local,
    ]
    assert error("VM.assert_can_migrate", vm, told, False, {vdi: other}, {}, {})[0] == "VM_BAD_POWER_STATE"
    assert client.rpc("VM.assert_can_migrate", vm, told, True, {vdi: other}, {}, {}) == ""
    assert client.rpc("VM.migrate_send", vm, told, True, {vdi: other}, {}, {}) == vm
    moved = client.rpc("VBD.get_VDI", vbd)
    assert client.rpc("VDI.get_SR", moved) == other
    assert content_of(moved) == content
    assert client.rpc("VM.get_resident_on", vm) == hosts[1]
    assert client.rpc("VBD.get_currently_attached", vbd) is True
    assert error("VDI.get_uuid", vdi) == ["HANDLE_INVALID", "VDI", vdi]


def test_a_disk_that_the_destination_does_not_reach_must_be_in_the_map(client, hosts, error):
    vm, vdi = client.vm(), client.vdi(MIB)
    client.vbd(vm, vdi)
    told = received(client, hosts[1])
    assert error("VM.assert_can_migrate", vm, told, True, {}, {}, {}) == ["VDI_NOT_IN_MAP", vdi]
    assert client.rpc("VM.migrate_send", vm, told, False, {vdi: client.sr("NFS storage")}, {}, {}) == vm
    assert client.rpc("VM.get_power_state", vm) == "Halted"


def test_another_pool_is_not_reached(client, hosts, running, error):
    vm = running[0]
    told = received(client, hosts[1]) | {"master": "https://192.0.2.77/"}
    assert error("VM.migrate_send", vm, told, True, {}, {}, {}) == ["VM_MIGRATE_CONTACT_REMOTE_SERVICE_FAILED"]
    assert error("VM.migrate_send", vm, {}, True, {}, {}, {})[0] == "INTERNAL_ERROR"


def test_the_disk_of_a_running_vm_moves_to_another_sr(client, running, error, content_of):
    _vm, vdi, vbd, content = running
    there = client.sr("Local storage")
    task = client.rpc("Async.VDI.pool_migrate", vdi, there, {})
    made = client.finished(task)["result"].removeprefix("<value>").removesuffix("</value>")
    assert client.rpc("VBD.get_VDI", vbd) == made != vdi
    assert (client.rpc("VDI.get_SR", made), content_of(made)) == (there, content)
    assert error("VDI.pool_migrate", made, client.sr("Local storage 2"), {})[0] == "HOST_CANNOT_SEE_SR"
    alone = client.vdi(MIB)
    assert error("VDI.pool_migrate", alone, client.sr("NFS storage"), {}) == ["VDI_NEEDS_VM_FOR_MIGRATE", alone]


def test_a_host_is_emptied_before_it_goes_down(client, hosts, running, error):
    vm = running[0]
    assert error("host.shutdown", hosts[0]) == ["HOST_NOT_DISABLED"]
    client.rpc("host.disable", hosts[0])
    assert error("host.shutdown", hosts[0]) == ["HOST_IN_USE", hosts[0], "VM", vm]
    client.rpc("host.assert_can_evacuate", hosts[0])
    assert client.rpc("host.get_vms_which_prevent_evacuation", hosts[0]) == {}
    client.rpc("host.evacuate", hosts[0])
    assert client.rpc("VM.get_resident_on", vm) == hosts[1]
    client.rpc("host.reboot", hosts[0])
    assert client.rpc("host.get_enabled", hosts[0]) is True


def test_a_vm_that_cannot_leave_keeps_its_host(client, hosts, error):
    vm = client.vm()
    client.vbd(vm, client.vdi(MIB))
    client.rpc("VM.start_on", vm, hosts[0], False, False)
    assert client.rpc("host.get_vms_which_prevent_evacuation", hosts[0]) == {vm: ["NO_HOSTS_AVAILABLE"]}
    assert error("host.evacuate", hosts[0])[0] == "CANNOT_EVACUATE_HOST"


def test_a_host_leaves_the_pool_with_its_local_storage(client, hosts, error, pool):
    vdi = client.vdi(MIB, client.sr("Local storage 2"))
    assert error("host.destroy", hosts[1]) == ["HOST_IS_LIVE", hosts[1]]
    assert error("pool.eject", hosts[0])[0] == "HOST_CANNOT_DESTROY_SELF"
    client.rpc("pool.eject", hosts[1])
    assert client.rpc("host.get_all") == [hosts[0]]
    assert error("VDI.get_uuid", vdi)[0] == "HANDLE_INVALID"
    assert {p["host"] for p in client.rpc("PIF.get_all_records").values()} == {hosts[0]}
    assert client.rpc("SR.get_by_name_label", "NFS storage")
