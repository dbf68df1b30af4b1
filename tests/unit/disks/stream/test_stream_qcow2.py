# SPDX-License-Identifier: Apache-2.0
"""The QCOW2 writer against qemu-img and against the order rules of XAPI's reader."""

import io
import os
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v2x.disks.stream.feed import data_blocks, read_blocks
from v2x.disks.stream.qcow2 import MAX_BYTES, Qcow2Layout, write_qcow2
from v2x.errors import Unsupported

MIB = 1 << 20
BLOCK = 2 * MIB
CLUSTER = 65536
OFFSET = (1 << 56) - 512


def streamed(disk: object, size: int) -> tuple[bytes, Qcow2Layout]:
    plan = Qcow2Layout(size, data_blocks(disk))
    out = io.BytesIO()
    for piece in plan.head():
        out.write(piece)
    for block in read_blocks(disk, plan.blocks):
        out.write(memoryview(block.buffer)[: plan.block_length(block.number)])
    return out.getvalue(), plan


def whole_clusters(size: int) -> int:
    return -(-size // CLUSTER) * CLUSTER


def replay(raw: bytes) -> tuple[int, dict[int, bytes]]:
    """Reads an image as XAPI's qcow2 reader does: clusters in file order, all metadata before all data, no gap.

    The virtual size, and the content of the clusters that are there.
    """
    assert len(raw) % CLUSTER == 0
    clusters = [raw[at : at + CLUSTER] for at in range(0, len(raw), CLUSTER)]
    magic, version = struct.unpack_from(">4sI", raw)
    bits, size = struct.unpack_from(">IQ", raw, 20)
    crypt, l1_size, l1_at, refs_at, refs_clusters, snapshots = struct.unpack_from(">IIQQII", raw, 32)
    incompatible, _, autoclear, order, header_length = struct.unpack_from(">QQQII", raw, 72)
    assert (magic, version, bits, crypt, snapshots) == (b"QFI\xfb", 3, 16, 0, 0)
    assert (incompatible, autoclear, order, header_length % 8) == (0, 0, 4, 0)
    assert struct.unpack_from(">Q", raw, 8)[0] == 0
    assert size % CLUSTER == 0

    def table(cluster: bytes) -> list[int]:
        return list(struct.unpack(f">{CLUSTER // 8}Q", cluster))

    used = {0}
    at = 1
    assert refs_at == CLUSTER
    for cluster in clusters[1 : 1 + refs_clusters]:
        used.add(at)
        at += 1
        used.update(entry // CLUSTER for entry in table(cluster) if entry)
    assert l1_at // CLUSTER >= max(used) + 1
    at = l1_at // CLUSTER
    l1 = [entry for step in range(-(-l1_size * 8 // CLUSTER)) for entry in table(clusters[at + step])][:l1_size]
    used.update(range(at, at + -(-l1_size * 8 // CLUSTER)))
    at = max(used) + 1
    data: dict[int, int] = {}
    for number, entry in enumerate(l1):
        if not entry:
            continue
        assert entry >> 63 == 1
        assert (entry & OFFSET) // CLUSTER == at, "L2 tables must follow one another"
        used.add(at)
        for index, l2 in enumerate(table(clusters[at])):
            if l2:
                assert l2 >> 62 == 0b10
                assert l2 & 1 == 0
                position = (l2 & OFFSET) // CLUSTER
                assert position not in data, "a data cluster is named twice"
                data[position] = number * (CLUSTER // 8) + index
        at += 1
    assert used == set(range(at)), "no gap in the metadata"
    assert sorted(data) == list(range(at, at + len(data))), "data must begin right behind the metadata, without a gap"
    assert at + len(data) == len(clusters)
    return size, {virtual: clusters[position] for position, virtual in data.items()}


def check_clusters(found: dict[int, bytes], source: Path) -> None:
    """What is there equals the source, and what is not there is zero in the source."""
    with open(source, "rb") as file:
        size = file.seek(0, 2)
        for number in range(-(-size // CLUSTER)):
            if number in found or any_data(file, number):
                file.seek(number * CLUSTER)
                assert found[number] == file.read(CLUSTER).ljust(CLUSTER, b"\0")


def any_data(file: io.BufferedReader, cluster: int) -> bool:
    try:
        following = os.lseek(file.fileno(), cluster * CLUSTER, os.SEEK_DATA)
    except OSError:
        return False
    if following >= (cluster + 1) * CLUSTER:
        return False
    file.seek(cluster * CLUSTER)
    return any(file.read(CLUSTER))


def test_file_equals_source(shape: Path, tmp_path: Path, raw_disk: type, qemu_img: object) -> None:
    disk = raw_disk.open(shape)
    seen: list[int] = []
    target = tmp_path / "out.qcow2"
    with open(target, "w+b", buffering=0) as out:
        write_qcow2(disk, out, progress=seen.append)
    assert qemu_img.info(target, "qcow2")["virtual-size"] == disk.size
    qemu_img.check_qcow2(target)
    qemu_img.compare(shape, target, "qcow2")
    assert sum(seen) == disk.size
    assert target.stat().st_size % CLUSTER == 0


def test_stream_equals_source_and_its_length_is_exact(
    shape: Path, tmp_path: Path, raw_disk: type, qemu_img: object
) -> None:
    size = whole_clusters(shape.stat().st_size)
    stream, plan = streamed(raw_disk.open(shape), size)
    assert len(stream) == plan.content_length
    target = tmp_path / "out.qcow2"
    target.write_bytes(stream)
    qemu_img.check_qcow2(target)
    assert qemu_img.info(target, "qcow2")["virtual-size"] == size
    with open(shape, "r+b") as file:
        file.truncate(size)
    qemu_img.compare(shape, target, "qcow2")


@pytest.mark.parametrize(
    ("size", "pieces"),
    [
        (9 * MIB + 512, [(0, 700), (3 * MIB, 1000), (9 * MIB, 512)]),
        (1200 * MIB, [(0, 512), (600 * MIB, 512), (1199 * MIB, 512)]),
        (6 * MIB, [(0, 6 * MIB)]),
    ],
)
def test_a_forward_only_reader_gets_the_disk(
    size: int, pieces: list[tuple[int, int]], make_disk: object, raw_disk: type, tmp_path: Path
) -> None:
    source = make_disk(size, pieces)
    stream, _ = streamed(raw_disk.open(source), whole_clusters(size))
    found_size, found = replay(stream)
    assert found_size == whole_clusters(size)
    check_clusters(found, source)


def test_file_with_zeros_found_while_writing_still_obeys_the_order(
    make_disk: object, raw_disk: type, tmp_path: Path, qemu_img: object
) -> None:
    """Zero clusters and whole zero tables that the map calls data: the metadata planned for them leaves no gap."""
    size = 1100 * MIB
    source = make_disk(size, [(512 * MIB + 3 * CLUSTER, CLUSTER), (512 * MIB + 9 * CLUSTER, 5), (1099 * MIB, MIB)])
    with open(source, "r+b") as file:
        for at in (0, 512 * MIB, 514 * MIB):
            file.seek(at)
            file.write(bytes(3 * CLUSTER))
    target = tmp_path / "out.qcow2"
    with open(target, "w+b") as out:
        write_qcow2(raw_disk.open(source), out)
    qemu_img.check_qcow2(target)
    qemu_img.compare(source, target, "qcow2")
    check_clusters(replay(target.read_bytes())[1], source)
    plan = Qcow2Layout(size, data_blocks(raw_disk.open(source)))
    assert target.stat().st_size == plan.data_at + (2 + 16) * CLUSTER


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 700 * BLOCK))
def test_layout_arithmetic(data: st.DataObject, size: int) -> None:
    count = -(-size // BLOCK)
    blocks = sorted(data.draw(st.sets(st.integers(0, count - 1), max_size=8)))
    plan = Qcow2Layout(whole_clusters(size), blocks)
    pieces = list(plan.head())
    assert sum(map(len, pieces)) == plan.data_at
    assert plan.content_length == plan.data_at + sum(map(plan.block_length, blocks))
    _, found = replay(b"".join(pieces) + b"".join(bytes([n % 255 + 1]) * plan.block_length(n) for n in blocks))
    assert sorted(found) == [n * 32 + step for n in blocks for step in range(plan.block_length(n) // CLUSTER)]
    assert all(content[0] == number // 32 % 255 + 1 for number, content in found.items())


@pytest.mark.parametrize("tib", [2, 16])
def test_a_huge_full_disk_is_laid_out_without_a_list_of_clusters(tib: int) -> None:
    size = tib << 40
    blocks = range(size // BLOCK)
    begun = time.process_time()
    plan = Qcow2Layout(size, blocks)
    assert time.process_time() - begun < 3
    assert plan.data_clusters == size // CLUSTER
    head = plan.head()
    first = [next(head) for _ in range(2)]
    assert plan.content_length // CLUSTER <= plan.refcount_blocks * 32768
    assert plan.refcount_blocks * 8 <= plan.refcount_table_clusters * CLUSTER == len(first[1])
    assert plan.content_length == plan.data_at + size


@pytest.mark.parametrize("blocks", [[1, 0], [0, 0], [-1], [3]])
def test_wrong_blocks_are_refused(blocks: list[int]) -> None:
    with pytest.raises(ValueError, match="block"):
        Qcow2Layout(3 * BLOCK, blocks)


def test_64_tib_is_the_limit() -> None:
    with pytest.raises(Unsupported):
        Qcow2Layout(MAX_BYTES + 1, [])
