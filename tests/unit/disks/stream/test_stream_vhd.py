# SPDX-License-Identifier: Apache-2.0
"""The VHD writer against qemu-img, an independent reading of the specification, and XAPI's order rules."""

import io
import struct
import time
import tracemalloc
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v2x.disks.stream.feed import data_blocks, read_blocks
from v2x.disks.stream.vhd import MAX_BYTES, VhdLayout, geometry, write_vhd
from v2x.errors import Unsupported

MIB = 1 << 20
BLOCK = 2 * MIB
UUID_1 = UUID("00112233-4455-6677-8899-aabbccddeeff")
WHEN = 1_700_000_000


def layout(size: int, blocks: list[int], end: int | None = None) -> VhdLayout:
    return VhdLayout(size, blocks, uuid=UUID_1, timestamp=WHEN, written_end_bytes=end)


class Forward:
    """A stream that can only be read onwards."""

    def __init__(self, source: io.BufferedIOBase) -> None:
        self._source = source
        self.at = 0

    def take(self, count: int) -> bytes:
        data = self._source.read(count)
        assert len(data) == count, f"the stream ends at {self.at + len(data)}, {count} bytes were due at {self.at}"
        self.at += count
        return data

    def skip_to(self, offset: int) -> None:
        assert offset >= self.at, f"behind the reader: {offset} < {self.at}"
        self.take(offset - self.at)


def summed(raw: bytes, field_at: int) -> int:
    return 0xFFFFFFFF - sum(raw[:field_at] + raw[field_at + 4 :])


def check_footer(raw: bytes) -> int:
    """The checks of XAPI's reader on a footer; its current size."""
    assert raw[:8] == b"conectix"
    assert struct.unpack_from(">I", raw, 12)[0] == 0x00010000
    assert struct.unpack_from(">I", raw, 60)[0] == 3
    assert struct.unpack_from(">I", raw, 64)[0] == summed(raw, 64)
    assert UUID(bytes=raw[68:84]) == UUID_1
    assert raw[28:32] == b"win "
    original, current = struct.unpack_from(">QQ", raw, 40)
    assert original == current
    # What `vhd-util check` asks for beyond that.
    assert struct.unpack_from(">I", raw, 8)[0] == 2
    assert struct.unpack_from(">I", raw, 24)[0] == WHEN - 946_684_800
    assert not any(raw[84:])
    return current


