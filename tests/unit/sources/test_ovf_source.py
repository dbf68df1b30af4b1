# SPDX-License-Identifier: Apache-2.0
import gzip
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from v2x.errors import BadImage, DigestMismatch, InputRefused, UnsafeImage, Unsupported, V2xError
from v2x.model.machine import Disk, DiskBacking, Machine
from v2x.sources import open_source
from v2x.sources.interface import Integrity, Source

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, kit: ModuleType, disk_file: Path, disk_bytes: bytes) -> Write:
    """Writes tiny.ovf beside disk.vmdk; arguments are those of the kit's `ovf`."""

    def _write(file: str = "disk.vmdk", size: int | None = None, **options: object) -> Path:
        shutil.copyfile(disk_file, tmp_path / "disk.vmdk")
        path = tmp_path / "tiny.ovf"
        path.write_text(kit.ovf([(file, len(disk_bytes) if size is None else size)], **options))
        return path

    return _write


def _disk(source: Source) -> tuple[Machine, Disk]:
    machine = source.inventory().machines[0]
    return machine, machine.disks[0]


def _bytes(source: Source) -> bytes:
    machine, disk = _disk(source)
    with closing(source.reader(machine, disk, source.checkpoint(machine, "t"))) as reader:
        data = bytearray(reader.size)
        reader.read_into(0, data)
    return bytes(data)


def _refused(path: Path, kind: type[V2xError], match: str) -> V2xError:
    with open_source(path) as source:
        machine, disk = _disk(source)
        at = source.checkpoint(machine, "t")
        with pytest.raises(kind, match=match) as refused:
            source.reader(machine, disk, at)
    return refused.value


def test_gzipped_disks_are_refused_with_a_remedy(write: Write) -> None:
    path = write("disk.vmdk.gz", file_attributes='ovf:compression="gzip"')
    (path.parent / "disk.vmdk.gz").write_bytes(gzip.compress(b"x"))
    assert "gunzip" in _refused(path, Unsupported, "compressed with gzip").hint


def test_compression_identity_is_none(write: Write, disk_bytes: bytes) -> None:
    with open_source(write(file_attributes='ovf:compression="identity"')) as source:
        assert _bytes(source) == disk_bytes


def test_missing_disk_keeps_the_inventory_and_refuses_the_reader(write: Write) -> None:
    path = write("gone.vmdk")
    with open_source(path) as source:
        inventory = source.inventory()
        assert inventory.machines[0].disks[0].backing is DiskBacking.MISSING
        assert [(problem.subject, problem.code) for problem in inventory.problems] == [("gone.vmdk", "MISSING-FILE")]
    assert _refused(path, InputRefused, r"gone\.vmdk is missing").code == "MISSING-FILE"


def test_disk_without_a_file_is_empty_and_reads_as_zeros(write: Write, kit: ModuleType) -> None:
    path = write()
    path.write_text(path.read_text().replace('ovf:fileRef="f0"', ""))
    with open_source(path) as source:
        assert source.inventory().machines[0].disks[0].backing is DiskBacking.EMPTY
        data = _bytes(source)
    assert len(data) == 3 * kit.MIB + 512
    assert not any(data)


def test_the_size_in_the_image_wins_over_the_descriptor(write: Write, disk_bytes: bytes) -> None:
    with open_source(write(size=len(disk_bytes) * 2)) as source:
        inventory = source.inventory()
        assert inventory.machines[0].disks[0].capacity_bytes == len(disk_bytes)
        assert [problem.code for problem in inventory.problems] == ["CAPACITY-MISMATCH"]
        assert _bytes(source) == disk_bytes


def test_size_of_a_file_is_compared(write: Write) -> None:
    with open_source(write(file_attributes='ovf:size="12345"')) as source:
        assert [problem.code for problem in source.inventory().problems] == ["SIZE-MISMATCH"]


def test_raw_disks_are_read(write: Write, kit: ModuleType, disk_bytes: bytes) -> None:
    path = write("disk.img", uri=kit.RAW_URI)
    (path.parent / "disk.img").write_bytes(disk_bytes)
    with open_source(path) as source:
        assert _bytes(source) == disk_bytes


