# SPDX-License-Identifier: Apache-2.0
"""Invariants 9–15 of the simulated pool: records, constructors, maps, destruction, operations, snapshots."""

import os

import pytest

from v2x.simulators.xapi import PROFILES
from v2x.simulators.xapi.datamodel import load

NULL = "OpaqueRef:NULL"
MIB = 1024 * 1024
_KINDS = {"bool": bool, "float": float, "set": list, "map": dict}


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_invariant_09_records_have_all_fields_of_the_version_with_their_types(simulated_pool, client_of, profile):
    pool = simulated_pool(profile=profile)
    client = client_of(pool)
    vdi = client.vdi(4 * MIB)
    vm = client.vm()
    client.vbd(vm, vdi)
    client.vif(vm, client.rpc("network.get_all")[0])
    client.task()
    model = load(PROFILES[profile].datamodel)
    for cls in ("pool", "host", "VM", "VBD", "VIF", "VDI", "SR", "PBD", "SM", "network", "PIF", "VLAN", "task"):
        fields = {f.name: f for f in model.classes[cls].fields.values() if not f.internal_only}
        records = client.rpc(f"{cls}.get_all_records")
        assert records, cls
        for record in records.values():
            assert set(record) == set(fields)
            for name, value in record.items():
                assert isinstance(value, _KINDS.get(fields[name].type.kind, object)), (cls, name)
                if fields[name].type.kind == "int":
                    assert int(value) == int(str(value))
                    assert isinstance(value, str)


def test_invariant_09_relations_hold_both_ways(client):
    vdi, vm = client.vdi(4 * MIB), client.vm()
    network = client.rpc("network.get_all")[0]
    vbd, vif = client.vbd(vm, vdi), client.vif(vm, network)
    vtpm = client.rpc("VTPM.create", vm, False)
    assert client.rpc("VM.get_VBDs", vm) == client.rpc("VDI.get_VBDs", vdi) == [vbd]
    assert client.rpc("VM.get_VIFs", vm) == [vif]
    assert vif in client.rpc("network.get_VIFs", network)
    assert client.rpc("VM.get_VTPMs", vm) == [vtpm]
    assert vdi in client.rpc("SR.get_VDIs", client.sr())
    for pbd in client.rpc("SR.get_PBDs", client.sr()):
        assert pbd in client.rpc("host.get_PBDs", client.rpc("PBD.get_host", pbd))
    client.rpc("VBD.destroy", vbd)
    assert client.rpc("VDI.get_VBDs", vdi) == []


def test_invariant_10_constructors_require_their_members(client, refused):
    for name in client.vm_record():
        if name == "name_label":
            continue
        record = client.vm_record()
        del record[name]
        with pytest.raises(refused) as failed:
            client.rpc("VM.create", record)
        assert failed.value.code == "INTERNAL_ERROR"
        assert name in failed.value.args[1]


def test_invariant_10_vm_create_checks_nothing_and_ignores_some_members(client, refused):
    vm = client.vm(
        VCPUs_max="0",
        memory_static_max="-1",
        platform={"cores-per-socket": "x"},
        HVM_boot_params={"firmware": "none"},
        blocked_operations={"start": "no"},
        power_state="Running",
    )
    record = client.rpc("VM.get_record", vm)
    assert record["blocked_operations"] == {}
    assert record["power_state"] == "Halted"
    assert record["has_vendor_device"] is True
    assert record["domain_type"] == "hvm"
    assert len(record["other_config"]["mac_seed"]) == 36
    assert record["metrics"] in client.rpc("VM_metrics.get_all")
    assert record["domid"] == "-1"
    assert client.rpc("VM.get_domain_type", client.vm(HVM_boot_policy="")) == "pv"
    with pytest.raises(refused) as failed:
        client.vm(power_state="suspended")
    assert failed.value.code == "VM_BAD_POWER_STATE"
    seeded = client.vm(other_config={"mac_seed": "s", "k": "v"})
    assert client.rpc("VM.get_other_config", seeded) == {"mac_seed": "s", "k": "v"}
    assert client.rpc("VBD.get_metrics", client.vbd(vm, client.vdi(1))) != NULL


