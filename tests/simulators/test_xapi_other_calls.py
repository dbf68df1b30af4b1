# SPDX-License-Identifier: Apache-2.0
"""What the simulated pool makes of calls that no importer needs, but other clients make."""

import pytest

MIB = 1024 * 1024
NULL = "OpaqueRef:NULL"


@pytest.fixture
def pool(simulated_pool):
    return simulated_pool(hosts=2, guest_agent=True)


@pytest.fixture
def error(client, refused):
    def call(method, *args):
        with pytest.raises(refused) as failed:
            client.rpc(method, *args)
        return list(failed.value.args)

    return call


@pytest.fixture
def running(client):
    vm = client.vm(VCPUs_max="4")
    client.rpc("VM.start", vm, False, False)
    return vm


# a running guest


def test_vcpus_and_memory_of_a_running_guest(client, running, error):
    client.rpc("VM.set_VCPUs_number_live", running, "3")
    assert client.rpc("VM_metrics.get_VCPUs_number", client.rpc("VM.get_metrics", running)) == "3"
    assert error("VM.set_VCPUs_number_live", running, "5")[0] == "INVALID_VALUE"
    client.rpc("VM.set_memory_target_live", running, str(256 * MIB))
    client.rpc("VM.wait_memory_target_live", running)
    assert client.rpc("VM.get_memory_target", running) == str(256 * MIB)
    client.rpc("VM.add_to_VCPUs_params_live", running, "weight", "512")
    assert client.rpc("VM.get_VCPUs_params", running) == {"weight": "512"}
    assert error("VM.add_to_VCPUs_params_live", running, "colour", "red")[0] == "INVALID_VALUE"


def test_whether_an_operation_would_be_refused_can_be_asked(simulated_pool, client_of, refused):
    client = client_of(simulated_pool())
    vm = client.vm()

    def asked(operation):
        answer = client.answer("VM.assert_operation_valid", client.session, vm, operation)
        return answer.get("ErrorDescription", [""])[0]

    assert (asked("start"), asked("clean_shutdown")) == ("", "VM_BAD_POWER_STATE")
    client.rpc("VM.start", vm, False, False)
    assert (asked("hard_shutdown"), asked("clean_shutdown"), asked("start")) == (
        "",
        "VM_LACKS_FEATURE",
        "VM_BAD_POWER_STATE",
    )
    client.rpc("VM.add_to_blocked_operations", vm, "hard_shutdown", "no")
    assert asked("hard_shutdown") == "OPERATION_BLOCKED"


def test_a_copy_that_does_not_fit_leaves_nothing(simulated_pool, client_of, refused):
    from v2x.simulators.xapi import Layout

    client = client_of(simulated_pool(layout=Layout(sr_bytes={"nfs": 4 * MIB})))
    vdi = client.vdi(8 * MIB)
    client.upload(vdi, b"x" * 8 * MIB)
    before = client.rpc("VDI.get_all")
    with pytest.raises(refused) as failed:
        client.rpc("VDI.copy", vdi, client.sr("NFS storage"))
    assert failed.value.code == "SR_BACKEND_FAILURE_44"
    assert client.rpc("VDI.get_all") == before


def test_a_guest_tells_what_is_measured(client, running, error):
    names = {s["name_label"]: s for s in client.rpc("VM.get_data_sources", running)}
    assert {"memory", "cpu0", "cpu1"} <= set(names)
    assert client.rpc("VM.query_data_source", running, "memory") == float(512 * MIB)
    assert error("VM.query_data_source", running, "colour") == ["INVALID_VALUE", "data_source", "colour"]
    client.rpc("VM.hard_shutdown", running)
    assert error("VM.get_data_sources", running)[0] == "VM_BAD_POWER_STATE"
    host = client.rpc("host.get_all")[0]
    assert client.rpc("host.query_data_source", host, "memory_total_kib") == 64.0 * 1024 * 1024
    sr = client.sr()
    assert str(int(client.rpc("SR.query_data_source", sr, "size"))) == client.rpc("SR.get_physical_size", sr)


def test_the_most_memory_that_fits(client, running):
    total = 1024 * MIB
    most = int(client.rpc("VM.maximise_memory", running, str(total), False))
    assert 0 < most < total
    assert most % MIB == 0
    assert client.rpc("VM.maximise_memory", running, "1000", False) == "0"


