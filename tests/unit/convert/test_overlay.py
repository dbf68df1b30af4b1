# SPDX-License-Identifier: Apache-2.0
"""Overlays on an export: their view is the disk with what was written, and the disk stays as it was."""

import contextlib
import random
import subprocess
from pathlib import Path

import pytest

from v2x.disks import qemu_img
from v2x.disks.bytesource import FileSource
from v2x.disks.extent import Extent, joined
from v2x.disks.nbd import open_overlay
from v2x.disks.probe.qcow2 import written_areas
from v2x.disks.raw import RawReader
from v2x.disks.serve import DiskExport
from v2x.errors import UnsafeImage, UsageError

SIZE = 8 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    with open(path, "wb") as out:
        out.write(random.Random(5).randbytes(SIZE // 2))
        out.truncate(SIZE)
    return path


@pytest.fixture
def export(disk: Path):
    reader = RawReader(FileSource.open(disk))
    with DiskExport(reader) as served:
        yield served
    reader.close()


def test_the_view_is_the_disk_with_what_was_written(export: DiskExport, disk: Path, tmp_path: Path) -> None:
    before = disk.read_bytes()
    overlay = tmp_path / "overlay.qcow2"
    qemu_img.create_overlay(overlay, export.path)
    written = ["-c", "write -P 0xa5 1M 64k", "-c", "write -z 2M 128k", "-c", "write -P 0x5a 6M 4k"]
    subprocess.run(["qemu-io", "-f", "qcow2", *written, overlay], check=True, capture_output=True)
    wanted = bytearray(before)
    wanted[1 << 20 : (1 << 20) + 65536] = b"\xa5" * 65536
    wanted[2 << 20 : (2 << 20) + 131072] = bytes(131072)
    wanted[6 << 20 : (6 << 20) + 4096] = b"\x5a" * 4096
    reader = open_overlay(overlay, export.path)
    seen = bytearray(reader.size)
    reader.read_into(0, seen)
    assert seen == wanted
    holes = [one for one in reader.extents(0, SIZE) if not one.data]
    assert all(not any(wanted[one.start : one.end]) for one in holes)
    assert sum(one.length for one in holes) > SIZE // 4
    with contextlib.closing(FileSource.open(overlay)) as source:
        areas = list(joined(written_areas(source)))
    assert areas == [Extent(1 << 20, 65536, True), Extent(2 << 20, 131072, True), Extent(6 << 20, 65536, True)]
    second = reader.clone()
    second.close()
    reader.close()
    assert disk.read_bytes() == before


def test_an_overlay_on_anything_else_is_refused(export: DiskExport, disk: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", disk, overlay]
    subprocess.run(command, check=True)
    with pytest.raises(UnsafeImage):
        open_overlay(overlay, export.path)
    with pytest.raises(UsageError):
        qemu_img.create_overlay(overlay, export.path)
