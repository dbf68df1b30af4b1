# SPDX-License-Identifier: Apache-2.0
"""The VMDK writers, read back by qemu-img."""

import struct
import subprocess
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from v2x.errors import V2xError
from v2x.simulators.appliance import (
    Change,
    CreateType,
    Delta,
    DiskIdentity,
    ExtentLine,
    Range,
    convert_with_qemu,
    descriptor,
    esx,
    rawdisk,
    sparse,
    write_chain,
    write_stream_optimized,
    write_vmdk,
)

MIB = 2**20
RawDisk = Callable[..., Path]
Reader = Callable[..., bytes]

WHOLE = [
    CreateType.MONOLITHIC_SPARSE,
    CreateType.MONOLITHIC_FLAT,
    CreateType.TWO_GB_SPARSE,
    CreateType.TWO_GB_FLAT,
    CreateType.STREAM_OPTIMIZED,
    CreateType.VMFS,
]
DELTAS = [CreateType.MONOLITHIC_SPARSE, CreateType.VMFS_SPARSE, CreateType.SE_SPARSE]


@pytest.mark.parametrize("create_type", WHOLE)
def test_qemu_reads_what_is_written(create_type: CreateType, raw_disk: RawDisk, read_with_qemu: Reader, tmp_path: Path):
    raw = raw_disk()
    files = write_vmdk(raw, tmp_path / "out.vmdk", create_type, split_bytes=4 * MIB)
    assert all(file.is_file() for file in files)
    assert read_with_qemu(files[0]) == raw.read_bytes()


@pytest.mark.parametrize("create_type", WHOLE)
@pytest.mark.parametrize("kind", ["empty", "full"])
def test_empty_and_full_disks(
    create_type: CreateType, kind: str, raw_disk: RawDisk, read_with_qemu: Reader, tmp_path: Path
):
    size = 3 * MIB + 512
    raw = raw_disk(size=size, data=[] if kind == "empty" else [(0, size)])
    files = write_vmdk(raw, tmp_path / "out.vmdk", create_type, split_bytes=2 * MIB)
    assert read_with_qemu(files[0]) == raw.read_bytes()


@pytest.mark.parametrize("create_type", [kind for kind in WHOLE if kind is not CreateType.VMFS])
def test_qemu_writes_the_same_content(
    create_type: CreateType, raw_disk: RawDisk, read_with_qemu: Reader, tmp_path: Path
):
    raw = raw_disk()
    convert_with_qemu(raw, tmp_path / "other.vmdk", create_type)
    assert read_with_qemu(tmp_path / "other.vmdk") == raw.read_bytes()


@pytest.mark.parametrize("create_type", [CreateType.TWO_GB_FLAT, CreateType.TWO_GB_SPARSE])
def test_a_split_disk_has_the_extents_of_its_size(create_type: CreateType, raw_disk: RawDisk, tmp_path: Path):
    raw = raw_disk(size=9 * MIB)
    files = write_vmdk(raw, tmp_path / "out.vmdk", create_type, split_bytes=4 * MIB)
    letter = "f" if create_type is CreateType.TWO_GB_FLAT else "s"
    assert [file.name for file in files[1:]] == [f"out-{letter}{n:03d}.vmdk" for n in (1, 2, 3)]
    lines = [line.split() for line in files[0].read_text().splitlines() if line.startswith("RW ")]
    assert [int(words[1]) for words in lines] == [8192, 8192, 2048]


