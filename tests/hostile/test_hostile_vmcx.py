# SPDX-License-Identifier: Apache-2.0
"""Damaged and made-up configurations of Hyper-V: refused with a reason, without a hang, a traceback or wrong values.

The damages are random with fixed seeds, so that each is the same in every run.
"""

import random
import struct
import time
import zlib
from pathlib import Path

import pytest

from tests.hyperv_exports import Stored, Vmcx, export
from tests.hyperv_samples import sample
from v2x.errors import BadImage, InputRefused, UnsafeImage
from v2x.sources import open_source
from v2x.sources.hyperv.config_vmcx import read_vmcx
from v2x.sources.hyperv.config_xml import read_xml

DAMAGES = 400
EXTREMES = [0, 1, 0x7F, 0xFF, 0x1000, 0xFFFF, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1]


def damaged(original: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    file = bytearray(original)
    match seed % 4:
        case 0:
            at = chance.randrange(len(file) - 8)
            file[at : at + 8] = chance.randbytes(8)
        case 1:
            at = chance.randrange(0x2000, 0x3000 - 8)
            width = chance.choice([1, 2, 4, 8])
            file[at : at + width] = struct.pack("<Q", chance.choice(EXTREMES))[:width]
        case 2:
            at = chance.randrange(len(file))
            file[at] ^= 1 << chance.randrange(8)
        case 3:
            del file[chance.randrange(len(file)) :]
    return bytes(file)


@pytest.mark.parametrize("origin", ["sample", "written"])
def test_400_random_damages(origin: str) -> None:
    """Whatever is read although something was damaged is what was there before: no byte of it is without checksum."""
    original = sample("test.vmcx") if origin == "sample" else Stored(scsi={(0, 0): r"D:\a.vhdx"}).vmcx()
    right = sorted(read_vmcx(original, "x.vmcx").walk())
    refused = 0
    for seed in range(DAMAGES):
        begun = time.monotonic()
        try:
            found = sorted(read_vmcx(damaged(original, seed), "x.vmcx").walk())
        except InputRefused as problem:
            assert len(str(problem)) > 15
            assert "\n" not in str(problem)
            refused += 1
        else:
            assert found == right, seed
        assert time.monotonic() - begun < 10
    assert refused > DAMAGES // 4


def resealed(file: bytearray, at: int, length: int, checksum_at: int) -> None:
    file[at + checksum_at : at + checksum_at + 4] = bytes(4)
    struct.pack_into("<I", file, at + checksum_at, zlib.crc32(bytes(file[at : at + length])))


def test_400_made_up_files_with_right_checksums() -> None:
    """One field after the other with an extreme value and the checksum made right again: bounds hold."""
    original = Stored(scsi={(0, 0): r"D:\a.vhdx"}).vmcx()
    entry = struct.unpack_from("<Q", original, 0x2008 + 5)[0] + 10
    for seed in range(DAMAGES):
        chance = random.Random(seed)
        file = bytearray(original)
        match seed % 4:
            case 0:  # a header
                at = chance.choice([8, 10, 14, 22, 26, 34, 42])
                struct.pack_into("<I", file, at, chance.choice(EXTREMES) & 0xFFFFFFFF)
                struct.pack_into("<I", file, 0x1000 + at, chance.choice(EXTREMES) & 0xFFFFFFFF)
                resealed(file, 0, 46, 4)
                resealed(file, 0x1000, 46, 4)
            case 1:  # an object
                at = 0x2008 + 18 * chance.randrange(3)
                field, width = chance.choice([(0, 1), (5, 8), (13, 4), (17, 1)])
                value = chance.choice([*EXTREMES, 0x2000, 0x4000, len(file) - 1])
                file[at + field : at + field + width] = struct.pack("<Q", value)[:width]
                resealed(file, at, 18, 1)
            case 2:  # the count of objects
                struct.pack_into("<I", file, 0x2004, chance.choice(EXTREMES) & 0xFFFFFFFF)
            case 3:  # an entry
                at = entry
                for _ in range(chance.randrange(40)):
                    at += struct.unpack_from("<I", file, at + 2)[0]
                field, width = chance.choice([(0, 1), (1, 1), (2, 4), (6, 2), (8, 4), (20, 1)])
                file[at + field : at + field + width] = struct.pack("<Q", chance.choice(EXTREMES))[:width]
                length = min(struct.unpack_from("<I", file, at + 2)[0], 4000)
                resealed(file, at, max(length, 21), 12)
        begun = time.monotonic()
        try:
            read_vmcx(bytes(file), "x.vmcx")
        except InputRefused as problem:
            assert "\n" not in str(problem)
        assert time.monotonic() - begun < 10


def test_tables_of_objects_that_go_in_a_circle() -> None:
    file = bytearray(Stored().vmcx())
    at = 0x2008 + 18 * 10
    for place in (0x2000, 0x4000):
        file[at : at + 18] = struct.pack("<BIQIB", 1, 0, place, 0x1000, 1)
        resealed(file, at, 18, 1)
        with pytest.raises(BadImage):
            read_vmcx(bytes(file), "x.vmcx")


def test_settings_that_are_their_own_ancestors() -> None:
    file = bytearray(Vmcx({"a/b/c": 1}).packed())
    first = struct.unpack_from("<Q", file, 0x2008 + 5)[0]
    places, at = [], first + 10
    while struct.unpack_from("<I", file, at + 2)[0]:
        places.append(at)
        at += struct.unpack_from("<I", file, at + 2)[0]
    struct.pack_into("<HI", file, places[1] + 6, 1, places[2] - first)
    length = struct.unpack_from("<I", file, places[1] + 2)[0]
    resealed(file, places[1], length, 12)
    with pytest.raises(BadImage, match="belongs to no other"):
        read_vmcx(bytes(file), "x.vmcx")


BOMB = b"""<?xml version="1.0"?><!DOCTYPE c [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<configuration><properties><name type="string">&b;</name></properties></configuration>"""
OUTSIDE = (
    b"""<!DOCTYPE c [<!ENTITY a SYSTEM "file:///etc/passwd">]><configuration><n type="string">&a;</n></configuration>"""
)


@pytest.mark.parametrize("content", [BOMB, OUTSIDE])
def test_entities_in_a_configuration(content: bytes) -> None:
    with pytest.raises(UnsafeImage, match="document type or entities"):
        read_xml(content, "x.xml")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<configuration>",
        b"<html/>",
        "<configuration/>".encode("utf-16")[:-3],
        b"<configuration>" + b"<a>" * 70 + b"</a>" * 70 + b"</configuration>",
        b'<configuration><a type="integer">many</a></configuration>',
        b'<configuration><a type="bool">maybe</a></configuration>',
        b'<configuration><a type="bytes">b*d</a></configuration>',
    ],
    ids=range(8),
)
def test_damaged_xml(content: bytes) -> None:
    with pytest.raises(InputRefused):
        read_xml(content, "x.xml")


