# SPDX-License-Identifier: Apache-2.0
"""A disk written to a file of the user's choice: whole or not at all."""

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from uuid import UUID, uuid4

from v2x.disks.interface import DiskReader
from v2x.disks.stream.feed import Progress
from v2x.errors import NoSpace, TargetError, Unsupported, UsageError
from v2x.model.machine import DiskFormat


def copy_to_file(
    reader: DiskReader,
    path: str | Path,
    format: DiskFormat,
    *,
    progress: Progress | None = None,
    replace: bool = False,
    uuid: UUID | None = None,
    timestamp: int | None = None,
) -> None:
    """Writes `reader`'s disk to `path` as RAW (sparse), VHD (dynamic) or QCOW2, reading ahead while writing.

    `progress` takes increments in bytes of the disk, holes included, that add up to `reader.size`. A VHD's `uuid` and
    `timestamp` (Unix seconds) are random and now unless given. The file appears under its name when it is complete and
    on disk; until then, and after an error, only what was there before. UsageError if it exists and not `replace`;
    NoSpace if the folder is full; Unsupported for other formats and for a VHD above 2040 GiB.
    """
    write = _writer(format, uuid or uuid4(), int(time.time()) if timestamp is None else timestamp)
    with landing(path, replace=replace) as part, open(part, "r+b", buffering=0) as out:
        write(reader, out, progress)
        os.fsync(out.fileno())


def _writer(format: DiskFormat, uuid: UUID, timestamp: int) -> Callable[[DiskReader, IO[bytes], Progress | None], None]:
    from v2x.disks.stream import qcow2, raw, vhd

    if format is DiskFormat.RAW:
        return lambda reader, out, progress: raw.write_raw(reader, out, progress=progress)
    if format is DiskFormat.QCOW2:
        return lambda reader, out, progress: qcow2.write_qcow2(reader, out, progress=progress)
    if format is DiskFormat.VHD:
        return lambda reader, out, progress: vhd.write_vhd(
            reader, out, uuid=uuid, timestamp=timestamp, progress=progress
        )
    raise Unsupported(f"v2x does not write {format.value} files", hint="choose vhd, qcow2 or raw")


@contextlib.contextmanager
def landing(path: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """A fresh empty file beside `path` that takes its name when the block ends well, and goes away otherwise.

    Errors of the file system are raised as NoSpace or TargetError naming `path`.
    """
    final = Path(path)
    part = final.with_name(f".v2x-{secrets.token_hex(8)}.part")
    try:
        _refuse_existing(final, replace)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666))
        try:
            yield part
            _refuse_existing(final, replace)
            part.rename(final)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _sync_folder(final.parent)
    except OSError as problem:
        raise _file_error(final, problem) from problem


def _refuse_existing(final: Path, replace: bool) -> None:
    if final.is_dir() or (not replace and os.path.lexists(final)):
        raise UsageError(f"{final} exists already", hint="choose another name or remove it first")


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as problem:
        if problem.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(fd)


def _file_error(path: Path, problem: OSError) -> NoSpace | TargetError:
    reason = problem.strerror or str(problem)
    if problem.errno in {errno.ENOSPC, errno.EDQUOT}:
        return NoSpace(f"no room to write {path}: {reason}", hint="free some space or choose another folder")
    if problem.errno == errno.EFBIG:
        return NoSpace(f"{path} grew larger than its file system allows", hint="choose another file system or format")
    return TargetError(f"cannot write {path}: {reason}", hint="check the folder and its permissions")
