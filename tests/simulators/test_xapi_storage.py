# SPDX-License-Identifier: Apache-2.0
"""Invariants 16–20 of the simulated pool: sizes, space, attachment, redirects, zeroed devices."""

import os
import time

import pytest

from v2x.simulators.xapi import Layout

MIB, GIB = 1024**2, 1024**3
NULL = "OpaqueRef:NULL"


@pytest.mark.parametrize(
    ("asked", "config", "made"),
    [
        (1, {}, 2 * MIB),
        (2 * MIB + 1, {}, 4 * MIB),
        (2 * MIB + 1, {"image-format": "qcow2"}, 2 * MIB + 64 * 1024),
        (3000 * GIB, {"image-format": "qcow2"}, 3000 * GIB),
        (2040 * GIB, {}, 2040 * GIB),
    ],
)
def test_invariant_16_sizes_are_rounded_up(client, asked, config, made):
    vdi = client.vdi(asked, sm_config=config)
    assert client.rpc("VDI.get_virtual_size", vdi) == str(made)
    assert client.rpc("VDI.get_sm_config", vdi)["image-format"] == config.get("image-format", "vhd")


def test_invariant_16_limits_and_formats(simulated_pool, client, client_of, refused):
    with pytest.raises(refused) as failed:
        client.vdi(2040 * GIB + 1)
    text = "VDI Invalid size [opterr=VDI size must be between 1 MB and 2088960 MB]"
    assert failed.value.args == ("SR_BACKEND_FAILURE_79", "", text, "")
    with pytest.raises(refused) as failed:
        client.vdi(MIB, sm_config={"image-format": "vmdk"})
    assert failed.value.code.startswith("SR_BACKEND_FAILURE_")
    old = client_of(simulated_pool(profile="xcp-ng-8.2"))
    vdi = old.vdi(2 * MIB + 1, sm_config={"image-format": "qcow2"})
    assert old.rpc("VDI.get_virtual_size", vdi) == str(4 * MIB)


def test_invariant_16_iso_storage_makes_no_disks(client, refused):
    for name in ("ISO library", "DVD drives"):
        with pytest.raises(refused) as failed:
            client.vdi(MIB, client.sr(name))
        assert failed.value.code == "SR_OPERATION_NOT_SUPPORTED"


def test_invariant_17_thin_space_grows_with_written_blocks(client):
    sr = client.sr()
    vdi = client.vdi(100 * MIB)
    assert client.rpc("SR.get_physical_utilisation", sr) == "0"
    assert client.rpc("SR.get_virtual_allocation", sr) == str(100 * MIB)
    client.upload(vdi, os.urandom(3 * MIB))
    assert client.rpc("SR.get_physical_utilisation", sr) == str(4 * MIB)
    assert client.rpc("VDI.get_physical_utilisation", vdi) == str(4 * MIB)
    snapshot = client.rpc("VDI.snapshot", vdi)
    assert client.rpc("VDI.get_physical_utilisation", vdi) == "0"
    assert client.rpc("SR.get_physical_utilisation", sr) == str(4 * MIB)
    client.rpc("VDI.destroy", snapshot)
    assert client.rpc("VDI.get_physical_utilisation", vdi) == str(4 * MIB), "what both had in common stays"
    assert client.rpc("SR.get_physical_utilisation", sr) == str(4 * MIB)
    client.rpc("VDI.destroy", vdi)
    assert client.rpc("SR.get_physical_utilisation", sr) == "0"


def test_what_a_disk_overwrites_below_a_snapshot_is_paid_for_twice_until_that_goes(client):
    sr, vdi = client.sr(), client.vdi(100 * MIB)
    client.upload(vdi, os.urandom(8 * MIB))
    snapshot = client.rpc("VDI.snapshot", vdi)
    client.upload(vdi, os.urandom(4 * MIB))
    assert client.rpc("SR.get_physical_utilisation", sr) == str(12 * MIB)
    back = client.rpc("VDI.clone", snapshot)
    client.rpc("VDI.destroy", vdi)
    assert client.rpc("SR.get_physical_utilisation", sr) == str(8 * MIB)
    client.rpc("VDI.destroy", snapshot)
    assert client.rpc("VDI.get_physical_utilisation", back) == str(8 * MIB)


def test_snapshots_are_refused_as_xapi_refuses_them(client, refused):
    shared = client.vdi(2 * MIB, sharable=True)
    with pytest.raises(refused) as failed:
        client.rpc("VDI.snapshot", shared)
    assert failed.value.args == ("VDI_IS_SHARABLE", shared)
    forgetful = client.vdi(2 * MIB)
    client.rpc("VDI.set_on_boot", forgetful, "reset")
    with pytest.raises(refused) as failed:
        client.rpc("VDI.snapshot", forgetful)
    assert failed.value.code == "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"


