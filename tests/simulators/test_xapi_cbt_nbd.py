# SPDX-License-Identifier: Apache-2.0
"""Changed block tracking, and VDIs read over NBD with a real client."""

import base64
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

MIB = 1024 * 1024
GRAIN = 64 * 1024
NULL = "OpaqueRef:NULL"


def blocks(bitmap: str) -> list[int]:
    raw = base64.b64decode(bitmap)
    return [n for n in range(len(raw) * 8) if raw[n >> 3] & 0x80 >> (n & 7)]


def chunk(offset: int, data: bytes) -> bytes:
    return offset.to_bytes(8, "little") + len(data).to_bytes(4, "little") + data + bytes(12)


@pytest.fixture
def write(client):
    def write(vdi: str, block: int, length: int = 512) -> None:
        stream = chunk(block * GRAIN, os.urandom(length))
        assert client.upload(vdi, stream, chunked="")["status"] == "success"

    return write


def test_changes_between_snapshots_are_listed_per_64_kib(client, write):
    vdi = client.vdi(8 * MIB)
    write(vdi, 1)
    client.rpc("VDI.enable_cbt", vdi)
    assert client.rpc("VDI.get_cbt_enabled", vdi)
    first = client.rpc("VDI.snapshot", vdi)
    write(vdi, 3)
    write(vdi, 9, 2 * GRAIN)
    second = client.rpc("VDI.snapshot", vdi)
    write(vdi, 127)
    assert client.rpc("VDI.get_cbt_enabled", second)
    told = client.rpc("VDI.list_changed_blocks", first, second)
    assert (blocks(told), len(base64.b64decode(told))) == ([3, 9, 10], 16)
    assert blocks(client.rpc("VDI.list_changed_blocks", second, vdi)) == [127]
    assert blocks(client.rpc("VDI.list_changed_blocks", first, vdi)) == [3, 9, 10, 127]
    assert blocks(client.rpc("VDI.list_changed_blocks", vdi, vdi)) == []


def test_a_destroyed_snapshot_leaves_its_changes_to_the_next(client, write):
    vdi = client.vdi(8 * MIB)
    client.rpc("VDI.enable_cbt", vdi)
    first = client.rpc("VDI.snapshot", vdi)
    write(vdi, 3)
    second = client.rpc("VDI.snapshot", vdi)
    write(vdi, 5)
    client.rpc("VDI.destroy", second)
    assert blocks(client.rpc("VDI.list_changed_blocks", first, vdi)) == [3, 5]


def test_a_snapshot_may_keep_its_log_only(client, content_of, write, refused):
    vdi = client.vdi(8 * MIB)
    client.rpc("VDI.enable_cbt", vdi)
    first = client.rpc("VDI.snapshot", vdi)
    write(vdi, 3)
    client.rpc("VDI.data_destroy", first)
    assert client.rpc("VDI.get_type", first) == "cbt_metadata"
    assert blocks(client.rpc("VDI.list_changed_blocks", first, vdi)) == [3]
    assert b"HTTP/" in client.export(first)
    with pytest.raises(refused) as failed:
        client.rpc("VDI.data_destroy", client.rpc("VDI.snapshot", client.vdi(MIB)))
    assert failed.value.code == "VDI_NO_CBT_METADATA"


def test_tracking_is_refused_where_it_makes_no_sense(client, refused, write):
    vdi = client.vdi(8 * MIB)
    plain = client.rpc("VDI.snapshot", vdi)
    with pytest.raises(refused) as failed:
        client.rpc("VDI.enable_cbt", plain)
    assert failed.value.code == "OPERATION_NOT_ALLOWED"
    with pytest.raises(refused) as failed:
        client.rpc("VDI.list_changed_blocks", plain, vdi)
    assert failed.value.code == "SR_BACKEND_FAILURE_460"
    with pytest.raises(refused) as failed:
        client.rpc("VDI.enable_cbt", client.vdi(MIB, type="ephemeral"))
    assert failed.value.code == "VDI_INCOMPATIBLE_TYPE"
    iso = client.rpc("SR.get_VDIs", client.sr("XCP-ng Tools"))[0]
    with pytest.raises(refused) as failed:
        client.rpc("VDI.enable_cbt", iso)
    assert failed.value.code == "SR_OPERATION_NOT_SUPPORTED"
    client.rpc("VDI.enable_cbt", vdi)
    first = client.rpc("VDI.snapshot", vdi)
    client.rpc("VDI.disable_cbt", vdi)
    assert not client.rpc("VDI.get_cbt_enabled", vdi)
    with pytest.raises(refused):
        client.rpc("VDI.list_changed_blocks", first, vdi)
    assert not client.rpc("VDI.get_cbt_enabled", client.rpc("VDI.clone", first))


def test_tracking_lives_through_a_restart(simulated_pool, client_of, tmp_path):
    pool = simulated_pool(tmp_path / "state", password="secret")
    client = client_of(pool)
    vdi = client.vdi(8 * MIB)
    client.rpc("VDI.enable_cbt", vdi)
    first = client.rpc("VDI.snapshot", vdi)
    client.upload(vdi, chunk(7 * GRAIN, b"x" * 512), chunked="")
    pool.stop()
    pool.start()
    assert blocks(client_of(pool).rpc("VDI.list_changed_blocks", first, vdi)) == [7]


