# SPDX-License-Identifier: Apache-2.0
"""Invariants 9, 10, 12 and 15 of the simulated pool, over every class that the datamodel knows."""

import pytest

from v2x.simulators.xapi import PROFILES, Layout
from v2x.simulators.xapi.datamodel import load

MIB = 1024 * 1024
NULL = "OpaqueRef:NULL"


@pytest.fixture
def full(simulated_pool, client_of):
    """A pool that has something of everything; its client."""
    pool = simulated_pool(layout=Layout(hosts=2, nics=3), guest_agent=True)
    client = client_of(pool)
    vm, vdi = client.vm(HVM_boot_params={"firmware": "uefi"}), client.vdi(2 * MIB, client.sr("NFS storage"))
    client.vbd(vm, vdi)
    client.vif(vm, client.rpc("network.get_all")[0])
    client.rpc("VTPM.create", vm, False)
    appliance = client.rpc("VM_appliance.create", {"name_label": "a", "name_description": ""})
    client.rpc("VM.set_appliance", vm, appliance)
    client.rpc("VM.snapshot", vm, "before")
    client.rpc("VM.start", vm, False, False)
    pifs = {r: p for r, p in client.rpc("PIF.get_all_records").items() if p["device"] in ("eth1", "eth2")}
    mine = [r for r, p in pifs.items() if p["host"] == client.rpc("host.get_all")[0]]
    client.rpc("Bond.create", client.rpc("network.create", {"other_config": {}}), mine, "", "balance-slb", {})
    client.rpc("tunnel.create", next(p for p in pifs if p not in mine), client.rpc("network.get_all")[2], "gre")
    return client


def test_invariant_09_every_relation_holds_both_ways(full):
    """Every one of the datamodel, whichever side the pool keeps: what one record says, the other says too."""
    model, seen = load("26.1"), set()
    records = {
        cls: full.rpc(f"{cls}.get_all_records")
        for cls in model.classes
        if "get_all_records" in model.classes[cls].messages
    }
    for cls, field, other, back in model.relations:
        if cls not in records or other not in records or (cls, field) == (other, back):
            continue
        if model.classes[cls].fields[field].internal_only or model.classes[other].fields[back].internal_only:
            continue
        for ref, record in records[cls].items():
            told = record[field] if isinstance(record[field], list) else [record[field]]
            for target in told:
                if target in records[other]:
                    seen.add((cls, field))
                    answer = records[other][target][back]
                    assert ref in (answer if isinstance(answer, list) else [answer]), (cls, field, other, back)
        for target, record in records[other].items():
            for ref in record[back] if isinstance(record[back], list) else [record[back]]:
                if ref in records[cls]:
                    held = records[cls][ref][field]
                    assert target in (held if isinstance(held, list) else [held]), (other, back, cls, field)
    named = {("VBD", "VM"), ("VBD", "VDI"), ("VDI", "SR"), ("PBD", "SR"), ("PBD", "host"), ("VIF", "network")}
    named |= {("VIF", "VM"), ("console", "VM"), ("VTPM", "VM"), ("PIF", "network"), ("PIF", "bond_slave_of")}
    named |= {("VM", "snapshot_of"), ("VDI", "snapshot_of"), ("VM", "appliance"), ("tunnel", "access_PIF")}
    assert named <= seen


