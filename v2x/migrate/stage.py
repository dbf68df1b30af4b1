# SPDX-License-Identifier: Apache-2.0
"""Staging: a disk becomes a VHD file first, so that the source can be let go of before the upload."""

import contextlib
from pathlib import Path

from v2x.disks.export import copy_to_file
from v2x.disks.interface import DiskReader
from v2x.disks.nbd import open_through_qemu
from v2x.disks.wrap import Wrapper
from v2x.errors import UsageError
from v2x.model.machine import DiskFormat
from v2x.scratch import scratch_folder


def staged(reader: DiskReader, folder: Path, name: str) -> DiskReader:
    """Writes `reader` to a VHD in `folder`, closes it, and returns a reader of that file, which goes at its close.

    NoSpace where the folder is full, and then nothing is left in it. A file of a run that was killed goes with the
    next one that stages there.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            place = stack.enter_context(scratch_folder("stage", folder))
            path = place / f"{name}.vhd"
            copy_to_file(reader, path, DiskFormat.VHD)
        except OSError as problem:
            raise UsageError(
                f"cannot stage in {folder}: {problem.strerror}", hint="choose another --stage folder"
            ) from None
        finally:
            reader.close()
        return _Staged(open_through_qemu(path, DiskFormat.VHD), stack.pop_all())


class _Staged(Wrapper):
    """A reader whose file goes when it is closed; clones leave the file alone."""

    def __init__(self, inner: DiskReader, file: contextlib.ExitStack | None) -> None:
        super().__init__(inner)
        self._file = file

    def clone(self) -> "_Staged":
        return _Staged(self._inner.clone(), None)

    def close(self) -> None:
        super().close()
        if self._file is not None:
            self._file.close()