NONSENSE = {
    "settings/processors/count": [0, -1, 1 << 40, "two"],
    "settings/memory/bank/size": [0, -5, 1 << 50, True],
    "properties/subtype": [7, -3],
    "properties/global_id": ["", "../../etc", "x" * 10_000],
    "properties/creation_time": [b"", b"\xff" * 8, b"\x01"],
    "properties/name": ["", "\x1b[31mred", "a\nb", "x" * 100_000],
}


@pytest.mark.parametrize(
    ("path", "number"), [(path, n) for path, values in NONSENSE.items() for n in range(len(values))]
)
@pytest.mark.parametrize("binary", [False, True])
def test_values_without_sense(tmp_path: Path, path: str, number: int, binary: bool) -> None:
    """A machine is refused, or listed with the value left out; nothing else."""
    value = NONSENSE[path][number]
    if isinstance(value, str) and not binary:
        value = value.replace("\x1b", "\x7f")  # which XML cannot hold
    folder = export(tmp_path / "export", Stored(extra={path: value}), {}, binary=binary)  # type: ignore[dict-item]
    try:
        with open_source(folder) as source:
            for machine in source.inventory().machines:
                assert machine.cpu.count > 0
                assert machine.memory.size_bytes > 0
                assert machine.id
    except InputRefused as problem:
        assert len(problem.message) > 15


def test_disks_named_by_tricks_are_looked_for_by_their_last_part_only(tmp_path: Path) -> None:
    (tmp_path / "secret.vhdx").write_bytes(b"secret")
    tricks = [r"..\..\secret.vhdx", "/etc/passwd", r"\\.\PhysicalDrive0", "", "C:", r"D:\x.vhdx:stream", "\\" * 500]
    stored = Stored(scsi={(0, unit): path for unit, path in enumerate(tricks)})
    folder = export(tmp_path / "export", stored, {})
    with open_source(folder) as source:
        machine = source.inventory().machines[0]
        assert all(disk.backing != "file" for disk in machine.disks)
        at = source.checkpoint(machine, "t")
        for disk in machine.disks:
            with pytest.raises(InputRefused):
                source.reader(machine, disk, at)


def test_links_in_an_export_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "web.vhdx").write_bytes(b"secret")
    folder = export(tmp_path / "export", Stored(ide={(0, 0): r"D:\web.vhdx"}), {})
    (folder / "Virtual Hard Disks" / "web.vhdx").symlink_to(tmp_path / "outside" / "web.vhdx")
    (folder / "more").symlink_to(tmp_path / "outside")
    with open_source(folder) as source:
        (disk,) = source.inventory().machines[0].disks
        assert disk.backing == "missing"
