# SPDX-License-Identifier: Apache-2.0
"""Mutated VMDKs: no error outside the tree, no large allocation, and never other bytes than qemu's when both accept."""

import struct
import subprocess
import tracemalloc
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from v2x.disks.probe import check_image
from v2x.disks.vmdk import describe_vmdk, open_vmdk
from v2x.errors import InputRefused
from v2x.model.machine import DiskFormat

MIB = 1 << 20
EXAMPLES_WITH_QEMU = 150
FIXED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

INTERESTING = [0, 1, 2, 7, 8, 127, 128, 129, 511, 512, 4096, 1 << 16, 1 << 30, 1 << 31, (1 << 32) - 1]
HUGE = [1 << 32, 1 << 40, 1 << 54, 1 << 55, 1 << 60, 3 << 60, 1 << 63, (1 << 64) - 1]


@st.composite
def mutations(draw: Any, size: int, hot: list[tuple[int, int]]) -> list[tuple[int, bytes]]:
    """One to three overwritten fields, mostly where the metadata lies."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        begin, end = draw(st.sampled_from([*hot, (0, size)]))
        width = draw(st.sampled_from([1, 2, 4, 8]))
        offset = draw(st.integers(begin, max(begin, min(end, size) - width))) // width * width
        value = draw(st.one_of(st.sampled_from(INTERESTING + HUGE), st.integers(0, 2**64 - 1), st.integers(0, 1000)))
        found.append((offset, struct.pack("<Q", value)[:width]))
    return found


def attempt(images: Any, name: str) -> bytes | None:
    """What the reader gives for the first MiB, or None if it refuses. Anything but InputRefused escapes."""
    try:
        describe_vmdk(images.listing, name)
        reader = open_vmdk(images.listing, name)
    except InputRefused:
        return None
    try:
        buffer = bytearray(min(reader.size, MIB))
        reader.read_into(0, buffer)
        at = 0
        for extent in islice(reader.extents(0, reader.size), 5000):
            assert extent.start == at
            at = extent.end
        tail = bytearray(min(4096, reader.size))
        reader.read_into(reader.size - len(tail), tail)
        return bytes(buffer)
    except InputRefused:
        return None
    finally:
        reader.close()


def by_qemu(images: Any, name: str) -> bytes | None:
    out = images.path("qemu.out")
    done = subprocess.run(
        ["qemu-img", "dd", "-f", "vmdk", "-O", "raw", "bs=1M", "count=1", f"if={images.path(name)}", f"of={out}"],
        capture_output=True,
        check=False,
        timeout=30,
    )
    return out.read_bytes() if done.returncode == 0 else None


def write(images: Any, kind: str, raw: bytes) -> tuple[str, str, list[tuple[int, int]]]:
    """(disk, file to mutate, hot places of that file)."""
    stored = {0, 2, 3, 5, 6, 7}
    match kind:
        case "sparse":
            images.sparse("x.vmdk", raw, stored)
            return "x.vmdk", "x.vmdk", [(0, 80), (32 * 512, 32 * 512 + 8), (33 * 512, 33 * 512 + 40)]
        case "stream":
            images.stream("x.vmdk", raw, stored)
            end = images.path("x.vmdk").stat().st_size
            return "x.vmdk", "x.vmdk", [(0, 80), (128 * 512, 128 * 512 + 40), (end - 6 * 512 - 2048, end)]
        case "cowd":
            images.cowd("x.vmdk", raw, {0, 1, 2, 9, 10, 500})
            return "x.vmdk", "x-delta.vmdk", [(0, 32), (2048, 2056), (2560, 2620)]
        case _:
            images.sesparse("x.vmdk", raw, stored, zeroed={1}, unmapped={4})
            return "x.vmdk", "x-sesparse.vmdk", [(0, 208), (512, 544), (8 * 512, 8 * 512 + 8), (9 * 512, 9 * 512 + 80)]


KINDS = ["sparse", "stream", "cowd", "seSparse"]


@pytest.fixture
def raw(pattern: Callable[..., bytes]) -> bytes:
    return pattern(8 * 65536, [(0, 8 * 65536)])


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_are_read_or_refused_within_bounds(images: Any, raw: bytes, kind: str) -> None:
    disk, file, hot = write(images, kind, raw)
    original = images.path(file).read_bytes()
    accepted = largest = 0

    @settings(FIXED, max_examples=150)
    @given(mutations(len(original), hot))
    def mutated(changes: list[tuple[int, bytes]]) -> None:
        nonlocal accepted, largest
        content = bytearray(original)
        for offset, data in changes:
            content[offset : offset + len(data)] = data
        images.path(file).write_bytes(content)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        accepted += attempt(images, disk) is not None
        largest = max(largest, tracemalloc.get_traced_memory()[1] - before)

    tracemalloc.start()
    mutated()
    tracemalloc.stop()
    assert accepted > 10
    assert largest < 8 * MIB


@pytest.mark.parametrize("kind", KINDS)
def test_what_qemu_accepts_too_has_the_same_bytes(images: Any, raw: bytes, kind: str) -> None:
    disk, file, hot = write(images, kind, raw)
    original = images.path(file).read_bytes()
    compared = 0

    @settings(FIXED, max_examples=EXAMPLES_WITH_QEMU)
    @given(mutations(len(original), hot))
    def mutated(changes: list[tuple[int, bytes]]) -> None:
        nonlocal compared
        content = bytearray(original)
        for offset, data in changes:
            content[offset : offset + len(data)] = data
        images.path(file).write_bytes(content)
        ours = attempt(images, disk)
        theirs = by_qemu(images, disk) if ours is not None else None
        if ours is not None and theirs is not None:
            compared += 1
            assert theirs[: len(ours)] == ours
            assert not any(theirs[len(ours) :])

    mutated()
    assert compared > 5


def test_mutated_descriptors_are_read_or_refused(images: Any, raw: bytes) -> None:
    images.flat("base.vmdk", raw, cid="00000001")
    images.cowd("x.vmdk", raw, {0, 5}, parent_cid="00000001", parent="base.vmdk")
    original = images.path("x.vmdk").read_bytes()
    words = [b"RW", b"ZERO", b"FLAT", b"..", b"/", b'"', b"\n", b"=", b"\0", b"\xff\xfe", b"99999999999999", b"-1"]

    @settings(FIXED, max_examples=300)
    @given(
        st.lists(
            st.tuples(
                st.integers(0, len(original)),
                st.integers(0, 20),
                st.one_of(st.sampled_from(words), st.binary(max_size=12)),
            ),
            min_size=1,
            max_size=4,
        )
    )
    def mutated(changes: list[tuple[int, int, bytes]]) -> None:
        content = original
        for offset, removed, inserted in changes:
            content = content[:offset] + inserted + content[offset + removed :]
        images.path("x.vmdk").write_bytes(content)
        attempt(images, "x.vmdk")

    mutated()


@pytest.mark.parametrize("format", [DiskFormat.QCOW2, DiskFormat.VHD, DiskFormat.VHDX, DiskFormat.VMDK])
def test_the_gate_raises_nothing_but_refusals(images: Any, raw: bytes, format: DiskFormat) -> None:
    word = {DiskFormat.VHD: "vpc"}.get(format, format.value)
    images.by_qemu("x", raw, format=word)
    original = images.path("x").read_bytes()
    hot = {
        DiskFormat.QCOW2: [(0, 120), (0, 700), (3 * 65536, 3 * 65536 + 16), (4 * 65536, 4 * 65536 + 64)],
        DiskFormat.VHD: [(0, 512), (512, 1536), (len(original) - 512, len(original))],
        DiskFormat.VHDX: [(64 << 10, (64 << 10) + 80), (192 << 10, (192 << 10) + 80), (2 * MIB, 2 * MIB + 200)],
        DiskFormat.VMDK: [(0, 80), (512, 1000)],
    }[format]

    @settings(FIXED, max_examples=40 if format is DiskFormat.VHDX else 150)
    @given(mutations(len(original), hot))
    def mutated(changes: list[tuple[int, bytes]]) -> None:
        content = bytearray(original)
        for offset, data in changes:
            content[offset : offset + len(data)] = data
        images.path("x").write_bytes(content)
        source = images.listing.open("x")
        try:
            check_image(source, format)
        except InputRefused:
            pass
        finally:
            source.close()

    mutated()
