# SPDX-License-Identifier: Apache-2.0
"""What leaves the pool: XVA export, disks as VHD and QCOW2 with a base, metadata, and the calls that copy content."""

import contextlib
import gzip
import http.client
import os
import ssl
import struct
import subprocess
import tarfile
import xmlrpc.client
from io import BytesIO

import pytest
import xxhash

MIB = 1024 * 1024
BLOCK = 2 * MIB
NULL = "OpaqueRef:NULL"
CONTENT = os.urandom(MIB) + bytes(3 * MIB) + os.urandom(MIB) + bytes(MIB)


@pytest.fixture
def fetch(client):
    def get(path: str, address: str | None = None, **query: str) -> http.client.HTTPResponse:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(address or client.address, context=context, timeout=30)
        asked = "&".join(f"{k}={v}" for k, v in ({"session_id": client.session} | query).items())
        connection.request("GET", f"{path}?{asked}")
        return connection.getresponse()

    return get


@pytest.fixture
def guest(client):
    """A VM with eleven disks, so that ids sort otherwise than numbers, a CD drive and a NIC."""
    network = client.rpc("network.get_by_name_label", "Pool-wide network associated with eth0")[0]
    vm = client.vm(name_label="guest", other_config={"mac_seed": "seed"}, tags=["one"])
    disks = [client.vdi(6 * MIB if n == 0 else BLOCK, name_label=f"disk {n}") for n in range(11)]
    for number, vdi in enumerate(disks):
        content = CONTENT if number == 0 else bytes([number]) * MIB
        assert client.upload(vdi, content)["status"] == "success"
        client.vbd(vm, vdi, userdevice=str(number if number < 3 else number + 1))
    client.vbd(vm, NULL, userdevice="3", type="CD", mode="RO", empty=True)
    client.vif(vm, network, mac="00:50:56:01:02:03")
    return vm, disks


@pytest.mark.parametrize("packing", ["none", "gzip", "zstd", "true"])
def test_invariant_33_an_export_is_imported_again_with_every_byte(client, content_of, fetch, guest, packing):
    vm, disks = guest
    task = client.task()
    answer = fetch("/export", uuid=client.rpc("VM.get_uuid", vm), use_compression=packing, task_id=task)
    assert (answer.status, answer.getheader("content-length")) == (200, None)
    whole = answer.read()
    assert client.finished(task)["status"] == "success"
    magic = {"none": b"ova.xml", "gzip": b"\x1f\x8b", "true": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}[packing]
    assert whole.startswith(magic)
    client.rpc("VM.destroy", vm)
    again = client.task()
    assert client.put("/import", whole, task_id=again, restore="true").status == 200
    record = client.finished(again)
    assert record["status"] == "success", record["error_info"]
    made = xmlrpc.client.loads(f"<params><param>{record['result']}</param></params>")[0][0][0]
    assert client.rpc("VM.get_tags", made) == ["one"]
    macs = [client.rpc("VIF.get_MAC", vif) for vif in client.rpc("VM.get_VIFs", made)]
    assert macs == ["00:50:56:01:02:03"]
    held = {}
    for vbd in client.rpc("VM.get_VBDs", made):
        told = client.rpc("VBD.get_record", vbd)
        if told["type"] == "Disk":
            held[client.rpc("VDI.get_name_label", told["VDI"])] = content_of(told["VDI"])
    assert held == {f"disk {n}": content_of(vdi) for n, vdi in enumerate(disks)}