def test_a_snapshot_has_its_disks_tags_and_is_of_it_and_a_clone_of_one_is_a_disk_by_itself(client):
    vdi = client.vdi(2 * MIB, other_config={"v2x-self": "x"})
    snapshot = client.rpc("VDI.snapshot", vdi)
    record = client.rpc("VDI.get_record", snapshot)
    assert record["other_config"] == {"v2x-self": "x"} and record["snapshot_of"] == vdi
    assert record["read_only"] is False, "a flag, not a protection"
    clone = client.rpc("VDI.get_record", client.rpc("VDI.clone", snapshot))
    assert clone["other_config"] == {"v2x-self": "x"}
    assert not clone["is_a_snapshot"] and clone["snapshot_of"] == NULL
    read_only = client.vdi(2 * MIB, read_only=True)
    kept = client.rpc("VDI.snapshot", read_only)
    outcome = client.upload(kept, bytes(MIB), check=False)
    assert "VDI_READONLY" in str(outcome)


def test_invariant_17_thick_space_is_taken_at_create(simulated_pool, client_of, refused):
    client = client_of(simulated_pool(layout=Layout(sr_bytes={"lvm": 100 * MIB})))
    sr = client.sr("LVM storage")
    vdi = client.vdi(60 * MIB, sr)
    assert 60 * MIB < int(client.rpc("SR.get_physical_utilisation", sr)) < 70 * MIB
    with pytest.raises(refused) as failed:
        client.vdi(60 * MIB, sr)
    assert failed.value.code == "SR_BACKEND_FAILURE_44"
    with pytest.raises(refused) as failed:
        client.rpc("VDI.snapshot", vdi)
    assert failed.value.code == "SR_BACKEND_FAILURE_44"


def test_invariant_17_a_full_thin_sr_fails_the_import_not_the_create(simulated_pool, client_of):
    pool = simulated_pool(layout=Layout(sr_bytes={"local": 6 * MIB}))
    client = client_of(pool)
    vdi = client.vdi(20 * MIB)
    record = client.upload(vdi, b"\x01" * (20 * MIB))
    assert (record["status"], record["error_info"][0]) == ("failure", "VDI_IO_ERROR")
    content = pool.vdi_path(client.rpc("VDI.get_uuid", vdi)).read_bytes()
    assert content == b"\x01" * (6 * MIB) + bytes(14 * MIB)


def test_invariant_18_an_import_attaches_through_the_control_domain(simulated_pool, client_of, refused):
    pool = simulated_pool(attach_delay=1.0, release_delay=0.5)
    client = client_of(pool)
    vdi = client.vdi(4 * MIB)
    first = client.task()
    client.put("/import_raw_vdi", b"x" * 512, task_id=first, vdi=vdi)
    (vbd,) = client.rpc("VDI.get_VBDs", vdi)
    record = client.rpc("VBD.get_record", vbd)
    assert client.rpc("VM.get_is_control_domain", record["VM"])
    assert (record["currently_attached"], record["mode"]) == (True, "RW")
    second = client.upload(vdi, b"y" * 512)
    assert second["error_info"][0] == "VDI_IN_USE"
    with pytest.raises(refused) as failed:
        client.rpc("VDI.destroy", vdi)
    assert failed.value.args == ("VDI_IN_USE", vdi, "destroy")
    vm = client.vm()
    client.vbd(vm, vdi)
    with pytest.raises(refused) as failed:
        client.rpc("VM.start", vm, False, False)
    assert failed.value.code == "VDI_IN_USE"
    assert client.finished(first)["status"] == "success"
    assert len(client.rpc("VDI.get_VBDs", vdi)) == 1
    client.rpc("VM.start", vm, False, False)
    assert client.upload(vdi, b"z")["error_info"][0] == "VDI_IN_USE"


def test_invariant_18_after_a_failure_the_disk_stays_attached_for_a_while(simulated_pool, client_of, refused):
    client = client_of(simulated_pool(release_delay=0.6))
    vdi = client.vdi(4 * MIB)
    assert client.upload(vdi, b"no vhd" * 100, format="vhd")["status"] == "failure"
    with pytest.raises(refused) as failed:
        client.rpc("VDI.destroy", vdi)
    assert failed.value.code == "VDI_IN_USE"
    assert "destroy" not in client.rpc("VDI.get_allowed_operations", vdi)
    deadline = time.monotonic() + 10
    while "destroy" not in client.rpc("VDI.get_allowed_operations", vdi):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    client.rpc("VDI.destroy", vdi)


def test_invariant_18_destroy_takes_unattached_vbds_along(client, refused):
    vm, vdi = client.vm(), client.vdi(MIB)
    vbd = client.vbd(vm, vdi)
    client.rpc("VDI.destroy", vdi)
    with pytest.raises(refused):
        client.rpc("VBD.get_record", vbd)
    assert client.rpc("VM.get_VBDs", vm) == []


