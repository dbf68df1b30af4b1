# SPDX-License-Identifier: Apache-2.0
"""Invariant 33 of the simulated pool: XVA import."""

import contextlib
import gzip
import hashlib
import http.client
import os
import subprocess
import xmlrpc.client
from collections.abc import Callable

import pytest
import xxhash

MIB = 1024 * 1024
NULL = "OpaqueRef:NULL"


def member(name: str, data: bytes) -> bytes:
    header = bytearray(512)
    header[: len(name)] = name.encode()
    header[100:108], header[124:136] = b"0000644\0", f"{len(data):011o}\0".encode()
    header[148:157], header[257:265] = b"        0", b"ustar\x0000"
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + data + bytes(-len(data) % 512)


def chunk(disk: str, number: int, data: bytes, kind: str = "xxhash", digest: str = "") -> bytes:
    seen = xxhash.xxh64_hexdigest(data).upper() if kind == "xxhash" else hashlib.sha1(data).hexdigest()
    name = f"{disk}/{number:08d}"
    return member(name, data) + member(f"{name}.{kind}", (digest or seen).encode())


class Archive:
    """An XVA of one VM, two disks of 3 MiB with ids that sort bytewise, a CD drive and a NIC."""

    def __init__(self, record: dict[str, object], network: str) -> None:
        self.vm = record | {
            "uuid": "6b1c3a9e-0000-4000-8000-000000000001",
            "name_label": "imported",
            "resident_on": NULL,
            "domid": "-1",
            "domarch": "",
            "is_control_domain": False,
            "metrics": NULL,
            "guest_metrics": NULL,
            "power_state": "Halted",
            "suspend_VDI": NULL,
            "last_boot_CPU_flags": {},
            "parent": NULL,
            "has_vendor_device": False,
            "version": "1",
            "other_config": {"mac_seed": "seed-1"},
        }
        self.network = network
        self.version = {"xapi_major": "1", "xapi_minor": "20", "export_vsn": "2"}
        self.disks = {"Ref:2": os.urandom(MIB) + bytes(MIB) + os.urandom(MIB), "Ref:10": os.urandom(3 * MIB)}

    def objects(self) -> list[tuple[str, str, dict[str, object]]]:
        common = {"other_config": {}, "storage_lock": False}
        device = {"qos_algorithm_type": "", "qos_algorithm_params": {}, "qos_supported_algorithms": []}
        device |= {"status_code": "0", "status_detail": "", "runtime_properties": {}, "VM": "Ref:1", "device": ""}
        device |= {"currently_attached": False, "metrics": NULL}
        sr = {"uuid": "s", "virtual_allocation": "0", "physical_utilisation": "0", "physical_size": "0"}
        made: list[tuple[str, str, dict[str, object]]] = [
            ("VM", "Ref:1", self.vm),
            ("SR", "Ref:3", sr | common | {"type": "ext", "content_type": "user", "shared": False}),
            ("network", "Ref:4", {"uuid": "n", "name_label": self.network, "bridge": "br7", "other_config": {}}),
            ("VIF", "Ref:6", device | common | {"uuid": "i", "device": "0", "network": "Ref:4", "MTU": "1500"}),
        ]
        made[-1][2]["MAC"] = "00:50:56:01:02:03"
        vbd = device | common | {"uuid": "b", "bootable": True, "mode": "RW", "type": "Disk", "empty": False}
        for position, disk in enumerate(self.disks):
            vdi = {"uuid": disk, "SR": "Ref:3", "virtual_size": str(len(self.disks[disk])), "type": "user"}
            vdi |= {"physical_utilisation": "0", "sharable": False, "read_only": False, "managed": True}
            vdi |= {"missing": False, "parent": NULL, "name_label": f"disk {position}"}
            made.append(("VDI", disk, vdi | common))
            made.append(("VBD", f"Ref:b{position}", vbd | {"VDI": disk, "userdevice": str(position)}))
        cd = {"VDI": NULL, "userdevice": "3", "type": "CD", "mode": "RO", "empty": True}
        made.append(("VBD", "Ref:bcd", vbd | cd))
        return made

    def ova(self) -> bytes:
        names = ("hostname", "date", "product_version", "product_brand", "build_number")
        version = dict.fromkeys(names, "x") | self.version
        objects = [{"class": c, "id": i, "snapshot": s} for c, i, s in self.objects()]
        text = xmlrpc.client.dumps(({"version": version, "objects": objects},))
        start, end = text.index("<value>"), text.rindex("</value>") + len("</value>")
        return b'<?xml version="1.0"?>' + text[start:end].encode()

    def data(self, kind: str = "xxhash") -> bytes:
        out = b""
        for disk in sorted(self.disks):
            content = self.disks[disk]
            for number in range(3):
                part = content[number * MIB : (number + 1) * MIB]
                if any(part) or number in (0, 2):
                    out += chunk(disk, number, part, kind)
        return out

    def whole(self, kind: str = "xxhash") -> bytes:
        return member("ova.xml", self.ova()) + self.data(kind) + bytes(1024)