def test_raw_disk_that_begins_like_qcow2_stays_raw(write: Write, kit: ModuleType) -> None:
    path = write("disk.img", uri=kit.RAW_URI)
    data = b"QFI\xfb\0\0\0\x03" + bytes(65528)
    (path.parent / "disk.img").write_bytes(data)
    with open_source(path) as source:
        assert _bytes(source) == data


@pytest.mark.parametrize("packed", [False, True])
def test_qcow2_disks_are_read_beside_the_descriptor_and_inside_the_archive(
    packed: bool, write: Write, kit: ModuleType, disk_bytes: bytes, tmp_path: Path
) -> None:
    (tmp_path / "raw").write_bytes(disk_bytes)
    kit.convert(tmp_path / "raw", tmp_path / "disk.qcow2", "qcow2")
    path = write("disk.qcow2", uri=kit.QCOW2_URI)
    if packed:
        path = kit.pack(tmp_path / "tiny.ova", tmp_path, ["tiny.ovf", "disk.qcow2"])
    with open_source(path) as source:
        assert _bytes(source) == disk_bytes


def test_chunked_disks_are_joined(write: Write, disk_bytes: bytes, kit: ModuleType, tmp_path: Path) -> None:
    path = write("big.vmdk", file_attributes='ovf:chunkSize="100000"')
    whole = (path.parent / "disk.vmdk").read_bytes()
    names = []
    for number, start in enumerate(range(0, len(whole), 100_000)):
        names.append(f"big.vmdk.{number:09d}")
        (path.parent / names[-1]).write_bytes(whole[start : start + 100_000])
    (path.parent / "tiny.mf").write_text(kit.manifest(path.parent, names))
    with open_source(path) as source:
        assert _bytes(source) == disk_bytes
        assert isinstance(source, Integrity)
        assert source.verify(_disk(source)[0]) == tuple(names)
    (path.parent / names[1]).write_bytes(b"short")
    with open_source(path) as source:
        assert any("a chunk of big.vmdk has" in problem.text for problem in source.inventory().problems)


def test_unknown_format_is_unsupported(write: Write) -> None:
    path = write("disk.vdi", uri="http://www.virtualbox.org/vdi")
    (path.parent / "disk.vdi").write_bytes(bytes(4096))
    assert "convert" in _refused(path, Unsupported, "virtualbox").hint


def test_disk_item_may_name_a_file_directly(write: Write, disk_bytes: bytes) -> None:
    path = write()
    path.write_text(path.read_text().replace("ovf:/disk/d0", "ovf:/file/f0"))
    with open_source(path) as source:
        assert source.inventory().machines[0].disks[0].capacity_bytes == len(disk_bytes)
        assert _bytes(source) == disk_bytes


def test_disk_item_without_description_is_refused(write: Write) -> None:
    path = write()
    path.write_text(path.read_text().replace("ovf:/disk/d0", "ovf:/disk/other"))
    with open_source(path) as source, pytest.raises(BadImage, match="DiskSection does not describe"):
        source.inventory()


def test_descriptor_that_differs_from_its_digest_is_refused_at_once(write: Write, kit: ModuleType) -> None:
    path = write()
    (path.parent / "tiny.mf").write_text(kit.manifest(path.parent, ["tiny.ovf", "disk.vmdk"]))
    path.write_text(path.read_text() + "\n")
    with pytest.raises(DigestMismatch, match=r"tiny\.ovf has the digest"):
        open_source(path)


def test_disk_that_differs_from_its_digest_fails_verify_only(
    write: Write, kit: ModuleType, disk_bytes: bytes, tmp_path: Path
) -> None:
    path = write()
    (tmp_path / "tiny.mf").write_text(kit.manifest(tmp_path, ["tiny.ovf", "disk.vmdk"]))
    data = bytearray((tmp_path / "disk.vmdk").read_bytes())
    data[100] ^= 1
    (tmp_path / "disk.vmdk").write_bytes(data)
    ova = kit.pack(tmp_path / "tiny.ova", tmp_path, ["tiny.ovf", "tiny.mf", "disk.vmdk"])
    for address in (path, ova):
        with open_source(address) as source:
            machine = source.inventory().machines[0]
            assert machine.attributes["ovf.manifest"] == "sha256"
            assert isinstance(source, Integrity)
            with pytest.raises(DigestMismatch, match=r"disk\.vmdk has the digest"):
                source.verify(machine)