def test_invariant_09_a_reference_leads_to_a_record_or_is_null(full):
    model = load("26.1")
    records = {
        cls: full.rpc(f"{cls}.get_all_records")
        for cls in model.classes
        if "get_all_records" in model.classes[cls].messages
    }
    for cls, found in records.items():
        for field in model.classes[cls].fields.values():
            kind = field.type if field.type.kind == "ref" else (field.type.args or (field.type,))[0]
            if kind.kind != "ref" or field.type.kind == "map" or field.internal_only or kind.name not in records:
                continue
            for record in found.values():
                held = record[field.name]
                for ref in held if isinstance(held, list) else [held]:
                    assert ref == NULL or ref in records[kind.name], (cls, field.name, ref)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_invariant_10_every_constructor_requires_its_members(simulated_pool, client_of, refused, profile):
    """Of each class that a client can create; the one that is missing is named, and comes before the session."""
    client = client_of(simulated_pool(profile=profile, save=False))
    model, tried = load(PROFILES[profile].datamodel), 0
    zeros = {"string": "", "int": "0", "float": 0.0, "bool": False, "ref": NULL, "set": [], "map": {}}
    for cls in model.classes.values():
        message = cls.messages.get("create")
        if message is None or message.kind != "constructor" or message.params[0].type.kind != "record":
            continue
        required = [f for f in cls.fields.values() if f.ctor == "required"]
        whole = {f.name: model.enums[f.type.name][0] if f.type.kind == "enum" else zeros[f.type.kind] for f in required}
        for field in required:
            given = {k: v for k, v in whole.items() if k != field.name}
            with pytest.raises(refused) as failed:
                client.plain(f"{cls.name}.create", "no session", given)
            assert failed.value.args == ("INTERNAL_ERROR", f"Server_helpers.Dispatcher_FieldNotFound({field.name})")
            tried += 1
    assert tried > 50


def test_invariant_10_records_that_go_with_a_device_are_made(client):
    vm = client.vm()
    vbd, vif = client.vbd(vm, client.vdi(MIB)), client.vif(vm, client.rpc("network.get_all")[0])
    for cls, ref in (("VM", vm), ("VBD", vbd), ("VIF", vif)):
        metrics = client.rpc(f"{cls}.get_metrics", ref)
        assert client.rpc(f"{cls}_metrics.get_uuid", metrics)
    client.rpc("VBD.destroy", vbd)
    client.rpc("VIF.destroy", vif)
    client.rpc("VM.destroy", vm)
    assert not [m for cls in ("VBD", "VIF") for m in client.rpc(f"{cls}_metrics.get_all")]


def test_invariant_12_a_vm_with_an_operation_under_way_stays(pool, client, refused):
    vm, task = client.vm(), client.task()
    pool.state.store.set("VM", vm, current_operations={task: "export"})
    with pytest.raises(refused) as failed:
        client.rpc("VM.destroy", vm)
    assert failed.value.args == ("OTHER_OPERATION_IN_PROGRESS", "VM", vm, "export", task)
    pool.state.store.set("VM", vm, current_operations={})
    client.rpc("VM.destroy", vm)


def test_invariant_12_the_disk_stays_and_the_suspend_image_goes(simulated_pool, client_of, refused, content_of):
    client = client_of(simulated_pool(guest_agent=True))
    vm, vdi = client.vm(), client.vdi(2 * MIB)
    client.upload(vdi, b"k" * MIB)
    client.vbd(vm, vdi)
    client.rpc("VM.start", vm, False, False)
    client.rpc("VM.suspend", vm)
    image = client.rpc("VM.get_suspend_VDI", vm)
    assert client.rpc("VDI.get_type", image) == "suspend"
    client.rpc("VM.hard_shutdown", vm)
    with pytest.raises(refused):
        client.rpc("VDI.get_uuid", image)
    client.rpc("VM.destroy", vm)
    assert client.export(vdi)[:MIB] == b"k" * MIB


def test_invariant_15_a_cd_is_in_the_snapshot_as_it_is_and_a_read_only_disk_stays_so(client):
    (iso,) = client.rpc("VDI.get_by_name_label", "guest-tools.iso")
    vm, locked = client.vm(), client.vdi(MIB, read_only=True)
    client.vbd(vm, iso, type="CD", mode="RO", userdevice="3")
    client.vbd(vm, locked, mode="RO", userdevice="0")
    snapshot = client.rpc("VM.snapshot", vm, "s")
    found = {
        client.rpc("VBD.get_userdevice", v): client.rpc("VBD.get_VDI", v) for v in client.rpc("VM.get_VBDs", snapshot)
    }
    assert found["3"] == iso
    record = client.rpc("VDI.get_record", found["0"])
    assert (record["snapshot_of"], record["read_only"], record["is_a_snapshot"]) == (locked, True, True)
    assert set(client.rpc("VM.get_VBDs", vm)) & set(client.rpc("VM.get_VBDs", snapshot)) == set()
