# SPDX-License-Identifier: Apache-2.0
"""The folder of XVA files: what is written is an archive that a pool imports, and nothing half-done looks finished."""

import http.client
import os
import random
import ssl
import tarfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
import xxhash

from v2x.errors import Conflict, DigestMismatch, NoSpace, Unsupported
from v2x.model.machine import Firmware
from v2x.model.target import SecureBoot, TargetDisk, TargetMachine, TargetNic
from v2x.model.units import GIB, MIB
from v2x.secrets import Secret
from v2x.simulators.xapi import Pool
from v2x.target import open_xapi, open_xva
from v2x.target.archive import file_name
from v2x.target.xva import XvaTarget
from v2x.tls import Trust

BLOCK = 2 * MIB
MACS = ["00:50:56:00:00:01", "00:50:56:00:00:02"]


def spec(*sizes: int, name: str = "web") -> TargetMachine:
    return TargetMachine(
        source_id="m",
        name=name,
        description="",
        firmware=Firmware.UEFI,
        secure_boot=SecureBoot.FALSE,
        vtpm=False,
        vcpus=2,
        memory_bytes=GIB,
        platform={},
        boot_order="cd",
        template="generic-linux-uefi",
        disks=tuple(
            TargetDisk(source_disk=f"d{n}", name=f"disk {n}", description="", sr="xva", size_bytes=size, device=str(n))
            for n, size in enumerate(sizes)
        ),
        nics=tuple(
            TargetNic(source_position=n, device=str(n), network="LAN", network_name="VLAN 10", mac=mac)
            for n, mac in enumerate(MACS)
        ),
        cd_device="3",
    )


def numbered() -> Callable[[], UUID]:
    numbers = count(1)
    return lambda: UUID(int=next(numbers))


def block(disk: int, number: int) -> bytearray:
    return bytearray(random.Random(f"{disk}/{number}").randbytes(BLOCK))


def write(target: XvaTarget, planned: TargetMachine, tag: str, blocks: list[list[int]]) -> list[bytes]:
    """Writes and seals a machine; returns the disks it must hold."""
    claim, contents = target.claim(planned, tag), []
    for number, (disk, wanted) in enumerate(zip(claim.disks, blocks, strict=True)):
        content = bytearray(disk.size_bytes)
        writer = target.writer(claim, disk, wanted, "p")
        for at in wanted:
            data = block(number, at)[: disk.size_bytes - at * BLOCK]
            content[at * BLOCK : at * BLOCK + len(data)] = data
            writer.write(at, data)
        assert writer.commit() == disk.size_bytes
        contents.append(bytes(content))
    target.seal(claim, planned)
    return contents


def unpacked(path: Path) -> dict[str, bytes]:
    """The disks of an archive, read by the rules for readers: gaps are zeros, checksums hold."""
    disks: dict[str, bytearray] = {}
    with tarfile.open(path, "r:") as archive:
        members = archive.getmembers()
        assert members[0].name == "ova.xml"
        first = members[1].size if len(members) > 1 else 0
        assert first in (0, MIB)
        for data, check in zip(members[1::2], members[2::2], strict=True):
            directory, number = data.name.split("/")
            raw = archive.extractfile(data).read()
            assert archive.extractfile(check).read() == xxhash.xxh64(raw).hexdigest().upper().encode()
            disk = disks.setdefault(directory, bytearray())
            disk += bytes(int(number) * first - len(disk)) + raw
    return {name: bytes(content) for name, content in disks.items()}


@pytest.mark.parametrize(
    ("sizes", "blocks"),
    [
        ((3 * MIB,), [[1]]),
        ((8 * MIB + 512, 4 * MIB), [[0, 2], []]),
        ((MIB, 6 * MIB), [[0], [0, 1, 2]]),
        ((100,), [[]]),
        ((), []),
    ],
)
def test_archive_holds_the_disks(tmp_path: Path, sizes: tuple[int, ...], blocks: list[list[int]]) -> None:
    with open_xva(tmp_path) as target:
        contents = write(target, spec(*sizes), "tag", blocks)
    assert [path.name for path in tmp_path.iterdir()] == ["web.xva"]
    assert list(unpacked(tmp_path / "web.xva").values()) == contents
    assert (tmp_path / "web.xva").read_bytes().endswith(bytes(1024))