def test_no_manifest_and_a_signature_are_told_in_the_attributes(write: Write) -> None:
    path = write()
    (path.parent / "tiny.cert").write_text("x")
    with open_source(path) as source:
        machine = source.inventory().machines[0]
        assert machine.attributes == {"ovf.manifest": "none", "ovf.signature": "not checked"}
        assert isinstance(source, Integrity)
        assert source.verify(machine) == ()


def test_write_to_the_disk_after_the_checkpoint_is_noticed(write: Write) -> None:
    path = write()
    with open_source(path) as source:
        machine, disk = _disk(source)
        at = source.checkpoint(machine, "t")
        os.utime(path.parent / "disk.vmdk", ns=(1, 1))
        with pytest.raises(V2xError) as refused:
            source.reader(machine, disk, at)
        assert refused.value.code == "SOURCE-CHANGED"
        assert source.checkpoint(machine, "t") != at


def test_checkpoint_of_another_machine_is_refused(write: Write) -> None:
    with open_source(write()) as source:
        machine, disk = _disk(source)
        at = source.checkpoint(machine, "t")
        with pytest.raises(V2xError, match="does not know disk"):
            source.reader(machine, disk, type(at)(tag="t", machine_id="other", points=at.points))


def test_ova_without_descriptor_and_with_one_in_a_folder(tmp_path: Path, kit: ModuleType) -> None:
    (tmp_path / "x.vmdk").write_bytes(b"x")
    with pytest.raises(InputRefused, match=r"holds no \.ovf descriptor"):
        open_source(kit.pack(tmp_path / "a.ova", tmp_path, ["x.vmdk"]))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.ovf").write_text(kit.ovf())
    with pytest.raises(UnsafeImage, match="not under a plain file name") as refused:
        open_source(kit.pack(tmp_path / "b.ova", tmp_path, ["sub/x.ovf"]))
    assert "tar" in refused.value.hint


def test_descriptor_need_not_be_the_first_member(write: Write, kit: ModuleType, disk_bytes: bytes) -> None:
    path = write()
    ova = kit.pack(path.parent / "t.ova", path.parent, ["disk.vmdk", "tiny.ovf"])
    with open_source(ova) as source:
        assert _bytes(source) == disk_bytes


def test_two_systems_of_one_uuid_get_different_ids(write: Write, kit: ModuleType) -> None:
    extra = '<vmw:ExtraConfig vmw:key="uuid.bios" vmw:value="56 4d 00 00 00 00 00 00-00 00 00 00 00 00 00 01"/>'
    path = write(items=extra)
    text = path.read_text()
    start, end = text.index("<VirtualSystem "), text.index("</Envelope>")
    twin = text[start:end].replace('ovf:id="tiny"', 'ovf:id="twin"')
    both = f'<VirtualSystemCollection ovf:id="c">{text[start:end]}{twin}</VirtualSystemCollection>'
    path.write_text(text[:start] + both + text[end:])
    with open_source(path) as source:
        ids = [machine.id for machine in source.inventory().machines]
    assert ids == ["564d0000-0000-0000-0000-000000000001", "564d0000-0000-0000-0000-000000000001:twin"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cpus": "many"}, "number of processors is 'many'"),
        ({"cpus": -2}, "number of processors is -2"),
        ({"cpus": 10**12}, "number of processors"),
        ({"memory": "1.5"}, "memory is '1.5'"),
        ({"memory": 10**18}, "memory of"),
        ({"capacity": "huge"}, "Disk 'd0': capacity is 'huge'"),
        ({"capacity": 2**62}, "Disk 'd0': capacity of"),
        ({"capacity": "-1"}, "Disk 'd0': capacity is -1"),
        ({"file_attributes": 'ovf:size="x"'}, r"File 'disk.vmdk': size is 'x'"),
    ],
)
def test_odd_numbers_name_their_element(options: dict[str, object], words: str, write: Write) -> None:
    path = write(**options)
    with pytest.raises(BadImage, match=words), open_source(path) as source:
        source.inventory()


def test_capacity_given_by_a_property_is_unsupported(write: Write) -> None:
    path = write(capacity="${size}")
    with pytest.raises(Unsupported, match="is the property"):
        open_source(path)