def test_invariant_30_a_generation_id_is_made_where_one_is_wanted(client):
    made = {}
    for asked in ("0:0", "", "7:8"):
        vm = client.vm(generation_id=asked)
        client.rpc("VM.start", vm, False, False)
        made[asked] = client.rpc("VM.get_generation_id", vm)
    assert (made[""], made["7:8"]) == ("", "7:8")
    assert made["0:0"] != "0:0"
    assert all(part.isdigit() for part in made["0:0"].split(":"))


def test_an_agile_vm_has_shared_disks_and_networks(client, error):
    vm = client.vm()
    client.rpc("VM.assert_agile", vm)
    client.vbd(vm, client.vdi(MIB))
    assert error("VM.assert_agile", vm) == ["HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", client.sr()]
    other = client.vm()
    (internal,) = client.rpc("network.get_by_name_label", "Internal")
    client.vif(other, internal)
    assert error("VM.assert_agile", other) == ["HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED", internal]


def test_the_firmware_variables_of_a_vm(client, error):
    vm = client.vm(HVM_boot_params={"firmware": "uefi"})
    client.rpc("VM.set_NVRAM", vm, {"EFI-variables": "AAAA"})
    assert error("VM.add_to_NVRAM", vm, "EFI-variables", "x")[0] == "MAP_DUPLICATE_KEY"
    assert client.rpc("VM.set_uefi_mode", vm, "setup") == ""
    assert client.rpc("VM.get_NVRAM", vm) == {}
    bios = client.vm()
    assert error("VM.set_uefi_mode", bios, "setup")[0] == "OPERATION_NOT_ALLOWED"


# vApps


def test_a_vapp_starts_in_its_order_and_goes_without_its_vms(client, error):
    appliance = client.rpc("VM_appliance.create", {"name_label": "a", "name_description": ""})
    second, first = client.vm(order="2"), client.vm(order="1")
    for vm in (second, first):
        client.rpc("VM.set_appliance", vm, appliance)
    task = client.rpc("Async.VM_appliance.start", appliance, False)
    assert client.finished(task)["status"] == "success"
    domids = [int(client.rpc("VM.get_domid", vm)) for vm in (first, second)]
    assert domids == sorted(domids)
    assert error("VM.set_is_a_template", second, True) == ["VM_IS_PART_OF_AN_APPLIANCE", second, appliance]
    client.rpc("VM_appliance.clean_shutdown", appliance)
    assert {client.rpc("VM.get_power_state", vm) for vm in (first, second)} == {"Halted"}
    broken = client.vm(VCPUs_max="0", order="0")
    client.rpc("VM.set_appliance", broken, appliance)
    assert error("VM_appliance.start", appliance, False)[:2] == ["OPERATION_PARTIALLY_FAILED", "INVALID_VALUE"]
    assert client.rpc("VM.get_power_state", first) == "Running"  # the others start all the same
    client.rpc("VM_appliance.destroy", appliance)
    assert client.rpc("VM.get_appliance", first) == NULL


# the pool


def test_roles_and_their_permissions(client, error):
    roles = {r["name_label"]: ref for ref, r in client.rpc("role.get_all_records").items()}
    assert set(roles) == {"pool-admin", "pool-operator", "vm-power-admin", "vm-admin", "vm-operator", "read-only"}
    of = {name: set(client.rpc("role.get_permissions_name_label", ref)) for name, ref in roles.items()}
    assert "vm.get_all" in of["read-only"]
    assert "vm.start" in of["vm-operator"] - of["read-only"]
    assert (
        of["read-only"]
        < of["vm-operator"]
        < of["vm-admin"]
        < of["vm-power-admin"]
        < of["pool-operator"]
        < of["pool-admin"]
    )
    assert roles["vm-admin"] in client.rpc("role.get_by_permission_name_label", "VDI.create")
    subject = client.rpc("subject.create", {"subject_identifier": "S-1", "other_config": {}})
    assert error("subject.create", {"subject_identifier": "S-1", "other_config": {}}) == ["SUBJECT_ALREADY_EXISTS"]
    assert client.rpc("subject.get_roles", subject) == [roles["pool-admin"]]
    client.rpc("subject.remove_from_roles", subject, roles["pool-admin"])
    client.rpc("subject.add_to_roles", subject, roles["read-only"])
    assert error("subject.add_to_roles", subject, roles["read-only"]) == ["ROLE_ALREADY_EXISTS"]
    assert set(client.rpc("subject.get_permissions_name_label", subject)) == of["read-only"]


