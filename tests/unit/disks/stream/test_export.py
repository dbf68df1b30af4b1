# SPDX-License-Identifier: Apache-2.0
"""Disks written to files: whole or not at all."""

import errno
import os
import time
from pathlib import Path

import pytest

from v2x.disks import export
from v2x.disks.export import copy_to_file, landing
from v2x.errors import NoSpace, SourceError, TargetError, Unsupported, UsageError
from v2x.model.machine import DiskFormat

MIB = 1 << 20
QEMU = {DiskFormat.RAW: "raw", DiskFormat.VHD: "vpc", DiskFormat.QCOW2: "qcow2"}


@pytest.mark.parametrize("format", list(QEMU))
def test_every_format_equals_its_source(
    format: DiskFormat, make_disk: object, raw_disk: type, tmp_path: Path, qemu_img: object
) -> None:
    source = make_disk(11 * MIB + 1024, [(0, 100), (4 * MIB, 3 * MIB), (11 * MIB, 1024)])
    seen: list[int] = []
    copy_to_file(raw_disk.open(source), tmp_path / "out", format, progress=seen.append)
    qemu_img.compare(source, tmp_path / "out", QEMU[format])
    assert sum(seen) == 11 * MIB + 1024
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source.raw"]


@pytest.mark.parametrize("format", list(QEMU))
def test_a_source_that_is_no_whole_sectors(
    format: DiskFormat, make_disk: object, raw_disk: type, tmp_path: Path, qemu_img: object
) -> None:
    source = make_disk(3 * MIB + 100, [(2 * MIB, MIB + 100)])
    copy_to_file(raw_disk.open(source), tmp_path / "out", format)
    qemu_img.compare(source, tmp_path / "out", QEMU[format])
    size = qemu_img.info(tmp_path / "out", QEMU[format])["virtual-size"]
    assert size == 3 * MIB + 512


@pytest.mark.parametrize("format", list(QEMU))
def test_nothing_reads_any_more_after_a_failed_write(
    format: DiskFormat, make_disk: object, raw_disk: type, tmp_path: Path
) -> None:
    """The caller closes the reader next; a read-ahead still under way would then read from a closed file."""

    class Slow(raw_disk):
        reading = 0

        def read_into(self, offset: int, buffer: bytearray) -> None:
            self.reading += 1
            time.sleep(0.05)
            super().read_into(offset, buffer)
            self.reading -= 1

    def stop(_: int) -> None:
        raise RuntimeError("stop")

    disk = Slow.open(make_disk(12 * MIB, [(0, 12 * MIB)]))
    with pytest.raises(RuntimeError) as caught:
        copy_to_file(disk, tmp_path / "out", format, progress=stop)
    assert disk.reading == 0
    assert caught.value.args == ("stop",)


@pytest.mark.parametrize("format", [DiskFormat.VMDK, DiskFormat.VHDX])
def test_other_formats_are_refused(format: DiskFormat, make_disk: object, raw_disk: type, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=format.value):
        copy_to_file(raw_disk.open(make_disk(MIB, [])), tmp_path / "out", format)
    assert not (tmp_path / "out").exists()


def test_a_failure_leaves_nothing_behind(make_disk: object, raw_disk: type, tmp_path: Path) -> None:
    class Failing(raw_disk):
        def read_into(self, offset: int, buffer: bytearray) -> None:
            raise SourceError("the cable came out")

    with pytest.raises(SourceError):
        copy_to_file(Failing.open(make_disk(MIB, [(0, 512)])), tmp_path / "out", DiskFormat.VHD)
    assert [path.name for path in tmp_path.iterdir()] == ["source.raw"]


def test_an_existing_file_is_kept_unless_told_otherwise(make_disk: object, raw_disk: type, tmp_path: Path) -> None:
    disk = raw_disk.open(make_disk(MIB, [(0, 512)]))
    (tmp_path / "out").write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        copy_to_file(disk, tmp_path / "out", DiskFormat.RAW)
    assert (tmp_path / "out").read_text() == "precious"
    copy_to_file(disk, tmp_path / "out", DiskFormat.RAW, replace=True)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "source.raw").read_bytes()


def test_a_dangling_link_at_the_name_is_not_followed(make_disk: object, raw_disk: type, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError):
        copy_to_file(raw_disk.open(make_disk(MIB, [])), tmp_path / "out", DiskFormat.RAW)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    with pytest.raises(UsageError), landing(tmp_path / "out") as part:
        part.write_text("new")
        (tmp_path / "out").write_text("precious")
    assert (tmp_path / "out").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_no_space(make_disk: object, raw_disk: type, tmp_path: Path) -> None:
    source = raw_disk.open(make_disk(MIB, [(0, 512)]))
    with pytest.MonkeyPatch.context() as patch:

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(export.os, "fsync", full)
        with pytest.raises(NoSpace, match="No space left"):
            copy_to_file(source, tmp_path / "out", DiskFormat.RAW)
    assert [path.name for path in tmp_path.iterdir()] == ["source.raw"]


def test_a_missing_folder_is_named(make_disk: object, raw_disk: type, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="nowhere"):
        copy_to_file(raw_disk.open(make_disk(MIB, [])), tmp_path / "nowhere" / "out", DiskFormat.RAW)