def test_invariant_11_maps_and_sets(client, refused):
    vdi = client.vdi(4 * MIB, other_config={"a": "1"})
    client.rpc("VDI.add_to_other_config", vdi, "b", "2")
    with pytest.raises(refused) as failed:
        client.rpc("VDI.add_to_other_config", vdi, "b", "3")
    assert failed.value.args == ("MAP_DUPLICATE_KEY", "VDI", "other_config", vdi, "b")
    client.rpc("VDI.remove_from_other_config", vdi, "not there")
    client.rpc("VDI.remove_from_other_config", vdi, "a")
    assert client.rpc("VDI.get_other_config", vdi) == {"b": "2"}
    client.rpc("VDI.add_tags", vdi, "x")
    client.rpc("VDI.add_tags", vdi, "x")
    assert client.rpc("VDI.get_tags", vdi) == ["x"]
    client.rpc("VDI.remove_tags", vdi, "y")
    client.rpc("VDI.remove_tags", vdi, "x")
    assert client.rpc("VDI.get_tags", vdi) == []


def test_invariant_12_vm_destroy_leaves_the_disks(pool, client, refused):
    vm, vdi = client.vm(HVM_boot_params={"firmware": "uefi"}), client.vdi(4 * MIB)
    vbd = client.vbd(vm, vdi)
    vif = client.vif(vm, client.rpc("network.get_all")[0])
    vtpm = client.rpc("VTPM.create", vm, False)
    client.rpc("VM.start", vm, False, False)
    with pytest.raises(refused) as failed:
        client.rpc("VM.destroy", vm)
    assert failed.value.args == ("VM_BAD_POWER_STATE", vm, "halted", "running")
    client.rpc("VM.hard_shutdown", vm)
    client.rpc("VM.destroy", vm)
    assert client.rpc("VDI.get_VBDs", vdi) == []
    for cls, ref in (("VBD", vbd), ("VIF", vif), ("VTPM", vtpm), ("VM", vm)):
        with pytest.raises(refused) as failed:
            client.rpc(f"{cls}.get_record", ref)
        assert failed.value.args == ("HANDLE_INVALID", cls, ref)
    template = next(r for r, v in pool.records("VM").items() if v["is_default_template"])
    with pytest.raises(refused) as failed:
        client.rpc("VM.destroy", template)
    assert failed.value.args == ("VM_CANNOT_DELETE_DEFAULT_TEMPLATE", template)


def test_invariant_13_allowed_operations_follow_the_state(client):
    vm, vdi = client.vm(), client.vdi(4 * MIB)
    client.vbd(vm, vdi)
    halted = client.rpc("VM.get_allowed_operations", vm)
    assert {"start", "start_on", "clone", "copy", "destroy", "snapshot", "export", "changing_VCPUs"} <= set(halted)
    assert not {"hard_shutdown", "pause", "resume", "clean_shutdown"} & set(halted)
    client.rpc("VM.add_to_blocked_operations", vm, "destroy", "kept")
    assert set(halted) - set(client.rpc("VM.get_allowed_operations", vm)) == {"destroy"}
    client.rpc("VM.remove_from_blocked_operations", vm, "destroy")
    assert client.rpc("VM.get_allowed_operations", vm) == halted
    assert "destroy" in client.rpc("VDI.get_allowed_operations", vdi)
    token = client.rpc("event.from", [f"vdi/{vdi}"], "", 1.0)["token"]
    client.rpc("VM.start", vm, False, False)
    assert "start" not in client.rpc("VM.get_allowed_operations", vm)
    assert "hard_shutdown" in client.rpc("VM.get_allowed_operations", vm)
    assert "destroy" not in client.rpc("VDI.get_allowed_operations", vdi)
    (event,) = client.rpc("event.from", [f"vdi/{vdi}"], token, 5.0)["events"]
    assert "destroy" not in event["snapshot"]["allowed_operations"]


def test_invariant_14_blocked_operations_are_honoured(client, refused):
    vm = client.vm()
    client.rpc("VM.add_to_blocked_operations", vm, "start", "being imported")
    client.rpc("VM.add_to_blocked_operations", vm, "START_ON", "being imported")
    assert client.rpc("VM.get_blocked_operations", vm) == dict.fromkeys(("start", "start_on"), "being imported")
    assert "start" not in client.rpc("VM.get_allowed_operations", vm)
    with pytest.raises(refused) as failed:
        client.rpc("VM.start", vm, False, False)
    assert failed.value.args == ("OPERATION_BLOCKED", vm, "being imported")
    client.rpc("VM.remove_from_blocked_operations", vm, "start")
    client.rpc("VM.start", vm, False, False)