# NBD


@pytest.fixture
def offer(pool, client, tmp_path: Path):
    """Gives the management network a purpose; the URI qemu-img reads a VDI by, and its TLS options."""

    def offer(vdi: str, purpose: str = "nbd") -> tuple[dict, list[str]]:
        network = client.rpc("network.get_by_name_label", "Pool-wide network associated with eth0")[0]
        client.rpc("network.add_purpose", network, purpose)
        told = client.rpc("VDI.get_nbd_info", vdi)
        assert len(told) == 1
        (tmp_path / "tls").mkdir()
        (tmp_path / "tls" / "ca-cert.pem").write_text(told[0]["cert"])
        tls = f"tls-creds-x509,id=tls,endpoint=client,dir={tmp_path / 'tls'}"
        return told[0], ["--object", tls]

    return offer


def image(told: dict, *, tls: bool, name: str = "") -> str:
    where = f"driver=raw,file.driver=nbd,file.server.type=inet,file.server.host={told['address']}"
    secure = ",file.tls-creds=tls" if tls else ""
    return f"{where},file.server.port={told['port']},file.export={name or told['exportname']}{secure}"


def qemu_img(*words: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["qemu-img", *words], capture_output=True, timeout=60, check=False)


def test_nothing_is_offered_without_a_network_for_it(client):
    assert client.rpc("VDI.get_nbd_info", client.vdi(MIB)) == []


def test_a_disk_is_read_over_nbd_with_tls(client, offer, tmp_path):
    content = os.urandom(8 * MIB)
    vdi = client.vdi(8 * MIB)
    client.upload(vdi, content)
    told, tls = offer(vdi)
    assert told["exportname"] == f"/{client.rpc('VDI.get_uuid', vdi)}?session_id={client.session}"
    assert set(told) == {"exportname", "address", "port", "cert", "subject"}
    ran = qemu_img("convert", *tls, "--image-opts", image(told, tls=True), "-O", "raw", str(tmp_path / "out"))
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "out").read_bytes() == content
    deadline = time.monotonic() + 10  # the server sees the end of the connection a moment after the client
    while client.rpc("VDI.get_VBDs", vdi) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert client.rpc("VDI.get_VBDs", vdi) == []


def test_nbd_takes_no_plain_client_and_no_wrong_session_where_tls_is_asked_for(client, offer, tmp_path):
    vdi = client.vdi(MIB)
    told, tls = offer(vdi)
    assert qemu_img("info", "--image-opts", image(told, tls=False)).returncode != 0
    uuid = client.rpc("VDI.get_uuid", vdi)
    for name in (f"/{uuid}", f"/{uuid}?session_id=OpaqueRef:none", f"/none?session_id={client.session}"):
        assert qemu_img("info", *tls, "--image-opts", image(told, tls=True, name=name)).returncode != 0
    assert qemu_img("info", *tls, "--image-opts", image(told, tls=True)).returncode == 0
    client.rpc("session.logout")
    assert qemu_img("info", *tls, "--image-opts", image(told, tls=True)).returncode != 0


def test_insecure_nbd_is_plain_and_cannot_write(client, content_of, offer, tmp_path):
    vdi = client.vdi(MIB)
    client.upload(vdi, b"x" * MIB)
    told, tls = offer(vdi, "insecure_nbd")
    assert qemu_img("info", "--image-opts", image(told, tls=False)).returncode == 0
    assert qemu_img("info", *tls, "--image-opts", image(told, tls=True)).returncode != 0
    wrote = subprocess.run(
        ["qemu-io", "-c", "write 0 512", "--image-opts", image(told, tls=False)], capture_output=True, check=False
    )
    assert wrote.returncode != 0
    assert content_of(vdi)[:MIB] == b"x" * MIB


def test_a_disk_that_is_attached_for_writing_is_not_served(simulated_pool, client, offer, refused):
    vdi = client.vdi(MIB)
    told, _tls = offer(vdi, "insecure_nbd")
    vm = client.vm(HVM_boot_params={})
    client.vbd(vm, vdi)
    client.rpc("VM.start", vm, False, False)
    assert qemu_img("info", "--image-opts", image(told, tls=False)).returncode != 0
    client.rpc("VM.hard_shutdown", vm)
    assert qemu_img("info", "--image-opts", image(told, tls=False)).returncode == 0


def test_the_oldest_way_to_name_an_export_works_too(client, offer):
    nbdinfo = shutil.which("nbdinfo")
    assert nbdinfo is not None
    vdi = client.vdi(2 * MIB)
    told, _tls = offer(vdi, "insecure_nbd")
    name = told["exportname"].removeprefix("/").replace("?", "%3F").replace("=", "%3D")
    ran = subprocess.run(
        [nbdinfo, "--size", f"nbd://{told['address']}:{told['port']}/%2F{name}"], capture_output=True, check=False
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, str(2 * MIB).encode()), ran.stderr