def test_a_stream_holds_markers_footer_and_end(raw_disk: RawDisk, tmp_path: Path):
    raw = raw_disk()
    out = tmp_path / "out.vmdk"
    info = write_stream_optimized(raw, out)
    data = out.read_bytes()
    assert info.size_bytes == len(data)
    magic, version, flags, capacity = struct.unpack_from("<4sIIQ", data)
    assert (magic, version, flags, capacity) == (b"KDMV", 3, 0x30001, raw.stat().st_size // 512)
    assert data[56:64] == b"\xff" * 8
    assert data[73:77] == b"\n \r\n"
    assert data[-512:] == bytes(512)
    assert data[-1024:-1020] == b"KDMV"
    assert struct.unpack_from("<QII", data, len(data) - 1536) == (1, 0, 3)
    assert b'createType="streamOptimized"' in data[512 : 21 * 512]
    sector, size = struct.unpack_from("<QI", data, 128 * 512)
    assert sector == 0
    assert zlib.decompress(data[128 * 512 + 12 : 128 * 512 + 12 + size]) == raw.read_bytes()[:65536]


def test_a_stream_with_a_short_last_grain(raw_disk: RawDisk, read_with_qemu: Reader, tmp_path: Path):
    raw = raw_disk()
    lengths = []
    for short in (False, True):
        out = tmp_path / "out.vmdk"
        write_stream_optimized(raw, out, short_last_grain=short, version=1)
        data = out.read_bytes()
        directory = struct.unpack_from("<Q", data, len(data) - 1024 + 56)[0]
        table = struct.unpack_from("<I", data, directory * 512)[0]
        grain = struct.unpack_from("<I", data, table * 512 + (raw.stat().st_size // 65536) * 4)[0]
        size = struct.unpack_from("<I", data, grain * 512 + 8)[0]
        lengths.append(len(zlib.decompress(data[grain * 512 + 12 : grain * 512 + 12 + size])))
        assert data[4] == 1
        if not short:
            assert read_with_qemu(out) == raw.read_bytes()
    assert lengths == [65536, raw.stat().st_size % 65536]


def test_a_stream_with_several_grain_tables(raw_disk: RawDisk, read_with_qemu: Reader, tmp_path: Path):
    raw = raw_disk(size=130 * MIB, data=[(33 * MIB, 100), (129 * MIB, 5000)])
    info = write_stream_optimized(raw, tmp_path / "out.vmdk")
    assert info.populated_bytes == 2 * 65536
    assert read_with_qemu(tmp_path / "out.vmdk") == raw.read_bytes()


def test_a_stream_is_written_fast_enough_for_the_demo(raw_disk: RawDisk, tmp_path: Path):
    raw = raw_disk(size=120 * MIB, data=[(MIB, 30 * MIB)])
    began = time.monotonic()
    write_stream_optimized(raw, tmp_path / "out.vmdk")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("kind", DELTAS)
@pytest.mark.parametrize("base", [CreateType.VMFS, CreateType.MONOLITHIC_SPARSE])
def test_qemu_reads_a_chain(
    kind: CreateType, base: CreateType, raw_disk: RawDisk, read_with_qemu: Reader, tmp_path: Path
):
    raw = raw_disk(data=[(0, 70_000), (5 * MIB, 200_000)])
    end = raw.stat().st_size
    folder = tmp_path / "vm"
    folder.mkdir()
    deltas = [
        Delta([Change(1000, b"x" * 70_000), Change(5 * MIB, bytes(100_000))], kind),
        Delta([], kind),
        Delta([Change(8 * MIB + 512, b"late" * 300), Change(end - 512, b"e" * 512)], kind),
    ]
    chain = write_chain(raw, folder / "vm.vmdk", deltas, expected=tmp_path / "expected.raw", base_type=base)
    expected = (tmp_path / "expected.raw").read_bytes()
    assert expected != raw.read_bytes()
    assert expected[5 * MIB : 5 * MIB + 100_000] == bytes(100_000)
    assert [path.name for path in chain.descriptors] == ["vm.vmdk"] + [f"vm-00000{n}.vmdk" for n in (1, 2, 3)]
    assert read_with_qemu(chain.descriptors[-1]) == expected
    assert read_with_qemu(chain.descriptors[0]) == raw.read_bytes()


def test_content_ids_link_a_chain(raw_disk: RawDisk, tmp_path: Path):
    raw = raw_disk()
    deltas = [Delta([Change(0, b"1")], CreateType.VMFS_SPARSE), Delta([], CreateType.VMFS_SPARSE)]
    chain = write_chain(raw, tmp_path / "vm.vmdk", deltas, expected=tmp_path / "expected.raw")
    facts = []
    for path in chain.descriptors:
        lines = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line and " = " not in line)
        facts.append((lines["CID"], lines["parentCID"], lines.get("parentFileNameHint")))
    assert facts[0][1:] == ("ffffffff", None)
    assert facts[1][1:] == (facts[0][0], '"vm.vmdk"')
    assert facts[2] == (facts[1][0], facts[1][0], '"vm-000001.vmdk"')
    assert facts[1][0] != facts[0][0]


def test_a_zero_grain_of_a_delta_hides_the_parent(raw_disk: RawDisk, read_with_qemu: Reader, tmp_path: Path):
    raw = raw_disk(size=4 * MIB, data=[(0, 4 * MIB)])
    delta = Delta([Change(MIB, bytes(MIB))], CreateType.MONOLITHIC_SPARSE)
    chain = write_chain(raw, tmp_path / "vm.vmdk", [delta], expected=tmp_path / "expected.raw")
    assert chain.descriptors[-1].stat().st_size < 2 * 65536
    assert read_with_qemu(chain.descriptors[-1]) == (tmp_path / "expected.raw").read_bytes()


def test_sesparse_numbers_above_twelve_bits(raw_disk: RawDisk, read_with_qemu: Reader, tmp_path: Path):
    """A grain number is split into two fields; only numbers from 4096 on show whether they are joined rightly."""
    raw = raw_disk(size=4 * MIB, data=[(MIB, 20_000)])
    grains = list(rawdisk.data_grains(raw, esx.SESPARSE_GRAIN_BYTES))
    extent = tmp_path / "one-sesparse.vmdk"
    esx.write_sesparse_extent(
        extent, capacity_bytes=4 * MIB, grains=grains, first_number=3 * 4096 - 2, unmapped=[0, 1023]
    )
    line = ExtentLine(8192, "SESPARSE", extent.name)
    (tmp_path / "one.vmdk").write_text(descriptor(CreateType.SE_SPARSE, [line], DiskIdentity()))
    assert extent.stat().st_blocks * 512 < MIB
    assert read_with_qemu(tmp_path / "one.vmdk") == raw.read_bytes()


def test_sesparse_over_more_than_one_table(raw_disk: RawDisk, read_with_qemu: Reader, tmp_path: Path):
    raw = raw_disk(size=70 * MIB, data=[(60 * MIB, 5000)])
    deltas = [
        Delta([Change(40 * MIB, b"a" * 9000), Change(3 * MIB, b"b" * 9000)], CreateType.SE_SPARSE),
        Delta([Change(69 * MIB, b"c" * 9000)], CreateType.SE_SPARSE),
    ]
    chain = write_chain(raw, tmp_path / "vm.vmdk", deltas, expected=tmp_path / "expected.raw")
    assert read_with_qemu(chain.descriptors[-1]) == (tmp_path / "expected.raw").read_bytes()


def test_cowd_has_tables_only_where_there_is_data(raw_disk: RawDisk, tmp_path: Path):
    raw = raw_disk(size=64 * MIB, data=[])
    delta = Delta([Change(40 * MIB, b"here")], CreateType.VMFS_SPARSE)
    chain = write_chain(raw, tmp_path / "vm.vmdk", [delta], expected=tmp_path / "expected.raw")
    data = next(path for path in chain.files if path.name.endswith("-delta.vmdk")).read_bytes()
    fields = struct.unpack_from("<4s7I", data)
    assert fields[:7] == (b"COWD", 1, 3, 64 * MIB // 512, 1, 4, 32)
    assert fields[7] * 512 == len(data)
    directory = struct.unpack_from("<32I", data, 4 * 512)
    assert [n for n, place in enumerate(directory) if place] == [20]


@pytest.mark.parametrize(
    ("create_type", "line"),
    [
        (CreateType.VMFS_RDM, 'RW 24 VMFSRDM "d-rdm.vmdk"'),
        (CreateType.VMFS_RDM_PHYSICAL, 'RW 24 VMFSRDM "d-rdmp.vmdk"'),
        (CreateType.VMFS_RAW, 'RW 24 VMFSRAW "d-raw.vmdk"'),
        (CreateType.FULL_DEVICE, 'RW 24 FLAT "/dev/sda"'),
    ],
)
def test_a_device_is_a_descriptor_only(create_type: CreateType, line: str, raw_disk: RawDisk, tmp_path: Path):
    raw = raw_disk(size=24 * 512, data=[])
    files = write_vmdk(raw, tmp_path / "d.vmdk", create_type)
    assert files == [tmp_path / "d.vmdk"]
    assert line in files[0].read_text().splitlines()


def test_extents_of_mixed_kinds():
    text = descriptor(
        CreateType.CUSTOM,
        [ExtentLine(10, "ZERO"), ExtentLine(20, "FLAT", "a.vmdk", 5, access="RDONLY")],
        DiskIdentity(cid=0xABC, ddb={"toolsVersion": "1"}),
    )
    assert 'RW 10 ZERO\nRDONLY 20 FLAT "a.vmdk" 5\n' in text
    assert "CID=00000abc\n" in text
    assert 'ddb.toolsVersion = "1"' in text


@pytest.mark.parametrize("kind", [CreateType.VMFS_SPARSE, CreateType.CUSTOM])
def test_a_delta_layout_is_no_whole_disk(kind: CreateType, raw_disk: RawDisk, tmp_path: Path):
    with pytest.raises(V2xError, match="never written as"):
        write_vmdk(raw_disk(), tmp_path / "out.vmdk", kind)


def test_a_flat_layout_is_no_delta(raw_disk: RawDisk, tmp_path: Path):
    with pytest.raises(V2xError, match="never written as monolithicFlat"):
        write_chain(
            raw_disk(), tmp_path / "vm.vmdk", [Delta([], CreateType.MONOLITHIC_FLAT)], expected=tmp_path / "e.raw"
        )


def test_a_raw_disk_is_whole_sectors(tmp_path: Path):
    (tmp_path / "odd.raw").write_bytes(b"x" * 700)
    with pytest.raises(V2xError, match="700 bytes"):
        write_vmdk(tmp_path / "odd.raw", tmp_path / "out.vmdk", CreateType.MONOLITHIC_SPARSE)


def test_a_change_beyond_the_disk_is_refused(raw_disk: RawDisk):
    raw = raw_disk(size=MIB)
    with pytest.raises(V2xError, match="outside the disk"):
        rawdisk.apply(raw, [Change(MIB - 1, b"ab")])


def test_ranges_are_widened_and_joined():
    ranges = [Range(700, 800), Range(100, 200), Range(900, 1100), Range(5000, 5000), Range(4000, 4001)]
    assert rawdisk.covering(ranges, 512, 4050) == [Range(0, 1536), Range(3584, 4050)]


def test_a_sparse_copy_stays_sparse(raw_disk: RawDisk, tmp_path: Path):
    raw = raw_disk(size=256 * MIB, data=[(100 * MIB, 4096)])
    rawdisk.copy_sparse(raw, tmp_path / "copy.raw")
    assert subprocess.run(["cmp", raw, tmp_path / "copy.raw"], check=False).returncode == 0
    assert (tmp_path / "copy.raw").stat().st_blocks * 512 < 4 * MIB
    rawdisk.copy_sparse(raw, tmp_path / "part.raw", start=100 * MIB - 512, length=1024)
    assert (tmp_path / "part.raw").read_bytes() == raw.read_bytes()[100 * MIB - 512 : 100 * MIB + 512]


def test_a_thin_terabyte_takes_no_time(raw_disk: RawDisk, tmp_path: Path):
    raw = raw_disk(size=2**40, data=[(2**39, 4096)])
    info = write_stream_optimized(raw, tmp_path / "out.vmdk")
    assert info.populated_bytes == sparse.GRAIN_BYTES
    assert info.size_bytes < MIB
