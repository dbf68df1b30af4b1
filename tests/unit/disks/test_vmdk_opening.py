# SPDX-License-Identifier: Apache-2.0
"""Opening VMDKs: chains, extents, and refusals that name the file."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from v2x.disks.vmdk import describe_vmdk, open_vmdk
from v2x.errors import BadImage, InputRefused, UnsafeImage, Unsupported

KIB = 1024
SIZE = 512 * KIB
OLD = b"o" * SIZE
NEW = b"n" * SIZE


def whole(images: Any, name: str, **options: Any) -> bytes:
    reader = open_vmdk(images.listing, name, **options)
    buffer = bytearray(reader.size)
    reader.read_into(0, buffer)
    reader.close()
    return bytes(buffer)


def open_files() -> int:
    gc.collect()  # what other tests left to be closed goes now, not while this one counts
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def delta(images: Any) -> str:
    images.flat("base.vmdk", OLD, cid="00000001")
    return images.cowd("top.vmdk", NEW, {0, 9}, cid="00000002", parent_cid="00000001", parent="base.vmdk")


EXPECTED = b"n" * 512 + b"o" * 8 * 512 + b"n" * 512 + b"o" * (SIZE - 10 * 512)


def test_a_delta_reads_its_own_grains_and_its_parents(images: Any, delta: str) -> None:
    assert whole(images, delta) == EXPECTED
    assert whole(images, delta, chain=["top.vmdk", "base.vmdk"]) == EXPECTED
    assert whole(images, delta, chain=["base.vmdk"]) == EXPECTED
    assert images.read_by_qemu(delta) == EXPECTED


def test_the_last_part_of_an_absolute_hint_is_looked_for_in_the_same_listing_only(images: Any, delta: str) -> None:
    for hint in ("/vmfs/volumes/ds/vm/base.vmdk", "C:\\vm\\base.vmdk", "../base.vmdk"):
        images.cowd("top.vmdk", NEW, {0, 9}, parent_cid="00000001", parent=hint)
        assert whole(images, "top.vmdk") == EXPECTED


@pytest.mark.parametrize("chain", [None, ["top.vmdk", "base.vmdk"]])
def test_a_missing_parent_is_named(images: Any, delta: str, chain: list[str] | None) -> None:
    images.path("base.vmdk").unlink()
    with pytest.raises(InputRefused, match=r"base\.vmdk, the parent of top\.vmdk, is missing") as refused:
        open_vmdk(images.listing, delta, chain=chain)
    assert refused.value.code == "MISSING-PARENT"
    assert refused.value.exit_code == 6


@pytest.mark.parametrize("hint", ["", "/"])
def test_a_delta_without_a_hint_misses_its_parent(images: Any, delta: str, hint: str) -> None:
    images.cowd("top.vmdk", NEW, {0}, parent_cid="00000001", parent=hint)
    with pytest.raises(InputRefused) as refused:
        open_vmdk(images.listing, "top.vmdk")
    assert refused.value.code == "MISSING-PARENT"


def test_a_chain_given_too_short_misses_its_parent(images: Any, delta: str) -> None:
    with pytest.raises(InputRefused) as refused:
        open_vmdk(images.listing, delta, chain=["top.vmdk"])
    assert refused.value.code == "MISSING-PARENT"


def test_a_chain_given_too_long_is_refused(images: Any, delta: str) -> None:
    images.flat("other.vmdk", OLD)
    with pytest.raises(BadImage, match=r"base\.vmdk has no parent, yet other\.vmdk"):
        open_vmdk(images.listing, delta, chain=["top.vmdk", "base.vmdk", "other.vmdk"])


def test_a_parent_that_changed_since_is_refused(images: Any, delta: str) -> None:
    images.flat("base.vmdk", OLD, cid="00000005")
    with pytest.raises(BadImage, match="no longer, the parent") as refused:
        open_vmdk(images.listing, delta)
    assert refused.value.code == "PARENT-CHANGED"


def test_a_loop_is_refused(images: Any) -> None:
    images.cowd("a.vmdk", NEW, {0}, cid="00000001", parent_cid="00000002", parent="b.vmdk")
    images.cowd("b.vmdk", NEW, {0}, cid="00000002", parent_cid="00000001", parent="a.vmdk")
    with pytest.raises(BadImage, match="comes back"):
        open_vmdk(images.listing, "a.vmdk")


@pytest.mark.parametrize(("depth", "fine"), [(64, True), (65, False)])
def test_sixty_four_files_are_the_most(images: Any, depth: int, fine: bool) -> None:
    images.flat("0.vmdk", OLD, cid="00000000")
    for number in range(1, depth):
        images.cowd(
            f"{number}.vmdk",
            bytes([number]) * SIZE,
            {number},
            cid=f"{number:08x}",
            parent_cid=f"{number - 1:08x}",
            parent=f"{number - 1}.vmdk",
        )
    top = f"{depth - 1}.vmdk"
    if fine:
        read = whole(images, top)
        assert [read[number * 512] for number in range(depth)] == [ord("o"), *range(1, depth)]
    for chain in (None, [f"{number}.vmdk" for number in reversed(range(depth))]):
        if not fine:
            with pytest.raises(BadImage, match="deep"):
                open_vmdk(images.listing, top, chain=chain)


@pytest.mark.parametrize("base_bytes", [SIZE // 2, 2 * SIZE])
def test_a_base_of_another_size_is_cut_or_followed_by_zeros(images: Any, base_bytes: int) -> None:
    images.flat("base.vmdk", b"o" * base_bytes, cid="00000001")
    images.sesparse("top.vmdk", NEW, {0}, parent_cid="00000001", parent="base.vmdk")
    read = whole(images, "top.vmdk")
    assert read == (b"n" * 4096 + b"o" * (base_bytes - 4096))[:SIZE].ljust(SIZE, b"\0")
    with open_reader(images, "top.vmdk") as reader:
        assert sum(extent.length for extent in reader.extents(0, SIZE) if extent.data) == min(base_bytes, SIZE)


class open_reader:  # noqa: N801
    def __init__(self, images: Any, name: str) -> None:
        self.reader = open_vmdk(images.listing, name)

    def __enter__(self) -> Any:
        return self.reader

    def __exit__(self, *problem: object) -> None:
        self.reader.close()


def test_zeroed_and_unmapped_grains_of_a_delta_hide_the_parent(images: Any) -> None:
    images.flat("base.vmdk", OLD, cid="00000001")
    images.sesparse("top.vmdk", NEW, {1}, zeroed={2}, unmapped={3}, parent_cid="00000001", parent="base.vmdk")
    expected = b"o" * 4096 + b"n" * 4096 + bytes(2 * 4096) + b"o" * (SIZE - 4 * 4096)
    assert whole(images, "top.vmdk") == expected
    assert images.read_by_qemu("top.vmdk") == expected
    images.sparse(
        "hosted.vmdk",
        NEW,
        {1},
        zeroed={2},
        version=2,
        flags=7,
        parent_cid="00000001",
        parent="base.vmdk",
    )
    expected = b"o" * 65536 + b"n" * 65536 + bytes(65536) + b"o" * (SIZE - 3 * 65536)
    assert whole(images, "hosted.vmdk") == expected
    assert images.read_by_qemu("hosted.vmdk") == expected


@pytest.mark.parametrize("kind", ["cowd", "sesparse", "sparse"])
def test_qemu_reads_scattered_deltas_the_same(images: Any, pattern: Callable[..., bytes], kind: str) -> None:
    size = 20 << 20
    raw = pattern(size, [(0, size)], seed=4)
    grain = {"cowd": 512, "sesparse": 4096, "sparse": 65536}[kind]
    stored = {number for number in range(size // grain) if number * 7919 % 11 < 4 or 100 < number < 700}
    images.flat("base.vmdk", pattern(size, [(0, size)], seed=5), cid="00000001")
    options = {"sesparse": {"first_number": 3900}}.get(kind, {"shuffle": 2})
    getattr(images, kind)("top.vmdk", raw, stored, parent_cid="00000001", parent="base.vmdk", **options)
    assert whole(images, "top.vmdk") == images.read_by_qemu("top.vmdk")


def test_flat_extents_begin_where_the_descriptor_says(images: Any) -> None:
    images.path("data.bin").write_bytes(b"a" * 512 + b"b" * 512 + b"c" * 512)
    images.descriptor("x.vmdk", ['RW 1 FLAT "data.bin" 2', 'RW 2 FLAT "data.bin" 0'], kind="monolithicFlat")
    assert whole(images, "x.vmdk") == b"c" * 512 + b"a" * 512 + b"b" * 512
    assert images.read_by_qemu("x.vmdk") == whole(images, "x.vmdk")


def test_zero_extents_keep_their_place(images: Any) -> None:
    images.path("data.bin").write_bytes(b"a" * 512)
    images.descriptor(
        "x.vmdk", ['RW 1 FLAT "data.bin" 0', "RW 3 ZERO", 'RDONLY 1 FLAT "data.bin" 0'], kind="monolithicFlat"
    )
    assert whole(images, "x.vmdk") == b"a" * 512 + bytes(1536) + b"a" * 512


def test_a_header_rounded_up_to_a_grain_keeps_the_descriptors_size(images: Any) -> None:
    raw = b"v" * (65536 + 512)
    images.sparse("x.vmdk", raw, capacity=256)
    assert whole(images, "x.vmdk") == raw
    images.sparse("x.vmdk", raw, capacity=257)
    with pytest.raises(BadImage, match="descriptor says"):
        open_vmdk(images.listing, "x.vmdk")
    images.sparse("x.vmdk", raw, capacity=128)
    with pytest.raises(BadImage, match="descriptor says"):
        open_vmdk(images.listing, "x.vmdk")


@pytest.mark.parametrize("kind", ["cowd", "sesparse"])
def test_a_delta_of_another_size_than_its_descriptor_is_refused(images: Any, kind: str) -> None:
    getattr(images, kind)("x.vmdk", OLD)
    text = images.path("x.vmdk").read_text()
    for sectors in (SIZE // 512 - 8, SIZE // 512 + 1):
        images.path("x.vmdk").write_text(text.replace(f"RW {SIZE // 512} ", f"RW {sectors} "))
        with pytest.raises(BadImage, match="descriptor says"):
            open_vmdk(images.listing, "x.vmdk")


def test_one_extent_alone_is_not_taken_for_a_disk(images: Any) -> None:
    images.sparse("part-s001.vmdk", OLD, embed=False)
    images.cowd("c.vmdk", OLD)
    images.sesparse("s.vmdk", OLD)
    images.path("flat.vmdk").write_bytes(b"x" * (2 << 20))
    for name in ("part-s001.vmdk", "c-delta.vmdk", "s-sesparse.vmdk", "flat.vmdk"):
        with pytest.raises(BadImage) as refused:
            open_vmdk(images.listing, name)
        assert "descriptor" in refused.value.hint


def test_a_missing_or_short_extent_is_named_and_nothing_stays_open(images: Any, delta: str) -> None:
    before = open_files()
    images.path("base-flat.vmdk").write_bytes(OLD[:-512])
    with pytest.raises(BadImage, match=r"base-flat\.vmdk holds 523,776 bytes"):
        open_vmdk(images.listing, delta)
    images.path("base-flat.vmdk").unlink()
    with pytest.raises(InputRefused, match=r"base-flat\.vmdk is missing"):
        open_vmdk(images.listing, delta)
    assert open_files() == before


def test_a_disk_of_hundreds_of_extents_keeps_few_of_them_open(images: Any) -> None:
    lines = []
    for number in range(300):
        images.path(f"x-f{number:03}.vmdk").write_bytes(number.to_bytes(2, "little") * 256)
        lines.append(f'RW 1 FLAT "x-f{number:03}.vmdk" 0')
    images.descriptor("x.vmdk", lines, kind="twoGbMaxExtentFlat")
    before = open_files()
    with open_reader(images, "x.vmdk") as reader:
        buffer = bytearray(reader.size)
        reader.read_into(0, buffer)
        assert all(buffer[n * 512 : n * 512 + 512] == n.to_bytes(2, "little") * 256 for n in range(300))
        assert open_files() - before <= 33
    assert open_files() == before


def test_sesparse_says_that_it_is_experimental_and_a_pending_journal_is_refused(images: Any) -> None:
    images.sesparse("s.vmdk", OLD)
    images.cowd("c.vmdk", OLD)
    with open_reader(images, "s.vmdk") as reader:
        assert reader.experimental
        assert reader.clone().experimental
    with open_reader(images, "c.vmdk") as reader:
        assert not reader.experimental
    images.sesparse("s.vmdk", OLD, replay=1)
    with pytest.raises(Unsupported, match="journal"):
        open_vmdk(images.listing, "s.vmdk")


def test_names_outside_the_listing_are_refused_for_the_vmdk_itself(images: Any) -> None:
    for name in ("../x.vmdk", "/etc/passwd", "a/b.vmdk"):
        with pytest.raises(UnsafeImage):
            open_vmdk(images.listing, name)


def test_describing_tells_kind_chain_and_files(images: Any, delta: str) -> None:
    info = describe_vmdk(images.listing, delta)
    assert info.create_type == "vmfsSparse"
    assert info.capacity_bytes == SIZE
    assert info.chain == ("top.vmdk", "base.vmdk")
    assert info.files == ("top.vmdk", "top-delta.vmdk", "base.vmdk", "base-flat.vmdk")
    assert info.adapter_type == "lsilogic"
    assert (info.problem, info.missing, info.raw_device) == ("", (), "")
    assert not info.experimental
    assert not info.encrypted
    assert info.allocated_bytes == SIZE


def test_describing_reports_what_cannot_be_read_instead_of_raising(images: Any, delta: str) -> None:
    images.path("base.vmdk").unlink()
    info = describe_vmdk(images.listing, delta)
    assert info.missing == ("base.vmdk",)
    assert "missing" in info.problem
    images.descriptor(
        "rdm.vmdk", ['RW 4096 VMFSRDM "rdm-rdm.vmdk"'], kind="vmfsRawDeviceMap", settings={"ddb.uuid": "60 00"}
    )
    info = describe_vmdk(images.listing, "rdm.vmdk")
    assert (info.raw_device, info.uuid, info.capacity_bytes) == ("vmfsRawDeviceMap", "60 00", 4096 * 512)
    assert "raw device" in info.problem
    images.descriptor("c.vmdk", ['RW 1 FLAT "top.vmdk"'], kind="vmfs", settings={"ddb.iofilters": "vmwarevmcrypt"})
    assert describe_vmdk(images.listing, "c.vmdk").encrypted


def test_describing_estimates_what_is_stored(images: Any, pattern: Callable[..., bytes]) -> None:
    raw = pattern(40 << 20, [(0, 100_000)])
    images.by_qemu("m.vmdk", raw, "subformat=monolithicSparse")
    images.stream("s.vmdk", raw, {0, 1})
    images.raw("f-flat.vmdk", raw)
    images.descriptor("f.vmdk", [f'RW {len(raw) // 512} FLAT "f-flat.vmdk" 0'], kind="monolithicFlat")
    assert describe_vmdk(images.listing, "m.vmdk").allocated_bytes == 2 * 65536
    assert describe_vmdk(images.listing, "s.vmdk").allocated_bytes == 32 << 20
    assert describe_vmdk(images.listing, "s.vmdk").compressed
    assert 100_000 <= (describe_vmdk(images.listing, "f.vmdk").allocated_bytes or 0) <= 2 * 65536
