# SPDX-License-Identifier: Apache-2.0
"""Invariants 21–28 of the simulated pool: PUT /import_raw_vdi and its formats."""

import hashlib
import http.client
import os
import struct
import subprocess
import time

import pytest
import xxhash

MIB = 1024 * 1024
BLOCK = 2 * MIB
NULL = "OpaqueRef:NULL"


def chunk(offset: int, data: bytes) -> bytes:
    return struct.pack("<QI", offset, len(data)) + data


def tar_member(name: str, data: bytes) -> bytes:
    header = bytearray(512)
    header[: len(name)] = name.encode()
    header[100:108], header[124:136] = b"0000644\0", f"{len(data):011o}\0".encode()
    header[148:157], header[257:265] = b"        0", b"ustar\x0000"
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + data + bytes(-len(data) % 512)


def tar_chunk(number: int, data: bytes, digest: str | None = None) -> bytes:
    name = f"vdi/{number:08d}"
    told = digest or xxhash.xxh64_hexdigest(data).upper()
    return tar_member(name, data) + tar_member(f"{name}.xxhash", told.encode())


# 21, 28: the answer and the verdict


def test_invariant_21_the_answer_is_200_and_the_verdict_in_the_task(client):
    vdi, task = client.vdi(4 * MIB), client.task()
    answer = client.put("/import_raw_vdi", b"x" * MIB, vdi=vdi, task_id=task)
    assert answer.status == 200
    assert answer.headers["task-id"] == task
    assert answer.headers["connection"] == "close"
    assert answer.headers["content-length"] is None
    assert answer.read() == b""
    record = client.finished(task)
    assert (record["status"], record["progress"], record["error_info"]) == ("success", 1.0, [])
    assert record["result"] == f"<value>{vdi}</value>"


def test_invariant_21_a_failure_keeps_the_200_and_says_so_in_the_body(client):
    vdi, task = client.vdi(4 * MIB), client.task()
    answer = client.put("/import_raw_vdi", b"n" * 512, vdi=vdi, task_id=task, format="vhd")
    assert answer.status == 200
    assert b"HTTP/1.1 500" in answer.read()
    record = client.finished(task)
    assert (record["status"], record["progress"]) == ("failure", 1.0)
    assert record["error_info"][0] == "VDI_IO_ERROR"


def test_invariant_21_the_200_comes_before_anything_is_read(simulated_pool, client_of):
    client = client_of(simulated_pool(attach_delay=0.5))
    vdi, task = client.vdi(4 * MIB), client.task()
    before = time.monotonic()
    answer = client.put("/import_raw_vdi", b"x" * 512, vdi=vdi, task_id=task)
    assert answer.status == 200
    assert time.monotonic() - before < 0.4
    assert client.rpc("task.get_status", task) == "pending"
    client.finished(task)
    assert time.monotonic() - before >= 0.5


def test_invariant_21_refusals_before_the_200(pool, client, simulated_pool, client_of):
    vdi = client.vdi(4 * MIB)

    def asked(**query: str) -> tuple[int, str, list[str]]:
        task = client.task()
        answer = client.put("/import_raw_vdi", b"", task_id=task, **query)
        record = client.rpc("task.get_record", task)
        return answer.status, record["status"], record["error_info"]

    assert asked(session_id="OpaqueRef:none", vdi=vdi) == (401, "pending", [])
    assert asked() == (400, "failure", ["VDI_MISSING"])
    assert asked(sr_id=client.sr(), format="vhd")[:2] == (400, "failure")
    assert asked(vdi=vdi, format="vmdk") == (404, "failure", ["INTERNAL_ERROR", "Unknown format vmdk"])
    assert asked(vdi=vdi, format="vhd", chunked="false") == (
        404,
        "failure",
        ["INTERNAL_ERROR", "Cannot handle chunked VHD"],
    )
    old = client_of(simulated_pool(profile="xcp-ng-8.3-2024"))
    task = old.task()
    assert old.put("/import_raw_vdi", b"", task_id=task, vdi=old.vdi(MIB), format="qcow2").status == 404
    assert old.finished(task)["error_info"] == ["INTERNAL_ERROR", "Unknown format qcow2"]


def test_invariant_21_a_raw_stream_may_make_its_vdi(client, content_of):
    task = client.task()
    client.put("/import_raw_vdi", b"q" * (3 * MIB), task_id=task, sr_id=client.sr(), format="raw")
    record = client.finished(task)
    vdi = record["result"].removeprefix("<value>").removesuffix("</value>")
    assert client.rpc("VDI.get_name_label", vdi) == "Imported VDI"
    assert content_of(vdi) == b"q" * (3 * MIB) + bytes(MIB)