def replay(source: io.BufferedIOBase, content_length: int, disk: bytearray) -> int:
    """Reads a stream as XAPI does, forward only, writing runs of present sectors to `disk`; the VHD's size."""
    stream = Forward(source)
    first = stream.take(512)
    size = check_footer(first)
    data_offset = struct.unpack_from(">Q", first, 16)[0]
    stream.skip_to(data_offset)
    head = stream.take(1024)
    cookie, following, table_at, version, entries, block_size, check = struct.unpack_from(">8sQQIIII", head)
    assert (cookie, following, version) == (b"cxsparse", 2**64 - 1, 0x00010000)
    assert check == summed(head, 36)
    assert block_size == BLOCK
    assert entries * BLOCK >= size > (entries - 1) * BLOCK
    assert not any(head[40:])
    stream.skip_to(table_at)
    table = stream.take(-(-entries * 4 // 512) * 512)
    positions = struct.unpack(f">{len(table) // 4}I", table)
    assert all(entry == 0xFFFFFFFF for entry in positions[entries:])
    present = sorted((entry, number) for number, entry in enumerate(positions[:entries]) if entry != 0xFFFFFFFF)
    assert len({entry for entry, _ in present}) == len(present)
    for entry, number in present:
        stream.skip_to(entry * 512)
        bitmap, data = stream.take(512), stream.take(BLOCK)
        for sector in range(4096):
            if bitmap[sector // 8] >> 7 - sector % 8 & 1:
                at = number * BLOCK + sector * 512
                assert at + 512 <= len(disk), "a sector beyond the end of the disk"
                disk[at : at + 512] = data[sector * 512 : sector * 512 + 512]
    end = (content_length - 1) // 512 * 512
    stream.skip_to(end)
    assert stream.take(512) == first
    assert source.read(1) == b""
    assert stream.at == content_length
    return size


def streamed(disk: object, end: int | None = None) -> tuple[bytes, VhdLayout]:
    plan = layout(disk.size, data_blocks(disk), end)
    out = io.BytesIO()
    out.write(plan.head())
    for block in read_blocks(disk, plan.blocks):
        out.write(plan.bitmap(block.number))
        out.write(block.buffer)
    out.write(plan.foot())
    return out.getvalue(), plan


def test_file_equals_source(shape: Path, tmp_path: Path, raw_disk: type, qemu_img: object) -> None:
    disk = raw_disk.open(shape)
    seen: list[int] = []
    with open(tmp_path / "out.vhd", "w+b", buffering=0) as out:
        write_vhd(disk, out, uuid=UUID_1, timestamp=WHEN, progress=seen.append)
    assert qemu_img.info(tmp_path / "out.vhd", "vpc")["virtual-size"] == disk.size
    qemu_img.compare(shape, tmp_path / "out.vhd", "vpc")
    assert sum(seen) == disk.size
    assert all(step > 0 for step in seen)


def test_stream_equals_source_and_its_length_is_exact(
    shape: Path, tmp_path: Path, raw_disk: type, qemu_img: object
) -> None:
    stream, plan = streamed(raw_disk.open(shape))
    assert len(stream) == plan.content_length
    (tmp_path / "out.vhd").write_bytes(stream)
    assert qemu_img.info(tmp_path / "out.vhd", "vpc")["virtual-size"] == shape.stat().st_size
    qemu_img.compare(shape, tmp_path / "out.vhd", "vpc")


@pytest.mark.parametrize(("vdi_step", "size"), [(BLOCK, 9 * MIB + 512), (65536, 6 * MIB + 512), (65536, 6 * MIB)])
def test_a_forward_only_reader_gets_the_disk(vdi_step: int, size: int, make_disk: object, raw_disk: type) -> None:
    source = make_disk(size, [(0, 700), (3 * MIB, 1000), (size - 512, 512)])
    vdi_size = -(-size // vdi_step) * vdi_step
    stream, plan = streamed(raw_disk.open(source), vdi_size)
    vdi = bytearray(b"\xaa" * vdi_size)
    assert replay(io.BufferedReader(io.BytesIO(stream)), plan.content_length, vdi) == size
    content = source.read_bytes().ljust(vdi_size, b"\0")
    for number in range(-(-vdi_size // BLOCK)):
        part = slice(number * BLOCK, (number + 1) * BLOCK)
        expected = content[part] if number in plan.blocks else b"\xaa" * len(content[part])
        assert vdi[part] == expected


def test_file_leaves_out_zero_blocks_that_the_map_calls_data(
    make_disk: object, raw_disk: type, tmp_path: Path, qemu_img: object
) -> None:
    source = make_disk(12 * MIB, [(5 * MIB, 512)])
    with open(source, "r+b") as file:
        for block in (0, 1, 3, 4, 5):
            file.seek(block * BLOCK)
            file.write(bytes(BLOCK))
    disk = raw_disk.open(source)
    assert list(data_blocks(disk)) == [0, 1, 2, 3, 4, 5]
    with open(tmp_path / "out.vhd", "w+b") as out:
        write_vhd(disk, out, uuid=UUID_1, timestamp=WHEN)
    assert (tmp_path / "out.vhd").stat().st_size == layout(12 * MIB, [2]).content_length
    qemu_img.compare(source, tmp_path / "out.vhd", "vpc")


def test_output_is_the_same_each_time(make_disk: object, raw_disk: type) -> None:
    source = make_disk(5 * MIB, [(0, 5 * MIB)])
    assert streamed(raw_disk.open(source))[0] == streamed(raw_disk.open(source))[0]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (512, (0, 4, 17)),
        (3 * MIB, (90, 4, 17)),
        (100 * MIB, (1003, 12, 17)),  # as qemu-img create -f vpc chooses before it rounds up
        (10 << 30, (20805, 16, 63)),
        (127 << 30, (65535, 16, 255)),
        (500 << 30, (65535, 16, 255)),
    ],
)
def test_geometry_of_known_sizes(size: int, expected: tuple[int, int, int]) -> None:
    found = geometry(size)
    if size < 127 << 30:
        assert found == expected
    else:
        assert found[1:] == expected[1:] and found[0] <= expected[0]


@settings(deadline=None)
@given(st.integers(0, MAX_BYTES // 512))
def test_geometry_never_exceeds_the_disk(sectors: int) -> None:
    cylinders, heads, per_track = geometry(sectors * 512)
    assert cylinders * heads * per_track <= sectors
    assert cylinders <= 65535
    assert heads <= 16
    assert per_track <= 255
    if sectors >= 68 and sectors <= 65535 * 16 * 255:
        assert cylinders * heads * per_track > sectors - heads * per_track - per_track


@settings(deadline=None)
@given(st.data(), st.integers(1, 40 * BLOCK), st.integers(0, 4096))
def test_layout_arithmetic(data: st.DataObject, size: int, extra_sectors: int) -> None:
    count = -(-size // BLOCK)
    blocks = sorted(data.draw(st.sets(st.integers(0, count - 1))))
    end = -(-size // 512) * 512 + extra_sectors * 512
    plan = layout(size, blocks, end)
    head = plan.head()
    assert plan.content_length == len(head) + len(blocks) * (512 + BLOCK) + len(plan.foot())
    assert len(head) % 512 == 0
    table = struct.unpack(f">{(len(head) - 1536) // 4}I", head[1536:])
    expected = {number: len(head) // 512 + index * 4097 for index, number in enumerate(blocks)}
    assert {number: entry for number, entry in enumerate(table) if entry != 0xFFFFFFFF} == expected
    for number in blocks:
        bitmap = plan.bitmap(number)
        assert len(bitmap) == 512
        present = int.from_bytes(bitmap).bit_count()
        assert present == min(4096, (end - number * BLOCK) // 512)
        assert bitmap == bytes.fromhex("ff" * (present // 8)) + bitmap[present // 8 :]


@pytest.mark.parametrize("blocks", [[1, 0], [0, 0], [-1], [3]])
def test_wrong_blocks_are_refused(blocks: list[int]) -> None:
    with pytest.raises(ValueError, match="block"):
        layout(3 * BLOCK, blocks)


def test_a_block_wholly_beyond_the_vdi_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        layout(3 * BLOCK, [2], end=2 * BLOCK)


def test_2040_gib_is_the_limit() -> None:
    assert layout(MAX_BYTES, [MAX_BYTES // BLOCK - 1]).entries == 1_044_480
    with pytest.raises(Unsupported) as caught:
        layout(MAX_BYTES + 1, [])
    assert "QCOW2" in caught.value.hint


def test_a_full_disk_of_2040_gib_is_laid_out_quickly_and_within_32_bits() -> None:
    blocks = range(MAX_BYTES // BLOCK)
    begun = time.process_time()
    head = layout(MAX_BYTES, blocks).head()
    assert time.process_time() - begun < 0.5  # measured 0.04 s; the bound leaves room for a busy machine
    last = struct.unpack_from(">I", head, 1536 + 4 * (len(blocks) - 1))[0]
    assert last == len(head) // 512 + (len(blocks) - 1) * 4097
    tracemalloc.start()
    layout(MAX_BYTES, blocks).head()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * MIB


def test_a_file_system_that_fills_up_while_others_write_is_an_error(make_disk: object, raw_disk: type) -> None:
    disk = raw_disk.open(make_disk(40 * MIB, [(0, 40 * MIB)]))
    with open("/dev/full", "r+b", buffering=0) as out, pytest.raises(OSError, match="No space left"):
        write_vhd(disk, out, uuid=UUID_1, timestamp=WHEN)