@pytest.fixture
def archive(client) -> Archive:
    return Archive(client.vm_record(), "Pool-wide network associated with eth0")


@pytest.fixture
def take(client) -> Callable[..., dict[str, object]]:
    def take(body: bytes, **query: str) -> dict[str, object]:
        task = client.task()
        with contextlib.suppress(OSError, http.client.HTTPException):  # a reset after an early failure
            assert client.put("/import", body, task_id=task, **query).status == 200
        return client.finished(task)

    return take


def vms_of(record: dict[str, object]) -> list[str]:
    document = f"<params><param>{record['result']}</param></params>"
    return xmlrpc.client.loads(document)[0][0]


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd", "sha1"])
def test_invariant_33_every_packing_brings_the_same_vm(client, content_of, archive, take, packing, tmp_path):
    body = archive.whole("checksum" if packing == "sha1" else "xxhash")
    if packing == "gzip":
        body = gzip.compress(body[: 2 * MIB], 1) + gzip.compress(body[2 * MIB :], 1)
    elif packing == "zstd":
        (tmp_path / "x").write_bytes(body)
        body = subprocess.run(["zstd", "-qc", "-1", tmp_path / "x"], capture_output=True, check=True).stdout
    record = take(body)
    assert record["status"] == "success", record["error_info"]
    (vm,) = vms_of(record)
    assert record["other_config"] == {"object_creation": "complete"}
    made = client.rpc("VM.get_record", vm)
    assert made["name_label"] == "imported"
    assert made["current_operations"] == {}
    assert "import_task" not in made["other_config"]
    disks = [client.rpc("VBD.get_record", v) for v in made["VBDs"]]
    content = {d["userdevice"]: content_of(d["VDI"]) for d in disks if d["VDI"] != NULL}
    padded = {str(n): data.ljust(4 * MIB, b"\0") for n, data in enumerate(archive.disks.values())}
    assert content == padded
    (vif,) = made["VIFs"]
    assert client.rpc("network.get_bridge", client.rpc("VIF.get_network", vif)) == "xenbr0"


def test_invariant_33_plain_import_makes_a_new_identity(client, archive, take):
    one, two = (vms_of(take(archive.whole()))[0] for _ in range(2))
    first, second = client.rpc("VM.get_record", one), client.rpc("VM.get_record", two)
    assert len({first["uuid"], second["uuid"], archive.vm["uuid"]}) == 3
    assert len({r["other_config"]["mac_seed"] for r in (first, second)} | {"seed-1"}) == 3
    assert len({first["generation_id"], second["generation_id"]}) == 2
    assert client.rpc("VIF.get_MAC", first["VIFs"][0]) != "00:50:56:01:02:03"
    assert client.rpc("VIF.get_MAC_autogenerated", first["VIFs"][0]) is True


def test_invariant_33_restore_keeps_uuid_and_addresses_and_meets_conflicts(client, archive, take):
    record = take(archive.whole(), restore="true")
    (vm,) = vms_of(record)
    made = client.rpc("VM.get_record", vm)
    assert made["uuid"] == archive.vm["uuid"]
    assert made["other_config"] == {"mac_seed": "seed-1"}
    assert client.rpc("VIF.get_MAC", made["VIFs"][0]) == "00:50:56:01:02:03"
    again = take(archive.whole(), restore="true")
    assert again["error_info"][0] == "VM_TO_IMPORT_IS_NOT_NEWER_VERSION"
    archive.vm["version"] = "2"
    client.rpc("VM.start", vm, False, False)
    assert take(archive.whole(), restore="true")["error_info"][0] == "VM_BAD_POWER_STATE"
    client.rpc("VM.hard_shutdown", vm)
    assert take(archive.whole(), restore="true")["status"] == "success"
    archive.vm["uuid"] = "6b1c3a9e-0000-4000-8000-000000000002"
    assert take(archive.whole(), restore="true")["error_info"] == ["DUPLICATE_MAC_SEED", "seed-1"]