def test_invariant_33_an_export_is_a_tar_with_its_rules(client, fetch, guest):
    vm, _disks = guest
    whole = fetch("/export", ref=vm).read()
    with tarfile.open(fileobj=BytesIO(whole)) as archive:
        names = archive.getnames()
        read = {name: archive.extractfile(name).read() for name in names}
    assert names[0] == "ova.xml"
    chunks = [name for name in names[1:] if not name.endswith(".xxhash")]
    assert names[1:] == [one for name in chunks for one in (name, f"{name}.xxhash")]
    assert all(read[f"{name}.xxhash"].decode() == xxhash.xxh64_hexdigest(read[name]).upper() for name in chunks)
    order = list(dict.fromkeys(name.split("/")[0] for name in chunks))
    assert order == sorted(order, key=str.encode)
    assert len(order) == 11
    document = xmlrpc.client.loads(f"<params><param>{read['ova.xml'].decode()[21:]}</param></params>")[0][0]
    assert document["version"]["export_vsn"] == "2"
    assert (document["version"]["xapi_major"], document["version"]["xapi_minor"]) == ("1", "20")
    sizes = {o["id"]: int(o["snapshot"]["virtual_size"]) for o in document["objects"] if o["class"] == "VDI"}
    large = next(ident for ident, size in sizes.items() if size == 6 * MIB)
    numbers = [int(name.split("/")[1]) for name in chunks if name.startswith(f"{large}/")]
    assert numbers == [0, 4, 5]
    assert {len(read[name]) for name in chunks} == {MIB}
    text = read["ova.xml"].decode()
    assert "OpaqueRef:" in text
    assert {part.split("<")[0] for part in text.split("OpaqueRef:")[1:]} == {"NULL"}


def test_an_export_needs_a_halted_vm_and_a_known_one(client, fetch, guest):
    vm, _disks = guest
    client.rpc("VM.start", vm, False, False)
    task = client.task()
    assert fetch("/export", ref=vm, task_id=task).status == 500
    assert client.finished(task)["error_info"] == ["VM_BAD_POWER_STATE", vm, "halted, suspended", "running"]
    assert fetch("/export", uuid="no-such").status == 500
    assert fetch("/export", ref=vm, use_compression="rar").status == 500


def test_an_export_whose_reader_goes_fails_its_task_and_lets_go(pool, client, fetch, guest):
    vm, disks = guest
    client.rpc("VDI.resize", disks[0], str(64 * MIB))
    assert client.upload(disks[0], os.urandom(64 * MIB))["status"] == "success"
    task = client.task()
    answer = fetch("/export", ref=vm, task_id=task)
    answer.read(1000)
    answer.close()
    record = client.finished(task)
    assert (record["status"], record["error_info"][0]) == ("failure", "VDI_IO_ERROR")
    assert client.rpc("VM.get_current_operations", vm) == {}
    assert all(len(client.rpc("VDI.get_VBDs", vdi)) == 1 for vdi in disks)


def test_an_export_of_another_hosts_disks_is_redirected(simulated_pool, client_of):
    pool = simulated_pool(hosts=2)
    client = client_of(pool)
    vm = client.vm()
    client.vbd(vm, client.vdi(BLOCK, client.sr("Local storage 2")))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(pool.address, context=context, timeout=30)
    connection.request("GET", f"/export?session_id={client.session}&ref={vm}")
    answer = connection.getresponse()
    assert answer.status == 302
    assert answer.getheader("location").startswith(f"https://{pool.addresses[1]}/export?")


# metadata


@pytest.fixture
def metadata(client):
    def put(body: bytes, **query: str) -> dict:
        task = client.task()
        with contextlib.suppress(OSError, http.client.HTTPException):
            assert client.put("/import_metadata", body, task_id=task, **query).status == 200
        return client.finished(task)

    return put


def test_metadata_is_imported_onto_the_disks_that_are_there(client, fetch, guest, metadata):
    vm, disks = guest
    body = fetch("/export_metadata", ref=vm).read()
    assert len(body) < MIB
    client.rpc("VM.destroy", vm)
    vms = client.rpc("VM.get_all")
    dry = metadata(body, restore="true", dry_run="true")
    assert (dry["status"], client.rpc("VM.get_all")) == ("success", vms)
    record = metadata(body, restore="true")
    assert record["status"] == "success", record["error_info"]
    made = xmlrpc.client.loads(f"<params><param>{record['result']}</param></params>")[0][0][0]
    vbds = [client.rpc("VBD.get_VDI", vbd) for vbd in client.rpc("VM.get_VBDs", made)]
    assert sorted(v for v in vbds if v != NULL) == sorted(disks)