def test_invariant_15_vdi_snapshot_keeps_its_content(client, content_of):
    content = os.urandom(4 * MIB)
    vdi = client.vdi(4 * MIB)
    client.upload(vdi, content)
    snapshot = client.rpc("VDI.snapshot", vdi)
    client.upload(vdi, b"\xaa" * MIB)
    record = client.rpc("VDI.get_record", snapshot)
    assert (record["is_a_snapshot"], record["snapshot_of"], record["read_only"]) == (True, vdi, False)
    assert record["snapshot_time"].value > "2020"
    assert client.rpc("VDI.get_snapshots", vdi) == [snapshot]
    assert content_of(snapshot) == content
    assert content_of(vdi) == b"\xaa" * MIB + content[MIB:]
    clone = client.rpc("VDI.clone", snapshot)
    assert content_of(clone) == content
    assert client.rpc("VDI.get_is_a_snapshot", clone) is False


def test_invariant_15_vm_snapshot_and_revert(client, content_of, refused):
    vm, vdi = client.vm(), client.vdi(4 * MIB)
    client.upload(vdi, b"1" * MIB)
    client.vbd(vm, vdi)
    client.vbd(vm, NULL, type="CD", mode="RO", empty=True)
    vif = client.vif(vm, client.rpc("network.get_all")[0], mac="02:00:00:00:00:01")
    snapshot = client.rpc("VM.snapshot", vm, "before")
    record = client.rpc("VM.get_record", snapshot)
    assert (record["is_a_snapshot"], record["is_a_template"], record["snapshot_of"]) == (True, True, vm)
    assert len(record["VBDs"]) == 2
    disks = {client.rpc("VBD.get_type", v): client.rpc("VBD.get_VDI", v) for v in record["VBDs"]}
    assert disks["CD"] == NULL
    assert client.rpc("VDI.get_snapshot_of", disks["Disk"]) == vdi
    assert client.rpc("VIF.get_MAC", record["VIFs"][0]) == client.rpc("VIF.get_MAC", vif)
    client.upload(vdi, b"2" * MIB)
    client.rpc("VM.revert", snapshot)
    (now,) = [
        client.rpc("VBD.get_VDI", v) for v in client.rpc("VM.get_VBDs", vm) if client.rpc("VBD.get_type", v) == "Disk"
    ]
    assert content_of(now)[:MIB] == b"1" * MIB
    with pytest.raises(refused) as failed:
        client.rpc("VM.start", snapshot, False, False)
    assert failed.value.code == "VM_IS_SNAPSHOT"


def test_templates_clone_and_provision(client, refused):
    (template,) = client.rpc("VM.get_by_name_label", "Debian Bookworm 12")
    record = client.rpc("VM.get_record", template)
    assert record["reference_label"] == "debian-12"
    assert "<provision>" in record["other_config"]["disks"]
    with pytest.raises(refused) as failed:
        client.rpc("VM.start", template, False, False)
    assert failed.value.args == ("VM_IS_TEMPLATE", template, "start")
    vm = client.rpc("VM.clone", template, "mine")
    assert client.rpc("VM.get_is_default_template", vm) is False
    client.rpc("VM.remove_from_other_config", vm, "disks")
    client.rpc("VM.provision", vm)
    assert client.rpc("VM.get_is_a_template", vm) is False
    assert client.rpc("VM.get_VBDs", vm) == []
    with_disk = client.rpc("VM.clone", template, "with disk")
    client.rpc("VM.provision", with_disk)
    (vbd,) = client.rpc("VM.get_VBDs", with_disk)
    assert client.rpc("VDI.get_SR", client.rpc("VBD.get_VDI", vbd)) == client.sr()
    with pytest.raises(refused) as failed:
        client.rpc("VM.provision", with_disk)
    assert failed.value.code == "PROVISION_ONLY_ALLOWED_ON_TEMPLATE"


def test_records_can_be_filtered(client, refused):
    found = client.rpc("VM.get_all_records_where", 'field "is_control_domain" = "true"')
    assert [v["domid"] for v in found.values()] == ["0"]
    query = 'not (field "name__label" = "Local storage") and (field "type" = "ext" or field "type" = "nfs")'
    assert [v["type"] for v in client.rpc("SR.get_all_records_where", query).values()] == ["nfs"]
    with pytest.raises(refused) as failed:
        client.rpc("SR.get_all_records_where", "field (")
    assert failed.value.code == "INTERNAL_ERROR"