def test_invariant_21_a_role_too_low_is_403_and_fails_the_task(simulated_pool, client_of):
    from v2x.simulators.xapi import Account

    pool = simulated_pool(accounts=[Account("op", "o", "vm-operator")])
    root = client_of(pool)
    operator = type(root)(pool.address, "op", "o")
    task = operator.task()
    assert operator.put("/import_raw_vdi", b"", vdi=root.vdi(MIB), task_id=task).status == 403
    error = root.finished(task)["error_info"]
    assert error[:2] == ["RBAC_PERMISSION_DENIED", "http/put_import_raw_vdi"]


def test_invariant_28_an_unknown_vdi_is_500_with_the_task_pending(client):
    task = client.task()
    assert client.put("/import_raw_vdi", b"x", vdi="nothing", task_id=task).status == 500
    assert client.rpc("task.get_status", task) == "pending"
    uuid = client.rpc("VDI.get_uuid", client.vdi(MIB))
    assert client.put("/import_raw_vdi", b"x" * 512, vdi=uuid, task_id=task).status == 200


def test_invariant_25_no_transfer_encoding_and_cookies_as_they_are(simulated_pool, client, client_of):
    vdi, task = client.vdi(MIB), client.task()
    answer = client.put(
        "/import_raw_vdi", b"", vdi=vdi, task_id=task, headers={"Transfer-Encoding": "chunked"}, length=False
    )
    assert answer.status == 404
    assert client.finished(task)["error_info"] == ["INTERNAL_ERROR", "Cannot handle encoding: chunked"]
    for profile, cookie, status in (
        ("xcp-ng-8.3", "a=b;session_id={}", 200),
        ("xcp-ng-8.3", "a=b; session_id={}", 401),
        ("xcp-ng-8.3-2024", "a=b;session_id={}", 401),
        ("xcp-ng-8.3-2024", "a=b&session_id={}", 200),
    ):
        one = client_of(simulated_pool(profile=profile))
        connection = http.client.HTTPSConnection(one.address, context=one.proxy._ServerProxy__transport.context)
        headers = {"Cookie": cookie.format(one.session)}
        connection.request("PUT", f"/import_raw_vdi?vdi={one.vdi(MIB)}", b"x" * 512, headers)
        assert connection.getresponse().status == status


# 22, 23: VHD


