# SPDX-License-Identifier: Apache-2.0
"""The holes of local files: told rightly in any order, and without walking through the same data again and again."""

import os
import random
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from v2x.disks.bytesource import FileSource

KIB = 1 << 10
MIB = 1 << 20


def written(path: Path, size: int, places: list[tuple[int, int]]) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for at, length in places:
            file.seek(at)
            file.write(b"x" * length)
        os.fsync(file.fileno())
    return path


def asked(source: FileSource, start: int, length: int) -> list[tuple[int, int, bool]]:
    found = [(one.start, one.end, one.data) for one in source.extents(start, length)]
    assert [found[0][0], found[-1][1]] == [start, start + length]
    assert all(before[1] == after[0] for before, after in pairwise(found))
    return found


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Every question to the kernel."""
    seen: list[tuple[int, int]] = []
    plain = os.lseek

    def noted(fd: int, at: int, whence: int) -> int:
        seen.append((at, whence))
        return plain(fd, at, whence)

    monkeypatch.setattr("v2x.disks.bytesource.os.lseek", noted)
    return seen


def test_any_part_in_any_order_is_told_like_the_whole(tmp_path: Path) -> None:
    chance = random.Random(4)
    places = sorted({chance.randrange(3000) * 64 * KIB for _ in range(400)})
    path = written(tmp_path / "f", 3000 * 64 * KIB, [(at, 64 * KIB) for at in places])
    data = {at // (64 * KIB) for at in places}
    with closing(FileSource.open(path)) as source:
        for _ in range(600):
            first = chance.randrange(3000)
            count = chance.randrange(1, min(200, 3001 - first))
            for start, end, is_data in asked(source, first * 64 * KIB, count * 64 * KIB):
                assert {number in data for number in range(start // (64 * KIB), end // (64 * KIB))} == {is_data}


@pytest.mark.parametrize("order", ["up", "down", "any"])
def test_a_file_without_holes_is_walked_through_a_few_times(
    order: str, tmp_path: Path, walks: list[tuple[int, int]]
) -> None:
    """In each walk the kernel goes on to the next hole: to the end of this file, through all of its extents."""
    path = written(tmp_path / "f", 256 * MIB, [(at, MIB) for at in range(0, 256 * MIB, MIB)])
    places = list(range(0, 256 * MIB, 64 * KIB))
    if order == "down":
        places.reverse()
    elif order == "any":
        random.Random(5).shuffle(places)
    with closing(FileSource.open(path)) as source:
        for at in places:
            assert asked(source, at, 64 * KIB) == [(at, at + 64 * KIB, True)]
    assert len([whence for _, whence in walks if whence == os.SEEK_HOLE]) <= 256 // 64


def test_what_was_a_hole_is_asked_for_anew(tmp_path: Path) -> None:
    path = written(tmp_path / "f", 8 * MIB, [(0, 64 * KIB)])
    with closing(FileSource.open(path)) as source:
        assert asked(source, 0, 8 * MIB) == [(0, 64 * KIB, True), (64 * KIB, 8 * MIB, False)]
        with path.open("r+b") as file:
            file.seek(4 * MIB)
            file.write(b"y" * 64 * KIB)
        assert (4 * MIB, 4 * MIB + 64 * KIB, True) in asked(source, 0, 8 * MIB)


def test_no_more_is_remembered_than_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("v2x.disks.bytesource._MOST_KNOWN", 8)
    places = [(at, 64 * KIB) for at in range(0, 64 * MIB, MIB)]
    with closing(FileSource.open(written(tmp_path / "f", 64 * MIB, places))) as source:
        for _ in range(2):
            assert [start for start, _, data in asked(source, 0, 64 * MIB) if data] == [at for at, _ in places]
            assert len(source._data._starts) <= 8


def test_clones_ask_for_themselves(tmp_path: Path) -> None:
    with closing(FileSource.open(written(tmp_path / "f", 4 * MIB, [(MIB, MIB)]))) as source:
        expected = asked(source, 0, 4 * MIB)
        with closing(source.clone()) as other:
            assert (
                asked(other, 0, 4 * MIB)
                == expected
                == [(0, MIB, False), (MIB, 2 * MIB, True), (2 * MIB, 4 * MIB, False)]
            )