def test_invariant_19_a_local_sr_of_another_host_is_redirected_to(simulated_pool, client_of):
    pool = simulated_pool(hosts=2)
    client = client_of(pool)
    vdi = client.vdi(4 * MIB, client.sr("Local storage 2"))
    task = client.task()
    answer = client.put("/import_raw_vdi", b"", vdi=vdi, task_id=task, format="raw")
    assert answer.status == 302
    where = answer.headers["location"]
    query = f"session_id={client.session}&vdi={vdi}&task_id={task}&format=raw"
    assert where == f"https://{pool.addresses[1]}/import_raw_vdi?{query}"
    assert client.rpc("task.get_status", task) == "pending"
    assert client.rpc("VDI.get_VBDs", vdi) == []
    before = client.rpc("task.get_all")
    assert client.put("/import_raw_vdi", b"", vdi=vdi).status == 302
    assert client.rpc("task.get_all") == before
    answer = client.put("/import_raw_vdi", b"x" * MIB, vdi=vdi, task_id=task, address=pool.addresses[1])
    assert answer.status == 200
    assert client.finished(task)["status"] == "success"
    shared = client.vdi(4 * MIB, client.sr("NFS storage"))
    assert client.put("/import_raw_vdi", b"x", vdi=shared, address=pool.addresses[1]).status == 200
    host = next(h for h in pool.records("host").values() if h["address"] == pool.addresses[1])
    assert host["address"] in pool.fingerprints


def test_invariant_20_fresh_disks_are_zero_but_raw_volumes_are_not(simulated_pool, client_of, make_vhd):
    pool = simulated_pool(layout=Layout(raw_lvm=True))
    client = client_of(pool)
    assert not any(client.export(client.vdi(4 * MIB)))
    assert not any(client.export(client.vdi(4 * MIB, client.sr("LVM storage"))))
    raw = client.vdi(4 * MIB, client.sr("Raw LVM storage"))
    assert any(client.export(raw))
    stream = make_vhd({0: os.urandom(2 * MIB)}, 4 * MIB)
    assert client.upload(raw, stream, format="vhd")["error_info"][0] == "VDI_IO_ERROR"
    content = os.urandom(4 * MIB)
    assert client.upload(raw, content)["status"] == "success"
    assert client.export(raw) == content
    thick_raw = client.vdi(4 * MIB, client.sr("LVM storage"), sm_config={"type": "raw"})
    assert client.upload(thick_raw, stream, format="vhd")["error_info"][0] == "VDI_IO_ERROR"


def test_storage_that_is_not_plugged_is_refused(client, refused):
    sr = client.sr()
    (pbd,) = client.rpc("SR.get_PBDs", sr)
    client.rpc("PBD.unplug", pbd)
    with pytest.raises(refused) as failed:
        client.vdi(MIB, sr)
    assert failed.value.code == "SR_NOT_ATTACHED"
    client.rpc("PBD.destroy", pbd)
    with pytest.raises(refused) as failed:
        client.vdi(MIB, sr)
    assert failed.value.args == ("SR_HAS_NO_PBDS", sr)


def test_resize_copy_and_checksum(client, content_of, refused):
    import hashlib

    vdi = client.vdi(4 * MIB)
    content = os.urandom(MIB)
    client.upload(vdi, content)
    client.rpc("VDI.resize", vdi, str(5 * MIB))
    assert content_of(vdi) == content + bytes(5 * MIB)
    with pytest.raises(refused) as failed:
        client.rpc("VDI.resize", vdi, str(MIB))
    assert failed.value.code == "SR_BACKEND_FAILURE_110"
    assert client.rpc("VDI.checksum", vdi) == hashlib.md5(content + bytes(5 * MIB)).hexdigest()
    copied = client.rpc("VDI.copy", vdi, client.sr("NFS storage"))
    assert content_of(copied) == content_of(vdi)
    with pytest.raises(refused) as failed:
        client.rpc("VDI.copy", vdi, NULL, NULL, client.vdi(MIB))
    assert failed.value.code == "VDI_TOO_SMALL"


def test_a_chain_that_is_full_is_not_branched_until_branches_go(client, refused):
    vdi = client.vdi(2 * MIB)
    made = [client.rpc("VDI.clone", vdi) for _ in range(29)]
    with pytest.raises(refused) as failed:
        client.rpc("VDI.snapshot", vdi)
    assert failed.value.args == ("SR_BACKEND_FAILURE_109", "", "The snapshot chain is too long", "")
    client.rpc("VDI.clone", made[0])
    client.rpc("VDI.destroy", made[7])
    client.rpc("VDI.snapshot", vdi)
    for one in made[8:]:
        client.rpc("VDI.destroy", one)
    for _ in range(20):
        client.rpc("VDI.clone", vdi)


def test_a_clone_of_a_vm_that_fails_leaves_nothing(simulated_pool, client_of, refused):
    client = client_of(simulated_pool(layout=Layout(sr_bytes={"lvm": 40 * MIB})))
    sr = client.rpc("SR.get_by_name_label", "LVM storage")[0]
    vm = client.vm()
    for number in range(2):
        client.vbd(vm, client.vdi(8 * MIB, SR=sr), userdevice=str(number))

    def held():
        machines, disks = client.rpc("VM.get_all"), client.rpc("VDI.get_all")
        return len(machines), len(disks), client.rpc("SR.get_physical_utilisation", sr)

    before = held()
    with pytest.raises(refused) as failed:
        client.rpc("VM.clone", vm, "copy")
    assert failed.value.code == "SR_BACKEND_FAILURE_44"
    assert held() == before
