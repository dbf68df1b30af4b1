# SPDX-License-Identifier: Apache-2.0
"""What the tests of the appliance writers share: small raw disks and qemu-img as the other reader."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

MIB = 2**20

RawDisk = Callable[..., Path]
Reader = Callable[..., bytes]


@pytest.fixture
def raw_disk(tmp_path: Path) -> RawDisk:
    """Makes a sparse raw disk: `size` bytes with random bytes at each (offset, length) of `data`."""

    def make(
        name: str = "disk.raw",
        size: int = 12 * MIB + 7 * 512,
        data: list[tuple[int, int]] | None = None,
        seed: int = 1,
    ) -> Path:
        usual = [(0, size // 20), (size // 2, size // 10), (size - 512, 512)]
        pieces = usual if data is None else data
        dice = random.Random(seed)
        path = tmp_path / name
        with path.open("wb") as file:
            file.truncate(size)
            for offset, length in pieces:
                file.seek(offset)
                file.write(dice.randbytes(length))
        return path

    return make


@pytest.fixture
def read_with_qemu(tmp_path: Path) -> Reader:
    """The whole content of an image as qemu-img reads it."""

    def read(image: Path, driver: str = "vmdk") -> bytes:
        out = tmp_path / "qemu-read.raw"
        subprocess.run(
            ["qemu-img", "convert", "-f", driver, "-O", "raw", str(image), str(out)],
            check=True,
            capture_output=True,
            text=True,
        )
        return out.read_bytes()

    return read
