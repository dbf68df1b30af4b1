# SPDX-License-Identifier: Apache-2.0
import random
import struct

import pytest

from tests.flows import FileFlow
from tests.images import patterned
from v2x.disks.allocation import AllocationMap
from v2x.disks.vmdk.flow import FlowBroken
from v2x.disks.vmdk.flowing import FlowingReader
from v2x.errors import BadImage, SourceError, Unsupported, V2xError

MIB = 1 << 20
GRAIN = 65536
SIZE = 70 * MIB + 3 * 512
PIECES = [(0, 3 * MIB), (5 * MIB + 100, 10), (33 * MIB, 2 * MIB), (SIZE - 700, 700)]
RAW = patterned(SIZE, PIECES)
STORED = {at // GRAIN for at in range(0, SIZE, GRAIN) if any(RAW[at : at + GRAIN])}


class Passes:
    """Counts the passes over a file, and cuts those that are told."""

    def __init__(self, path, cuts=()):
        self.path, self.cuts, self.flows = path, list(cuts), []

    def __call__(self):
        self.flows.append(FileFlow(self.path, cut=self.cuts.pop(0) if self.cuts else None))
        return self.flows[-1]


@pytest.fixture
def path(images):
    return images.path(images.stream("disk.vmdk", RAW, STORED))


def opened(passes, size=SIZE, **options):
    return FlowingReader(passes, size, "disk.vmdk", sleep=lambda _: None, **options)


def copied(reader, step=2 * MIB):
    """What a copy does: the map first, then the blocks that hold data, in order."""
    out = bytearray(reader.size)
    blocks = sorted({at // step for one in reader.extents(0, reader.size) if one.data for at in _within(one, step)})
    for number in blocks:
        length = min(step, reader.size - number * step)
        reader.read_into(number * step, memoryview(out)[number * step : number * step + length])
    return bytes(out)


def _within(extent, step):
    return {*range(extent.start, extent.end, step), extent.end - 1}


def test_without_a_map_one_pass_gives_the_disk(path):
    passes = Passes(path)
    assert copied(opened(passes)) == RAW
    assert len(passes.flows) == 1


def test_with_a_map_two_passes_give_the_disk_and_the_map_is_exact(path):
    passes = Passes(path)
    reader = opened(passes)
    told = reader.learn_map()
    assert told.data_bytes == sum(min(GRAIN, SIZE - number * GRAIN) for number in STORED)
    assert copied(reader) == RAW
    assert len(passes.flows) == 2
    reader.close()
    assert all(flow.closed for flow in passes.flows)


def test_a_step_back_begins_anew_and_what_is_kept_costs_nothing(path):
    passes = Passes(path)
    reader = opened(passes)
    buffer = bytearray(1000)
    for at in (10, 2 * MIB, 2 * MIB + 500, 2 * MIB):
        reader.read_into(at, buffer)
        assert buffer == RAW[at : at + 1000]
    assert len(passes.flows) == 1
    reader.read_into(0, buffer)
    assert buffer == RAW[:1000]
    assert len(passes.flows) == 2


@pytest.mark.parametrize("mapped", [False, True])
def test_a_stream_cut_anywhere_is_begun_again_and_goes_on(path, mapped):
    chance, size = random.Random(3), path.stat().st_size
    for _ in range(12):
        cuts = [chance.randrange(size) for _ in range(4)]
        passes = Passes(path, cuts)
        reader = opened(passes, attempts=6)
        if mapped:
            reader.learn_map()
        assert copied(reader) == RAW, cuts
        assert len(passes.flows) > 1


def test_a_stream_that_comes_no_further_is_given_up(path):
    passes = Passes(path, [500_000] * 20)
    reader = opened(passes, attempts=3)
    with pytest.raises(FlowBroken, match="before its end"):
        copied(reader)
    assert len(passes.flows) <= 5
    assert all(flow.closed for flow in passes.flows)


@pytest.mark.parametrize("mapped", [False, True])
def test_any_number_of_cuts_is_survived_as_long_as_each_pass_comes_further(path, mapped):
    size = path.stat().st_size
    cuts = [size * step // 12 for step in range(3, 12)]
    reader = opened(Passes(path, [*cuts, None, *cuts] if mapped else cuts), attempts=2)
    if mapped:
        reader.learn_map()
    assert copied(reader) == RAW


def test_what_keeps_a_stream_from_flowing_is_known_at_opening(path):
    with pytest.raises(FlowBroken):
        opened(Passes(path, [100] * 9), attempts=3).open()
    reader = opened(Passes(path, [100]), attempts=3)
    reader.open()
    assert copied(reader) == RAW


@pytest.mark.parametrize("lost", [0, min(number for number in STORED if number > 100), max(STORED)])
def test_a_grain_missing_in_the_second_pass_is_a_change(images, path, lost):
    reader = opened(lambda: FileFlow(path))
    reader.learn_map()
    images.stream("disk.vmdk", RAW, STORED - {lost})
    with pytest.raises(SourceError) as refused:
        copied(reader)
    assert refused.value.code == "SOURCE-CHANGED"


@pytest.mark.parametrize("new", [60, 300, 1090])
def test_a_new_grain_in_the_second_pass_is_a_change(images, path, new):
    reader = opened(lambda: FileFlow(path))
    reader.learn_map()
    images.stream("disk.vmdk", RAW, STORED | {new})
    with pytest.raises(SourceError) as refused:
        copied(reader)
    assert refused.value.code == "SOURCE-CHANGED"


def test_a_bound_that_holds_saves_the_first_pass(path):
    passes = Passes(path)
    bound = AllocationMap(SIZE, [(0, 6 * MIB), (32 * MIB, 4 * MIB), (SIZE - 4096, 4096)])
    assert copied(opened(passes, bound=bound)) == RAW
    assert len(passes.flows) == 1


@pytest.mark.parametrize("areas", [[(0, 6 * MIB), (SIZE - 4096, 4096)], [(0, 6 * MIB), (32 * MIB, 4 * MIB)]])
def test_data_outside_a_bound_is_never_lost_silently(path, areas):
    with pytest.raises(SourceError, match="unused, and data is there") as refused:
        copied(opened(Passes(path), bound=AllocationMap(SIZE, areas)))
    assert refused.value.code == "TRACKING"


def test_stored_zeros_outside_a_bound_do_no_harm(images):
    path = images.path(images.stream("disk.vmdk", RAW, STORED | {500}))
    bound = AllocationMap(SIZE, [(0, 6 * MIB), (32 * MIB, 4 * MIB), (SIZE - 4096, 4096)])
    assert copied(opened(lambda: FileFlow(path), bound=bound)) == RAW


def test_a_disk_without_data(images):
    path = images.path(images.stream("disk.vmdk", bytes(MIB), set()))
    reader = opened(lambda: FileFlow(path), MIB)
    assert reader.learn_map().data_bytes == 0
    assert copied(reader) == bytes(MIB)


def test_another_size_than_the_configurations_is_refused(path):
    with pytest.raises(BadImage) as refused:
        opened(lambda: FileFlow(path), SIZE - MIB).learn_map()
    assert refused.value.code == "CAPACITY-MISMATCH"


def test_an_error_is_not_forgotten_by_the_next_read(images, path):
    """What comes after a damaged grain is never taken for zeros."""
    grain = path.read_bytes().index(struct.pack("<Q", 33 * 16 * 128))
    images.patch("disk.vmdk", grain + 8, struct.pack("<I", 1 << 30))
    reader = opened(lambda: FileFlow(path))
    for _ in range(2):
        with pytest.raises(BadImage):
            reader.read_into(33 * MIB, bytearray(MIB))


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_stream_is_refused_or_read_right(images, seed):
    """One changed byte anywhere: wrong bytes never come out, and no table is believed without its grains."""
    raw = RAW[: 3 * MIB]
    path = images.path(images.stream("disk.vmdk", raw, set(range(20)) | {40}))
    content = bytearray(path.read_bytes())
    chance = random.Random(seed)
    # Headers, markers and tables more often than compressed data, which has a checksum of its own.
    at = chance.randrange(len(content) // 512) * 512 + chance.randrange(24)
    content[at] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    expected = b"".join(
        raw[n * GRAIN : (n + 1) * GRAIN] if n < 20 or n == 40 else bytes(GRAIN) for n in range(len(raw) // GRAIN)
    )
    reader = opened(lambda: FileFlow(path), len(raw))
    try:
        reader.learn_map()
        got = copied(reader)
    except V2xError as refused:
        assert isinstance(refused, BadImage | Unsupported | SourceError)
    else:
        assert got == expected


def test_kinds_without_a_footer_and_wrong_orders_are_not_supported(images):
    raw = RAW[:MIB]
    for name in (
        images.stream("a.vmdk", raw, footer=False),
        images.by_qemu("b.vmdk", raw, "subformat=monolithicSparse"),
    ):
        with pytest.raises(Unsupported, match="streamOptimized VMDK with a footer"):
            FileFlow(images.path(name))