def test_blobs_hang_on_their_owner(client):
    vm = client.vm()
    blob = client.rpc("VM.create_new_blob", vm, "note", "text/plain", False)
    assert client.rpc("VM.get_blobs", vm) == {"note": blob}
    client.rpc("blob.destroy", blob)
    assert client.rpc("VM.get_blobs", vm) == {}


def test_what_needs_another_server_says_that_it_is_not_there(client, error):
    pool = client.rpc("pool.get_all")[0]
    assert error("pool.join", "192.0.2.1", "root", "x") == ["JOINING_HOST_CONNECTION_FAILED"]
    assert error("pool.retrieve_wlb_recommendations") == ["WLB_NOT_INITIALIZED"]
    assert error("pool.initialize_wlb", "nonsense", "a", "b", "c", "d") == ["WLB_URL_INVALID", "nonsense"]
    assert error("pool.apply_edition", pool, "gold") == ["INVALID_EDITION", "gold"]
    assert error("pool.sync_updates", pool, False, "", "")[0] == "NO_REPOSITORIES_CONFIGURED"
    assert error("pool.enable_external_auth", pool, {}, "x", "LDAP") == ["AUTH_UNKNOWN_TYPE", "LDAP"]


def test_certificates_are_installed_by_name(client, error, pool):
    pem = client.rpc("host.get_server_certificate", client.rpc("host.get_all")[0])
    client.rpc("pool.install_ca_certificate", "mine.pem", pem)
    assert error("pool.install_ca_certificate", "mine.pem", pem) == ["CERTIFICATE_ALREADY_EXISTS", "mine.pem"]
    assert error("pool.install_ca_certificate", "other.pem", "no certificate") == ["CERTIFICATE_CORRUPT", "other.pem"]
    assert error("pool.install_ca_certificate", "../x", pem) == ["CERTIFICATE_NAME_INVALID", "../x"]
    assert client.rpc("pool.certificate_list") == ["mine.pem"]
    client.rpc("pool.uninstall_ca_certificate", "mine.pem")
    assert error("pool.uninstall_ca_certificate", "mine.pem") == ["CERTIFICATE_DOES_NOT_EXIST", "mine.pem"]


def test_storage_is_introduced_and_plugged(client, error):
    one, two = client.rpc("host.get_all")
    uuid = "11111111-2222-3333-4444-555555555555"
    sr = client.rpc("SR.introduce", uuid, "there", "", "nfs", "user", True, {})
    assert error("SR.introduce", uuid, "there", "", "nfs", "user", True, {}) == ["SR_UUID_EXISTS", uuid]
    assert error(
        "VDI.create",
        {"SR": sr, "virtual_size": "1", "type": "user", "sharable": False, "read_only": False, "other_config": {}},
    ) == ["SR_HAS_NO_PBDS", sr]
    pbd = client.rpc("PBD.create", {"host": one, "SR": sr, "device_config": {}, "other_config": {}})
    assert error("PBD.create", {"host": one, "SR": sr, "device_config": {}, "other_config": {}}) == [
        "PBD_EXISTS",
        sr,
        one,
        pbd,
    ]
    client.rpc("PBD.plug", pbd)
    assert client.vdi(MIB, sr)
    assert error("PBD.create", {"host": two, "SR": client.sr(), "device_config": {}, "other_config": {}}) == [
        "SR_NOT_SHARABLE",
        client.sr(),
        two,
    ]


def test_old_events_are_told_once(client, error):
    assert error("event.next")[0] == "SESSION_NOT_REGISTERED"
    client.rpc("event.register", ["VM"])
    vm = client.vm(name_label="heard")
    told = client.rpc("event.next")
    assert [(e["operation"], e["ref"], e["class"]) for e in told] == [("add", vm, "vm")]
    client.rpc("VM.set_name_label", vm, "again")
    assert [e["operation"] for e in client.rpc("event.next")] == ["mod"]
    client.rpc("event.unregister", ["VM"])
    assert error("event.next")[0] == "SESSION_NOT_REGISTERED"