def test_metadata_without_its_disks_or_with_its_vm_is_refused(client, fetch, guest, metadata):
    vm, disks = guest
    body = fetch("/export_metadata", ref=vm).read()
    for dry_run in ("true", "false"):
        record = metadata(body, restore="true", dry_run=dry_run)
        assert record["error_info"][0] == "VM_TO_IMPORT_IS_NOT_NEWER_VERSION"
    client.rpc("VM.destroy", vm)
    location = client.rpc("VDI.get_location", disks[0])
    client.rpc("VDI.destroy", disks[0])
    for dry_run in ("true", "false"):
        assert metadata(body, dry_run=dry_run)["error_info"] == ["IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND"]
    other = client.vdi(6 * MIB)
    record = metadata(body, **{f"vdi:{location}": other})
    assert record["status"] == "success", record["error_info"]
    assert len(client.rpc("VDI.get_VBDs", other)) == 1
    assert metadata(gzip.compress(b"x" * 2000))["status"] == "failure"


# disks


@pytest.fixture
def changed(client):
    """A VDI, a snapshot of it, and what was written to it afterwards."""
    vdi = client.vdi(8 * BLOCK)
    first = os.urandom(8 * BLOCK)
    client.upload(vdi, first)
    base = client.rpc("VDI.snapshot", vdi)
    delta = first[:BLOCK] + os.urandom(64 * 1024) + first[BLOCK + 64 * 1024 : 5 * BLOCK] + bytes(3 * BLOCK)
    client.upload(vdi, delta)
    return vdi, base, delta


def vhd_blocks(stream: bytes) -> list[int]:
    entries = struct.unpack_from(">I", stream, 512 + 28)[0]
    table = struct.unpack_from(f">{entries}I", stream, 1536)
    return [n for n, entry in enumerate(table) if entry != 0xFFFFFFFF]


def test_a_vhd_with_a_base_has_the_changed_blocks_only(client, content_of, fetch, changed):
    vdi, base, delta = changed
    stream = fetch("/export_raw_vdi", vdi=vdi, format="vhd", base=base).read()
    assert vhd_blocks(stream) == [1, 5, 6, 7]
    assert struct.unpack_from(">I", stream, 60)[0] == 4
    copy = client.rpc("VDI.clone", base)
    assert client.upload(copy, stream, format="vhd")["status"] == "success"
    assert content_of(copy) == delta


def test_a_qcow2_is_read_by_qemu_and_by_the_pool(client, content_of, fetch, changed, tmp_path):
    vdi, base, delta = changed
    whole = fetch("/export_raw_vdi", vdi=vdi, format="qcow2")
    assert whole.getheader("content-type") == "application/x-qemu-disk"
    (tmp_path / "disk.qcow2").write_bytes(whole.read())
    (tmp_path / "disk.raw").write_bytes(delta)
    subprocess.run(["qemu-img", "check", tmp_path / "disk.qcow2"], check=True, capture_output=True)
    subprocess.run(
        ["qemu-img", "compare", tmp_path / "disk.qcow2", "-F", "raw", tmp_path / "disk.raw"],
        check=True,
        capture_output=True,
    )
    part = fetch("/export_raw_vdi", vdi=vdi, format="qcow2", base=base).read()
    assert len(part) < 4 * BLOCK
    copy = client.rpc("VDI.clone", base)
    assert client.upload(copy, part, format="qcow2")["status"] == "success"
    assert content_of(copy) == delta


def test_an_empty_disk_is_exported_in_every_format(client, content_of, fetch):
    vdi = client.vdi(8 * BLOCK)
    for format_ in ("vhd", "qcow2", "tar"):
        stream = fetch("/export_raw_vdi", vdi=vdi, format=format_).read()
        assert client.upload(vdi, stream, format=format_)["status"] == "success"
        assert not any(content_of(vdi))