def test_invariant_33_an_unknown_network_becomes_an_internal_one(client, archive, take):
    archive.network = "VM Network"
    (vm,) = vms_of(take(archive.whole()))
    (network,) = client.rpc("network.get_by_name_label", "VM Network")
    assert client.rpc("VIF.get_network", client.rpc("VM.get_VIFs", vm)[0]) == network
    assert client.rpc("network.get_PIFs", network) == []


def damage(archive: Archive, kind: str) -> bytes:
    good = member("ova.xml", archive.ova())
    first, second = archive.disks["Ref:10"], archive.disks["Ref:2"]
    if kind == "order":
        swapped = [
            chunk(d, n, archive.disks[d][n * MIB : (n + 1) * MIB]) for d in ("Ref:2", "Ref:10") for n in range(3)
        ]
        return good + b"".join(swapped) + bytes(1024)
    if kind == "last chunk":
        body = b"".join(chunk("Ref:10", n, first[n * MIB : (n + 1) * MIB]) for n in range(2))
        return good + body + chunk("Ref:2", 0, second[:MIB]) + bytes(1024)
    if kind in ("checksum", "sha1 checksum"):  # all is well but for the digest of one chunk
        name = "xxhash" if kind == "checksum" else "checksum"
        wrong = chunk("Ref:10", 0, first[:MIB], name, digest="0" * (16 if kind == "checksum" else 40))
        return good + archive.data(name).replace(chunk("Ref:10", 0, first[:MIB], name), wrong) + bytes(1024)
    if kind == "end of the last disk":
        return good + archive.data()[: -2 * 512 - MIB - 512] + bytes(1024)
    if kind == "no ova":
        return archive.data() + bytes(1024)
    if kind == "short":
        return archive.whole()[: 2 * MIB]
    if kind == "version":
        archive.version["xapi_minor"] = "21"
    elif kind == "member":
        del archive.vm["PV_args"]
    elif kind == "type":
        archive.vm["is_a_template"] = "false"
    return archive.whole()


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("order", "IMPORT_ERROR"),
        ("last chunk", "IMPORT_ERROR"),
        ("checksum", "IMPORT_ERROR"),
        ("sha1 checksum", "IMPORT_ERROR"),
        ("end of the last disk", "IMPORT_ERROR"),
        ("no ova", "IMPORT_ERROR_UNEXPECTED_FILE"),
        ("short", "IMPORT_ERROR_PREMATURE_EOF"),
        ("version", "IMPORT_INCOMPATIBLE_VERSION"),
        ("member", "IMPORT_ERROR"),
        ("type", "IMPORT_ERROR"),
    ],
)
def test_invariant_33_damage_is_told_and_nothing_stays(pool, client, archive, take, kind, code):
    before = {c: set(pool.records(c)) for c in ("VM", "VDI", "VBD", "VIF", "network")}
    record = take(damage(archive, kind))
    assert (record["status"], record["error_info"][0]) == ("failure", code)
    assert {c: set(pool.records(c)) for c in before} == before
    assert list((pool.folder / "vdi").iterdir()) == []


def test_invariant_33_gaps_are_counted_in_lengths_of_the_first_chunk(client, content_of, archive, take):
    archive.disks = {"Ref:2": bytes(512) + b"z" * 512 + bytes(1024)}
    parts = chunk("Ref:2", 0, bytes(512)) + chunk("Ref:2", 1, b"z" * 512) + chunk("Ref:2", 3, bytes(512))
    record = take(member("ova.xml", archive.ova()) + parts + bytes(1024))
    assert record["status"] == "success", record["error_info"]
    (vm,) = vms_of(record)
    vdi = next(client.rpc("VBD.get_VDI", v) for v in client.rpc("VM.get_VBDs", vm))
    assert content_of(vdi)[:2048] == archive.disks["Ref:2"]