@pytest.mark.parametrize("form", ["vhd", "chunked", "tar", "qcow2"])
def test_invariant_23_a_delta_overlays_what_is_there(client, content_of, make_vhd, tmp_path, form):
    old = os.urandom(4 * BLOCK)
    new = os.urandom(BLOCK)
    vdi = client.vdi(4 * BLOCK)
    client.upload(vdi, old)
    expected = old[:BLOCK] + new + old[2 * BLOCK :]
    if form == "vhd":
        record = client.upload(vdi, make_vhd({1: new}, 4 * BLOCK), format="vhd")
    elif form == "chunked":
        record = client.upload(vdi, chunk(BLOCK, new) + bytes(12), chunked="")
    elif form == "tar":
        parts = [(0, old[:MIB]), (2, new[:MIB]), (3, new[MIB:]), (7, old[-MIB:])]
        record = client.upload(vdi, b"".join(tar_chunk(n, d) for n, d in parts) + bytes(1024), format="tar")
    else:
        record = client.upload(
            vdi, qcow2_stream({BLOCK // CLUSTER + n: part for n, part in split(new)}), format="qcow2"
        )
    assert record["status"] == "success", record["error_info"]
    assert content_of(vdi) == expected


# 24: raw, chunked, tar, qcow2


def test_invariant_24_raw_shorter_succeeds_and_longer_fails(client, content_of):
    vdi = client.vdi(2 * BLOCK)
    client.upload(vdi, b"o" * 2 * BLOCK)
    assert client.upload(vdi, b"n" * MIB)["status"] == "success"
    assert content_of(vdi) == b"n" * MIB + b"o" * (3 * MIB)
    assert client.upload(vdi, b"n" * (2 * BLOCK + 512))["error_info"][0] == "VDI_IO_ERROR"


def test_invariant_24_raw_without_a_length_must_fill_the_device(client):
    vdi = client.vdi(BLOCK)
    assert client.upload(vdi, b"x" * BLOCK, length=False)["status"] == "success"
    assert client.upload(vdi, b"x" * MIB, length=False)["error_info"][0] == "VDI_IO_ERROR"


def test_invariant_24_chunks_come_in_any_order_and_need_their_end(client, content_of):
    vdi = client.vdi(2 * BLOCK)
    one, two = os.urandom(MIB), os.urandom(512)
    body = chunk(3 * MIB, one) + chunk(512, two)
    record = client.upload(vdi, body + bytes(12), chunked="false")
    assert record["status"] == "success"
    assert content_of(vdi) == bytes(512) + two + bytes(3 * MIB - 1024) + one
    for bad in (body, chunk(100, two) + bytes(12), chunk(0, b"x" * 100) + bytes(12), chunk(4 * MIB, two) + bytes(12)):
        assert client.upload(vdi, bad, chunked="")["error_info"][0] == "VDI_IO_ERROR"


def test_invariant_24_tar_verifies_its_checksums(client, content_of):
    vdi = client.vdi(BLOCK)
    one, two = os.urandom(MIB), os.urandom(MIB)
    wrong = tar_chunk(0, one, digest="0" * 16) + tar_chunk(1, two) + bytes(1024)
    record = client.upload(vdi, wrong, format="tar")
    assert record["error_info"][0] == "INTERNAL_ERROR"
    assert "checksum failed" in record["error_info"][1]
    sha = tar_member("vdi/00000000", one) + tar_member("vdi/00000000.checksum", hashlib.sha1(one).hexdigest().encode())
    assert client.upload(vdi, sha + tar_chunk(1, two) + bytes(1024), format="tar")["status"] == "success"
    assert content_of(vdi) == one + two


@pytest.mark.parametrize(
    "parts", [[(0, MIB)], [(1, MIB)], [(0, MIB), (0, MIB)], [(0, 0), (1, MIB)], [(0, MIB), (1, 100)]]
)
def test_invariant_24_tar_structure_is_held(client, parts):
    body = b"".join(tar_chunk(n, b"x" * size) for n, size in parts) + bytes(1024)
    record = client.upload(client.vdi(BLOCK), body, format="tar")
    assert record["error_info"][0] == "INTERNAL_ERROR", record
    assert record["error_info"][1].endswith('")')


def test_invariant_24_tar_gaps_are_zeros_on_a_device_that_is_not_zeroed(simulated_pool, client_of):
    from v2x.simulators.xapi import Layout

    client = client_of(simulated_pool(layout=Layout(raw_lvm=True)))
    vdi = client.vdi(4 * MIB, client.sr("Raw LVM storage"))
    body = tar_chunk(0, b"a" * MIB) + tar_chunk(3, b"d" * MIB) + bytes(1024)
    assert client.upload(vdi, body, format="tar")["status"] == "success"
    assert client.export(vdi) == b"a" * MIB + bytes(2 * MIB) + b"d" * MIB


CLUSTER = 65536


def split(data: bytes) -> list[tuple[int, bytes]]:
    return [(n, data[n * CLUSTER : (n + 1) * CLUSTER]) for n in range(len(data) // CLUSTER)]


def qcow2_stream(clusters: dict[int, bytes], size: int = 4 * BLOCK, *, gap: int = 0, flags: int = 0) -> bytes:
    """Header, refcount table, one refcount block, L1, L2, data: the order that xapi's reader needs."""
    header = struct.pack(">IIQIIQIIQQIIQ", 0x514649FB, 3, 0, 0, 16, size, 0, 1, 3 * CLUSTER, CLUSTER, 1, 0, 0)
    header += struct.pack(">QQQII", 0, 0, 0, 4, 104)
    table = bytearray(CLUSTER)
    at = 5 + gap
    for number in sorted(clusters):
        struct.pack_into(">Q", table, number * 8, at * CLUSTER | 1 << 63 | flags)
        at += 1
    refcounts = struct.pack(">Q", 2 * CLUSTER).ljust(CLUSTER, b"\0") + b"\0\x01" * (CLUSTER // 2)
    l1 = struct.pack(">Q", 4 * CLUSTER | 1 << 63).ljust(CLUSTER, b"\0")
    data = b"".join(clusters[n] for n in sorted(clusters))
    return header.ljust(CLUSTER, b"\0") + refcounts + l1 + bytes(table) + bytes(gap * CLUSTER) + data


def damaged(stream: bytes, at: int, value: bytes) -> bytes:
    return stream[:at] + value + stream[at + len(value) :]


def test_invariant_24_qcow2_obeys_its_order(client, content_of, tmp_path):
    vdi = client.vdi(4 * BLOCK)
    parts = {3: os.urandom(CLUSTER), 100: os.urandom(CLUSTER)}
    stream = qcow2_stream(parts)
    (tmp_path / "in.qcow2").write_bytes(stream)
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", "in.qcow2", "out"], cwd=tmp_path, check=True)
    assert client.upload(vdi, stream, format="qcow2")["status"] == "success"
    assert content_of(vdi) == (tmp_path / "out").read_bytes()
    for bad in (
        qcow2_stream(parts, gap=1),
        qcow2_stream(parts, flags=1 << 62),
        qcow2_stream(parts, size=4 * CLUSTER - 512),
        damaged(stream, 0, b"QFI\xfa"),
        damaged(stream, 32, b"\0\0\0\x01"),
        damaged(stream, 72, b"\0\0\0\0\0\0\0\x04"),
        stream[:-1],
    ):
        assert client.upload(vdi, bad, format="qcow2")["error_info"][0] == "VDI_IO_ERROR"


@pytest.mark.parametrize(("second", "status"), [(MIB, "success"), (600 * MIB, "failure")])
def test_invariant_24_qcow2_of_qemu_img_passes_with_one_l2_table_only(client, tmp_path, second, status):
    """qemu-img puts each L2 table before its own data, so a second table comes after data of the first."""
    with (tmp_path / "in.raw").open("wb") as file:
        file.truncate(1024 * MIB)
        for at in (0, second):
            file.seek(at)
            file.write(os.urandom(MIB))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "in.raw", "out"], cwd=tmp_path, check=True)
    record = client.upload(client.vdi(1024 * MIB), (tmp_path / "out").read_bytes(), format="qcow2")
    assert record["status"] == status, record["error_info"]


# 26, 27: lost connections, progress, cancel


def test_invariant_26_a_lost_connection_fails_the_task_and_keeps_what_was_written(client, content_of):
    vdi, task = client.vdi(4 * BLOCK), client.task()
    connection = http.client.HTTPSConnection(client.address, context=client.proxy._ServerProxy__transport.context)
    connection.putrequest("PUT", f"/import_raw_vdi?session_id={client.session}&task_id={task}&vdi={vdi}")
    connection.putheader("Content-Length", str(4 * BLOCK))
    connection.endheaders()
    connection.send(b"x" * (BLOCK + 1000))
    time.sleep(0.2)
    connection.sock.close()
    connection.close()
    record = client.finished(task)
    assert record["error_info"][0] == "VDI_IO_ERROR"
    assert content_of(vdi)[:BLOCK] == b"x" * BLOCK
    assert client.upload(vdi, b"y" * 512)["status"] == "success"


def test_invariant_27_progress_is_of_bytes_or_blocks_and_cancel_does_nothing(simulated_pool, client_of, make_vhd):
    client = client_of(simulated_pool(read_rate=8 * MIB))
    for form, body in (
        ("raw", b"x" * 4 * BLOCK),
        ("vhd", make_vhd(dict.fromkeys(range(4), b"x" * BLOCK), 4 * BLOCK)),
    ):
        vdi, task = client.vdi(4 * BLOCK), client.task()
        assert client.rpc("task.get_allowed_operations", task) == []
        token = client.rpc("event.from", [f"task/{task}"], "", 1.0)["token"]
        client.put("/import_raw_vdi", body, vdi=vdi, task_id=task, format=form)
        client.rpc("task.cancel", task)
        seen = set()
        while (record := client.rpc("task.get_record", task))["status"] == "pending":
            seen.add(record["progress"])
            token = client.rpc("event.from", [f"task/{task}"], token, 2.0)["token"]
        assert record["status"] == "success"
        assert any(0 < p < 1 for p in seen)


def test_invariant_27_chunked_and_qcow2_show_nothing_until_the_end(pool, client):
    pool.settings.read_rate = 8 * MIB
    vdi, task = client.vdi(4 * BLOCK), client.task()
    token = client.rpc("event.from", [f"task/{task}"], "", 1.0)["token"]
    content = os.urandom(4 * BLOCK)
    body = struct.pack("<QI", 0, len(content)) + content + bytes(12)
    client.put("/import_raw_vdi", body, vdi=vdi, task_id=task, chunked="")
    seen = [client.rpc("event.from", [f"task/{task}"], token, 10.0)["events"][0]["snapshot"]]
    client.finished(task)
    assert [(one["status"], one["progress"]) for one in seen] == [("success", 1.0)]


def test_invariant_27_tar_looks_at_cancellation(simulated_pool, client_of):
    client = client_of(simulated_pool(read_rate=4 * MIB, cancel_poll=0))
    vdi, task = client.vdi(4 * BLOCK), client.task()
    body = b"".join(tar_chunk(n, b"x" * MIB) for n in range(8))
    client.rpc("task.cancel", task)
    client.put("/import_raw_vdi", body, vdi=vdi, task_id=task, format="tar")
    record = client.finished(task)
    assert (record["status"], record["error_info"]) == ("cancelled", ["TASK_CANCELLED", task])


def test_exports_read_the_same_content(client, tmp_path):
    content = os.urandom(3 * MIB) + bytes(3 * MIB) + os.urandom(2 * MIB)
    vdi = client.vdi(len(content))
    client.upload(vdi, content)
    again = client.vdi(len(content))
    assert client.upload(again, client.export(vdi, "tar"), format="tar")["status"] == "success"
    assert client.export(again) == content
    again = client.vdi(len(content))
    assert client.upload(again, client.export(vdi, "vhd"), format="vhd")["status"] == "success"
    assert client.export(again) == content