def test_same_ids_make_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with open_xva(tmp_path / name, new_uuid=numbered()) as target:
            write(target, spec(3 * MIB), "tag", [[0]])
    assert (tmp_path / "a/web.xva").read_bytes() == (tmp_path / "b/web.xva").read_bytes()


def test_pool_imports_it_with_the_same_bytes_and_macs(tmp_path: Path, simulated_pool: Callable[..., Pool]) -> None:
    with open_xva(tmp_path) as target:
        contents = write(target, spec(8 * MIB, 4 * MIB, 2 * MIB), "tag", [[0, 3], [], [0]])
    pool = simulated_pool()
    host, _, port = pool.address.partition(":")
    with open_xapi(host, int(port), pool.user, Secret(pool.password), Trust(fingerprint=pool.fingerprint)) as at_pool:
        client = at_pool.client
        task = client.call("task.create", "import", "")
        query = {"session_id": client.reference, "task_id": task, "restore": "true"}
        connection = http.client.HTTPSConnection(host, int(port), context=ssl._create_unverified_context())
        connection.request("PUT", f"/import?{urlencode(query)}", body=(tmp_path / "web.xva").read_bytes())
        assert connection.getresponse().status == 200
        while client.call("task.get_status", task) == "pending":
            client.sleep(0.02)
        assert client.call("task.get_status", task) == "success", client.call("task.get_error_info", task)
        vm = next(vm for vm in pool.records("VM").values() if vm["name_label"] == "web")
        vifs = sorted((vif["device"], vif["MAC"], vif["network"]) for vif in pool.records("VIF").values())
        assert [mac for _, mac, _ in vifs] == MACS
        assert {network for _, _, network in vifs} == {pool.ref_by_name("network", "VLAN 10")}
        found = at_pool.find("tag")
        assert found is not None and found.sealed and found.id == vm["uuid"]
    vdis = {vdi["name_label"]: vdi for vdi in pool.records("VDI").values()}
    for number, content in enumerate(contents):
        assert pool.vdi_path(vdis[f"disk {number}"]["uuid"]).read_bytes() == content


def test_disks_are_written_in_order(tmp_path: Path) -> None:
    with open_xva(tmp_path) as target:
        claim = target.claim(spec(2 * MIB, 2 * MIB), "tag")
        with pytest.raises(Conflict, match="cannot be written before"):
            target.writer(claim, claim.disks[1], [], "p")
        with pytest.raises(Conflict, match="not written"):
            target.seal(claim, spec(2 * MIB, 2 * MIB))


def test_aborted_disk_is_cut_off(tmp_path: Path) -> None:
    with open_xva(tmp_path, new_uuid=numbered()) as target:
        claim = target.claim(spec(8 * MIB), "tag")
        before = (tmp_path / "web.xva.part").stat().st_size
        writer = target.writer(claim, claim.disks[0], [0, 1, 2, 3], "p")
        writer.write(0, block(9, 9))
        writer.abort()
        assert (tmp_path / "web.xva.part").stat().st_size == before
        assert target.find("tag").disks[0].mark_bytes == 0
        contents = write(target, spec(8 * MIB), "tag", [[0, 1]])
    assert list(unpacked(tmp_path / "web.xva").values()) == contents


