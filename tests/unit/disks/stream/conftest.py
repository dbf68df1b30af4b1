# SPDX-License-Identifier: Apache-2.0
"""Disks of many shapes, and real qemu-img as the judge."""

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from v2x.disks.bytesource import FileSource

MIB = 1 << 20
# name: (size in bytes, [(offset, length) of random data])
SHAPES: dict[str, tuple[int, list[tuple[int, int]]]] = {
    "empty": (64 * MIB, []),
    "one_sector_disk": (512, [(0, 512)]),
    "one_sector_used": (20 * MIB, [(5 * MIB + 512, 512)]),
    "odd_sectors": (10 * MIB + 7 * 512, [(0, 512), (10 * MIB + 6 * 512, 512)]),
    "rounded_to_64k": (6 * MIB + 3 * 65536, [(0, 6 * MIB + 3 * 65536)]),
    "full": (16 * MIB, [(0, 16 * MIB)]),
    "full_odd": (9 * MIB + 512, [(0, 9 * MIB + 512)]),
    "islands": (3000 * MIB, [(at, 70_000) for at in range(MIB, 3000 * MIB, 331 * MIB)] + [(3000 * MIB - 512, 512)]),
    "last_partial": (7 * MIB, [(6 * MIB + 4096, 1000)]),
    "over_127_gib": (130 << 30, [(0, 4096), ((130 << 30) - 4096, 4096)]),
}


class RawDisk(FileSource):
    """A raw file as a disk; its map is that of the file system."""

    @property
    def block(self) -> int:
        return 4096


@pytest.fixture(params=list(SHAPES))
def shape(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A sparse raw file of each shape."""
    return make_raw(tmp_path / "source.raw", *SHAPES[request.param])


@pytest.fixture
def raw_disk() -> type[RawDisk]:
    return RawDisk


@pytest.fixture
def make_disk(tmp_path: Path) -> Callable[[int, list[tuple[int, int]]], Path]:
    return lambda size, pieces: make_raw(tmp_path / "source.raw", size, pieces)


def make_raw(path: Path, size: int, pieces: list[tuple[int, int]]) -> Path:
    random_bytes = random.Random(size).randbytes
    with open(path, "wb") as out:
        for offset, length in pieces:
            out.seek(offset)
            out.write(random_bytes(length))
        out.truncate(size)
    return path


class QemuImg:
    def compare(self, raw: Path, other: Path, format: str) -> None:
        done = subprocess.run(
            ["qemu-img", "compare", "-f", "raw", "-F", format, raw, other], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def info(self, path: Path, format: str) -> dict[str, object]:
        done = subprocess.run(
            ["qemu-img", "info", "--output=json", "-f", format, path], capture_output=True, text=True, check=True
        )
        found = json.loads(done.stdout)
        assert isinstance(found, dict)
        return found

    def check_qcow2(self, path: Path) -> None:
        done = subprocess.run(["qemu-img", "check", "-f", "qcow2", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "No errors were found" in done.stdout


@pytest.fixture
def qemu_img() -> QemuImg:
    return QemuImg()


@pytest.fixture
def allocated() -> Callable[[Path], int]:
    return lambda path: path.stat().st_blocks * 512