def test_invariant_33_a_gap_before_a_short_last_chunk_has_whole_chunks(client, content_of, archive, take):
    content = os.urandom(MIB) + bytes(2 * MIB) + os.urandom(MIB // 2)
    archive.disks = {"Ref:2": content}
    parts = chunk("Ref:2", 0, content[:MIB]) + chunk("Ref:2", 3, content[3 * MIB :])
    record = take(member("ova.xml", archive.ova()) + parts + bytes(1024))
    assert record["status"] == "success", record["error_info"]
    vdi = next(client.rpc("VBD.get_VDI", v) for v in client.rpc("VM.get_VBDs", vms_of(record)[0]))
    assert content_of(vdi)[: len(content)] == content


def test_invariant_33_refusals_before_the_200(client, archive):
    task = client.task()
    answer = client.put("/import", b"", task_id=task, headers={"Transfer-Encoding": "chunked"}, length=False)
    assert (answer.status, client.finished(task)["error_info"]) == (403, ["IMPORT_ERROR_CANNOT_HANDLE_CHUNKED"])
    task, iso = client.task(), client.sr("ISO library")
    assert client.put("/import", b"", task_id=task, sr_id=iso).status == 400
    assert client.finished(task)["error_info"] == ["SR_OPERATION_NOT_SUPPORTED", iso]
    client.rpc("pool.set_default_SR", client.rpc("pool.get_all")[0], NULL)
    task = client.task()
    assert client.put("/import", b"", task_id=task).status == 400
    assert client.finished(task)["error_info"] == ["DEFAULT_SR_NOT_FOUND", NULL]


def test_invariant_33_another_hosts_sr_is_redirected_to(simulated_pool, client_of):
    pool = simulated_pool(hosts=2)
    client = client_of(pool)
    answer = client.put("/import", b"", sr_id=client.sr("Local storage 2"))
    assert answer.status == 302
    assert answer.headers["location"].startswith(f"https://{pool.addresses[1]}/import?")


def test_invariant_33_an_import_under_way_is_marked(pool, client, archive):
    """A client may remap the NICs from the moment that the task says object_creation=complete."""
    pool.settings.read_rate = 4 * MIB
    task = client.task()
    token = client.rpc("event.from", [f"task/{task}"], "", 1.0)["token"]
    client.put("/import", archive.whole(), task_id=task)
    while client.rpc("task.get_other_config", task).get("object_creation") != "complete":
        token = client.rpc("event.from", [f"task/{task}"], token, 5.0)["token"]
    (vm,) = client.rpc("VM.get_by_name_label", "imported")
    record = client.rpc("VM.get_record", vm)
    assert client.rpc("task.get_status", task) == "pending"
    assert record["current_operations"] == {task: "import"}
    assert record["other_config"]["import_task"] == task
    marks = [
        v["sm_config"].get("import_task") for v in client.rpc("VDI.get_all_records").values() if v["type"] == "user"
    ]
    assert marks.count(task) == 2
    (vif,) = record["VIFs"]
    other = client.rpc("network.get_by_name_label", "Internal")[0]
    client.rpc("VIF.move", vif, other)
    answer = client.answer("VM.start", client.session, vm, False, False)
    assert answer["ErrorDescription"][0] == "OTHER_OPERATION_IN_PROGRESS"
    pool.settings.read_rate = 0
    assert client.finished(task)["status"] == "success"
    assert client.rpc("VIF.get_network", vif) == other
    assert client.rpc("VM.get_current_operations", vm) == {}
    assert not [v for v in client.rpc("VDI.get_all_records").values() if "import_task" in v["sm_config"]]


def test_invariant_33_the_cancel_of_an_import_takes_everything_back(pool, client, archive):
    pool.settings.read_rate, pool.settings.cancel_poll = 4 * MIB, 0
    before = {c: set(pool.records(c)) for c in ("VM", "VDI", "VBD", "VIF", "network")}
    task = client.task()
    with contextlib.suppress(OSError, http.client.HTTPException):
        client.put("/import", archive.whole(), task_id=task)
    client.rpc("task.cancel", task)
    record = client.finished(task)
    assert (record["status"], record["error_info"]) == ("cancelled", ["TASK_CANCELLED", task])
    assert {c: set(pool.records(c)) for c in before} == before


def test_invariant_33_memory_of_a_record_without_parent_is_reset(client, archive, take):
    archive.vm |= {"memory_dynamic_max": str(300 * MIB), "memory_dynamic_min": str(200 * MIB)}
    kept = vms_of(take(archive.whole()))[0]
    assert client.rpc("VM.get_memory_dynamic_max", kept) == str(300 * MIB)
    del archive.vm["parent"]
    reset = vms_of(take(archive.whole()))[0]
    assert client.rpc("VM.get_memory_dynamic_max", reset) == client.rpc("VM.get_memory_static_max", reset)
