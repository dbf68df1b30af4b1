# SPDX-License-Identifier: Apache-2.0
"""Invariants 14, 29 and 30 of the simulated pool: each check of VM.start, and their order."""

import pytest

from v2x.simulators.xapi import Layout

MIB, GIB = 1024**2, 1024**3
NULL = "OpaqueRef:NULL"
UEFI = {"firmware": "uefi"}


@pytest.fixture
def start(client, refused):
    """The error that VM.start ends with."""

    def call(vm, method="VM.start", *host):
        with pytest.raises(refused) as failed:
            client.rpc(method, vm, *host, False, False)
        return list(failed.value.args)

    return call


def test_invariant_30_a_busy_vm_does_not_start(pool, client, start):
    vm, task = client.vm(), client.task()
    pool.state.store.set("VM", vm, current_operations={task: "clone"})
    assert start(vm) == ["OTHER_OPERATION_IN_PROGRESS", "VM", vm, "clone", task]


def test_invariant_30_a_template_and_a_blocked_vm_do_not_start(client, start):
    vm = client.vm(is_a_template=True)
    assert start(vm) == ["VM_IS_TEMPLATE", vm, "start"]
    vm = client.vm()
    client.rpc("VM.add_to_blocked_operations", vm, "start", "why")
    assert start(vm) == ["OPERATION_BLOCKED", vm, "why"]
    host = client.rpc("host.get_all")[0]
    client.rpc("VM.add_to_blocked_operations", vm, "start_on", "why not")
    assert start(vm, "VM.start_on", host) == ["OPERATION_BLOCKED", vm, "why not"]


@pytest.mark.parametrize(
    ("record", "failure"),
    [
        ({"memory_static_max": "0", "memory_static_min": "0"}, ["MEMORY_CONSTRAINT_VIOLATION"]),
        ({"HVM_shadow_multiplier": 0.5}, ["INVALID_VALUE", "HVM_shadow_multiplier", "0.5"]),
        ({"actions_after_crash": "rename_restart"}, ["VALUE_NOT_SUPPORTED", "actions_after_crash"]),
        (
            {"platform": {"device-model": "qemu-trad"}, "HVM_boot_params": UEFI},
            ["INVALID_VALUE", "platform:device-model"],
        ),
        ({"platform": {"cores-per-socket": "0"}}, ["VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE", "2", "0"]),
    ],
)
def test_invariant_30_the_record_is_checked(client, start, record, failure):
    assert start(client.vm(**record))[: len(failure)] == failure


def test_invariant_30_nothing_changes_when_a_start_is_refused(client, start):
    vm = client.vm(VCPUs_max="64")
    client.vbd(vm, client.vdi(MIB))
    before = client.rpc("VM.get_record", vm)
    start(vm)
    assert client.rpc("VM.get_record", vm) == before


def test_invariant_30_each_state_of_the_host_has_its_error(pool, client, start):
    (host,) = client.rpc("host.get_all")
    vm = client.vm()
    pool.state.store.set("host_metrics", client.rpc("host.get_metrics", host), live=False)
    assert start(vm) == start(vm, "VM.start_on", host) == ["HOST_NOT_LIVE"]
    pool.state.store.set("host_metrics", client.rpc("host.get_metrics", host), live=True)
    client.rpc("host.disable", host)
    assert start(vm) == ["HOST_DISABLED", host]


def test_invariant_30_a_host_without_virtualisation_runs_no_hvm_guest(simulated_pool, client_of, refused):
    client = client_of(simulated_pool(layout=Layout(hvm=False)))
    vm = client.vm()
    with pytest.raises(refused) as failed:
        client.rpc("VM.start", vm, False, False)
    assert failed.value.args == ("VM_HVM_REQUIRED", vm)
    client.rpc("VM.start", client.vm(HVM_boot_policy=""), False, False)