def test_another_runs_part_is_left_alone(tmp_path: Path) -> None:
    with open_xva(tmp_path) as first, open_xva(tmp_path) as second:
        claim = first.claim(spec(2 * MIB), "tag")
        with pytest.raises(Conflict, match="another run writes"):
            second.claim(spec(2 * MIB), "tag")
        with pytest.raises(Conflict, match="another run writes"):
            second.discard(claim)
        assert second.leftovers()[0].notes
        assert second.claim(spec(2 * MIB), "other").id
        assert sorted(path.name for path in tmp_path.iterdir()) == ["web-other.xva.part", "web.xva.part"]


def test_name_that_is_taken_gets_the_tag_behind_it(tmp_path: Path) -> None:
    with open_xva(tmp_path) as target:
        write(target, spec(MIB), "tag-1", [[]])
        write(target, spec(MIB), "tag-2", [[]])
        assert sorted(path.name for path in tmp_path.iterdir()) == ["web-tag-2.xva", "web.xva"]
        assert target.find("tag-1").id != target.find("tag-2").id
        (tmp_path / "copy.xva").write_bytes((tmp_path / "web.xva").read_bytes())
        with pytest.raises(Conflict, match="several files"):
            target.find("tag-1")


def test_file_that_came_up_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with open_xva(tmp_path) as target:
        claim = target.claim(spec(), "tag")
        (tmp_path / "web.xva").write_bytes(b"mine")
        with pytest.raises(Conflict, match="exists"):
            target.seal(claim, spec())
    assert (tmp_path / "web.xva").read_bytes() == b"mine"


def test_disk_beyond_the_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with open_xva(tmp_path) as target, pytest.raises(Unsupported, match="2040 GiB"):
        target.claim(spec(2040 * GIB + 512), "tag")
    assert list(tmp_path.iterdir()) == []


def test_foreign_files_in_the_folder_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "empty.xva").touch()
    (tmp_path / "noise.xva").write_bytes(random.Random(1).randbytes(4096))
    (tmp_path / "dir.xva").mkdir()
    (tmp_path / "link.xva").symlink_to("/dev/zero")
    (tmp_path / "dangling.xva.part").symlink_to("/nonexistent")
    os.mkfifo(tmp_path / "pipe.xva")
    with tarfile.open(tmp_path / "huge.xva", "w") as archive:
        member = tarfile.TarInfo("ova.xml")
        archive.addfile(member)
    with open_xva(tmp_path) as target:
        assert target.find("tag") is None
        assert target.leftovers() == ()
        write(target, spec(MIB), "tag", [[]])
        assert target.find("tag").sealed


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/abs", "..", "", ".hidden", "a\x00b", "x" * 500, "ü" * 200, "a/b"]
)
def test_machine_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    made = file_name(name)
    assert made and "/" not in made and "\0" not in made and not made.startswith(".")
    assert len(made.encode()) <= 120
    with open_xva(tmp_path / "out") as target:
        write(target, spec(name=name), "tag", [])
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{made}.xva"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_damaged_chunk_is_noticed_when_read(tmp_path: Path) -> None:
    with open_xva(tmp_path) as target:
        contents = write(target, spec(4 * MIB), "tag", [[0, 1]])
        path = tmp_path / "web.xva"
        data = bytearray(path.read_bytes())
        data[data.index(contents[0][MIB : MIB + 64]) + 5] ^= 1
        path.write_bytes(data)
        claim = target.find("tag")
        reader = target.reader(claim, claim.disks[0])
        reader.read_into(0, bytearray(MIB))
        with pytest.raises(DigestMismatch, match="chunk 1"):
            reader.read_into(MIB, bytearray(512))
        other = reader.clone()
        other.close()
        reader.close()


def test_full_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_xva(tmp_path) as target:
        claim = target.claim(spec(8 * MIB), "tag")
        writer = target.writer(claim, claim.disks[0], [0, 1], "p")
        held: Any = target._open["tag"]

        class Full:
            def write(self, _: object) -> int:
                raise OSError(28, "No space left on device")

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

        file = held._file
        monkeypatch.setattr(held, "_file", Full())
        with pytest.raises(NoSpace, match="no room"):
            writer.write(0, block(0, 0))
