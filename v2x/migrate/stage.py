# SPDX-License-Identifier: Apache-2.0
"""Staging: a disk becomes a VHD file first, so that the source can be let go of before the upload."""

from pathlib import Path

from v2x.disks.export import copy_to_file
from v2x.disks.interface import DiskReader
from v2x.disks.nbd import open_through_qemu
from v2x.disks.wrap import Wrapper
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


class _Staged(Wrapper):
    """A reader whose file goes when it is closed; clones leave the file alone."""

    def __init__(self, inner: DiskReader, path: Path | None) -> None:
        super().__init__(inner)
        self._path = path

    def clone(self) -> "_Staged":
        return _Staged(self._inner.clone(), None)

    def close(self) -> None:
        super().close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
