# SPDX-License-Identifier: Apache-2.0
"""Staging: a disk becomes a VHD file first, so that the source can be let go of before the upload."""

from collections.abc import Iterator
from pathlib import Path

from v2x.disks.export import copy_to_file
from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer, DiskReader
from v2x.disks.nbd import open_through_qemu
from v2x.errors import UsageError
from v2x.model.machine import DiskFormat


def staged(reader: DiskReader, folder: Path, name: str) -> DiskReader:
    """Writes `reader` to `folder`/`name`.vhd, closes it, and returns a reader of that file, removed at its close."""
    path = folder / f"{name}.vhd"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        copy_to_file(reader, path, DiskFormat.VHD)
    except OSError as problem:
        raise UsageError(
            f"cannot stage in {folder}: {problem.strerror}", hint="choose another --stage folder"
        ) from None
    finally:
        reader.close()
    return _Staged(open_through_qemu(path, DiskFormat.VHD), path)


class _Staged:
    """`inner`, whose file goes when the last of its readers is closed."""

    def __init__(self, inner: DiskReader, path: Path | None) -> None:
        self._inner = inner
        self._path = path

    @property
    def size(self) -> int:
        return self._inner.size

    @property
    def block(self) -> int:
        return self._inner.block

    def read_into(self, offset: int, buffer: Buffer) -> None:
        self._inner.read_into(offset, buffer)

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        return self._inner.extents(start, length)

    def clone(self) -> "_Staged":
        return _Staged(self._inner.clone(), None)

    def close(self) -> None:
        self._inner.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