def test_what_an_export_refuses_after_its_200(client, fetch):
    large = client.vdi(2041 * 1024 * MIB, sm_config={"image-format": "qcow2"})
    other = client.vdi(BLOCK)
    for query, code in (
        ({"vdi": large, "format": "vhd"}, "VDI_TOO_LARGE"),
        ({"vdi": large, "format": "vhd", "base": large}, "VDI_TOO_LARGE"),
        ({"vdi": other, "format": "raw", "base": other}, "INTERNAL_ERROR"),
    ):
        task = client.task()
        answer = fetch("/export_raw_vdi", task_id=task, **query)
        assert (answer.status, answer.read()[:5]) == (200, b"HTTP/")
        assert client.finished(task)["error_info"][0] == code


def test_qcow2_export_is_as_young_as_its_import(simulated_pool, client_of):
    client = client_of(simulated_pool(profile="xcp-ng-8.3-2025-06"))
    vdi = client.vdi(BLOCK)
    assert client.upload(vdi, b"", format="qcow2")["error_info"][0] == "INTERNAL_ERROR"
    assert b"HTTP 404" in client.export(vdi, "qcow2")


# copies


def test_vdi_copy_with_base_and_into_writes_the_difference(pool, client, content_of, changed, refused):
    vdi, base, delta = changed
    into = client.rpc("VDI.clone", base)
    assert client.rpc("VDI.copy", vdi, NULL, base, into) == into
    assert content_of(into) == delta
    part = client.rpc("VDI.copy", vdi, client.sr("NFS storage"), base)
    assert content_of(part)[:BLOCK] == bytes(BLOCK)
    assert content_of(part)[BLOCK : BLOCK + 65536] == delta[BLOCK : BLOCK + 65536]
    assert int(client.rpc("VDI.get_physical_utilisation", part)) == 4 * BLOCK
    with pytest.raises(refused) as failed:
        client.rpc("VDI.copy", vdi, NULL, base, client.vdi(BLOCK))
    assert failed.value.code == "VDI_TOO_SMALL"
    with pytest.raises(refused) as failed:
        client.rpc("VDI.copy", vdi, NULL, "OpaqueRef:none", into)
    assert failed.value.args[:2] == ("HANDLE_INVALID", "VDI")
    assert [len(client.rpc("VDI.get_VBDs", v)) for v in (vdi, base, into, part)] == [0, 0, 0, 0]


def test_vm_copy_makes_full_copies(client, content_of, guest):
    vm, disks = guest
    made = client.rpc("VM.copy", vm, "copy", client.sr("NFS storage"))
    vbds = [client.rpc("VBD.get_record", vbd) for vbd in client.rpc("VM.get_VBDs", made)]
    copies = {int(v["userdevice"]): v["VDI"] for v in vbds if v["type"] == "Disk"}
    assert len(copies) == 11
    assert content_of(copies[0]) == content_of(disks[0])
    assert client.rpc("VDI.get_SR", copies[0]) == client.sr("NFS storage")
    assert copies[0] not in disks


def test_a_snapshot_is_reverted_to_where_the_version_can(simulated_pool, client_of):
    pool = simulated_pool(profile="xenserver-9")
    client = client_of(pool)
    vdi = client.vdi(BLOCK)
    client.upload(vdi, b"1" * BLOCK)
    snapshot = client.rpc("VDI.snapshot", vdi)
    client.upload(vdi, b"2" * BLOCK)
    client.rpc("VDI.revert", snapshot)
    assert client.export(vdi) == b"1" * BLOCK
    assert client_of(simulated_pool()).answer("VDI.revert", "s", "v")["ErrorDescription"] == [
        "MESSAGE_METHOD_UNKNOWN",
        "VDI.revert",
    ]