def test_invariant_30_storage_and_memory_and_processors_come_in_this_order(client, start, refused):
    vm = client.vm(memory_static_max=str(100 * GIB), VCPUs_max="64")
    vdi = client.vdi(MIB)
    client.vbd(vm, vdi)
    (pbd,) = client.rpc("SR.get_PBDs", client.sr())
    client.rpc("PBD.unplug", pbd)
    assert start(vm) == ["VM_REQUIRES_SR", vm, client.sr()]
    client.rpc("PBD.plug", pbd)
    needed, free = start(vm)[1:]
    assert int(needed) > 100 * GIB > int(free)
    client.rpc("VM.set_memory", vm, str(GIB))
    assert start(vm) == ["HOST_NOT_ENOUGH_PCPUS", "64", "16"]
    client.rpc("VM.add_to_platform", vm, "vcpu-unrestricted", "true")
    client.rpc("VM.start", vm, False, False)


def test_invariant_30_a_dry_run_changes_nothing(client):
    vm, host = client.vm(), client.rpc("host.get_all")[0]
    before = client.rpc("VM.get_record", vm)
    assert client.rpc("VM.assert_can_boot_here", vm, host) == ""
    assert client.rpc("VM.get_possible_hosts", vm) == [host]
    assert client.rpc("VM.get_record", vm) == before


def test_invariant_30_a_started_vm_has_what_the_start_makes(client):
    vm = client.vm(platform={}, HVM_boot_params={"firmware": "bios"})
    client.rpc("VM.start", vm, True, False)
    record = client.rpc("VM.get_record", vm)
    assert (record["power_state"], record["platform"]) == ("Paused", {"device-model": "qemu-upstream-compat"})
    assert record["guest_metrics"] == NULL
    client.rpc("VM.unpause", vm)
    assert client.rpc("VM.get_power_state", vm) == "Running"


# 29


def test_invariant_29_no_device_is_added_to_a_vm_that_migrates(pool, client, refused):
    vm, task, vdi = client.vm(), client.task(), client.vdi(MIB)
    pool.state.store.set("VM", vm, current_operations={task: "pool_migrate"})
    with pytest.raises(refused) as failed:
        client.vbd(vm, vdi, userdevice="nonsense")
    assert failed.value.args == ("OTHER_OPERATION_IN_PROGRESS", "VM", vm, "pool_migrate", task)


@pytest.mark.parametrize(("given", "taken"), [("autodetect", "0"), ("xvdb", "xvdb"), ("d7", "d7"), ("12", "12")])
def test_invariant_29_a_position_is_kept_as_it_was_spelled(client, given, taken):
    vm = client.vm()
    vbd = client.vbd(vm, client.vdi(MIB), userdevice=given)
    assert client.rpc("VBD.get_userdevice", vbd) == taken


def test_invariant_29_the_seed_makes_the_addresses_of_the_vectors(client):
    vm = client.vm(other_config={"mac_seed": "11111111-2222-3333-4444-555555555555"})
    network = client.rpc("network.get_all")[0]
    made = [client.rpc("VIF.get_MAC", client.vif(vm, network, device)) for device in ("0", "1", "6")]
    assert made == ["c6:42:6b:96:31:66", "b2:05:1e:8b:28:bc", "f2:4d:63:6d:c5:00"]


# 18


def test_invariant_18_one_disk_is_written_by_one_vm_and_read_by_many(client, start):
    writer, vdi = client.vm(), client.vdi(MIB)
    client.vbd(writer, vdi)
    client.rpc("VM.start", writer, False, False)
    second = client.vm()
    client.vbd(second, vdi)
    assert start(second)[:2] == ["VDI_IN_USE", vdi]
    client.rpc("VM.hard_shutdown", writer)
    readers = [client.vm(), client.vm()]
    for vm in readers:
        client.vbd(vm, vdi, mode="RO")
        client.rpc("VM.start", vm, False, False)
    assert start(second)[:2] == ["VDI_IN_USE", vdi]
