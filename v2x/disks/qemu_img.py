# SPDX-License-Identifier: Apache-2.0
"""qemu-img behind one door: formats are given, never guessed; images are checked first; nothing can run away.

An image reaches the program as an inherited descriptor of the very file that was checked, named /proc/self/fd/N inside
a JSON node description. So its path is never parsed (commas, colons and leading dashes mean nothing), cannot be
exchanged for another after the check, and no format is probed and no backing file opened whatever its bytes say.
"""

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from v2x import proc
from v2x.disks.bytesource import FileSource, WindowSource
from v2x.disks.export import landing
from v2x.disks.probe import check_image, check_overlay
from v2x.errors import BadImage, NoSpace, SourceError, TargetError, UsageError, V2xError
from v2x.model.machine import DiskFormat
from v2x.model.units import GIB, MIB
from v2x.text import printable

DRIVERS = {
    DiskFormat.RAW: "raw",
    DiskFormat.VMDK: "vmdk",
    DiskFormat.VHD: "vpc",
    DiskFormat.VHDX: "vhdx",
    DiskFormat.QCOW2: "qcow2",
}
"""What QEMU calls each format."""

_BACKED = frozenset({DiskFormat.VMDK, DiskFormat.QCOW2})
_INSPECT_SECONDS = 60
_COPYING_BYTES = 2 * GIB
"""Of addresses: 64 threads with stacks of 8 MiB, beside the memory that is used."""
_SLOWEST_BYTES_PER_SECOND = 2 * MIB
_PROGRESS = re.compile(rb"\((\d{1,3}\.\d\d)/100%\)")
_MISMATCH = re.compile(r"Content mismatch at offset (\d+)!")
_NODE = re.compile(r"""['"]?json:\{.*\}['"]?""")
# What qemu-img needs per image format without being told: a VHD of exactly the size asked for.
_DEFAULT_OPTIONS: Mapping[DiskFormat, Mapping[str, str]] = {
    DiskFormat.VHD: {"subformat": "dynamic", "force_size": "on"}
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """What qemu-img says of an image. `subformat` is VMDK's create type, `parent` the name of a backing file."""

    format: DiskFormat
    virtual_size_bytes: int
    actual_size_bytes: int
    cluster_bytes: int | None = None
    subformat: str | None = None
    parent: str | None = None


@contextlib.contextmanager
def checked_image(
    path: str | Path, format: DiskFormat, *, window: tuple[int, int] | None = None
) -> Iterator[tuple[int, str]]:
    """A descriptor of the image at `path` and the node that names it, for a program that inherits the descriptor.

    `window` (offset, size in bytes) is where in the file the image lies, when the file is an archive.
    Raises what opening and checking raise: SourceError, UnsafeImage, BadImage, Unsupported.
    """
    source = FileSource.open(path)
    try:
        check_image(source if window is None else WindowSource(source, *window, source.name), format)
        fd = source.fileno()
        yield fd, node(f"/proc/self/fd/{fd}", format, window=window)
    finally:
        source.close()


def node(filename: str, format: DiskFormat, *, window: tuple[int, int] | None = None) -> str:
    """QEMU's description of an image in a file, or in a window of one, for use where a file name is expected."""
    file: dict[str, object] = {"driver": "file", "filename": filename}
    if window is not None:
        file = {"driver": "raw", "offset": window[0], "size": window[1], "file": file}
    described: dict[str, object] = {"driver": DRIVERS[format], "file": file}
    if format in _BACKED:
        described["backing"] = None
    return "json:" + json.dumps(described)


@contextlib.contextmanager
def checked_overlay(path: str | Path, export: Path) -> Iterator[tuple[int, str]]:
    """As `checked_image`, for a QCOW2 file on the NBD export that v2x serves at the socket `export`, and on no other.

    That the file names this export, and nothing else, was checked; QEMU takes the name from there.
    """
    source = FileSource.open(path)
    try:
        check_overlay(path, export)
        file = {"driver": "file", "filename": f"/proc/self/fd/{source.fileno()}"}
        yield source.fileno(), "json:" + json.dumps({"driver": "qcow2", "file": file})
    finally:
        source.close()


def version() -> str:
    """The version of qemu-img, such as `7.2.22`. UsageError MISSING-TOOL if it is not installed."""
    said = proc.run(["qemu-img", "--version"], timeout=10).stdout.decode("utf-8", "replace")
    found = re.search(r"version (\d+(?:\.\d+)+)", said)
    if found is None:
        raise proc.ToolFailed(f"qemu-img does not tell its version: {printable(said, 80)}")
    return found[1]


def inspect(path: str | Path, format: DiskFormat) -> ImageInfo:
    """Reads the image's header. BadImage if qemu-img cannot make sense of it."""
    limits = proc.Limits(cpu_seconds=30, file_size_bytes=0)
    with checked_image(path, format) as (fd, described), _named(path):
        done = proc.run(
            ["qemu-img", "info", "--output=json", described], timeout=_INSPECT_SECONDS, limits=limits, pass_fds=[fd]
        )
    try:
        found = json.loads(done.stdout)
        specific = found.get("format-specific", {}).get("data", {})
        return ImageInfo(
            format=format,
            virtual_size_bytes=int(found["virtual-size"]),
            actual_size_bytes=int(found["actual-size"]),
            cluster_bytes=found.get("cluster-size"),
            subformat=specific.get("create-type"),
            parent=found.get("backing-filename"),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise proc.ToolFailed(f"qemu-img answers about {Path(path).name} in an unknown way") from None


def convert(
    src: str | Path,
    src_format: DiskFormat,
    dst: str | Path,
    dst_format: DiskFormat,
    *,
    progress: Callable[[float], None] | None = None,
    options: Mapping[str, str] | None = None,
    replace: bool = False,
    timeout: float | None = None,
) -> None:
    """Converts an image; `dst` appears under its name when it is complete and on disk.

    `progress` takes the fraction done, 0 to 1. `options` are qemu-img's creation options. The time-out, unless given,
    allows for 2 MiB of virtual size per second. BadImage, SourceError, NoSpace, TargetError, UsageError.
    """
    size = inspect(src, src_format).virtual_size_bytes
    seconds = timeout if timeout is not None else 600 + size / _SLOWEST_BYTES_PER_SECOND
    # Metadata of every format stays below 1/256 of the disk and some fixed space.
    limits = proc.Limits(address_space_bytes=_COPYING_BYTES, file_size_bytes=size + size // 256 + 256 * MIB)
    creation = ["-O", DRIVERS[dst_format], *_creation_options(dst_format, options)]
    with checked_image(src, src_format) as (fd, described), landing(dst, replace=replace) as part, _named(src, dst):
        proc.run(
            ["qemu-img", "convert", "-p", *creation, described, str(part.absolute())],
            timeout=seconds,
            limits=limits,
            pass_fds=[fd],
            on_output=_ProgressParser(progress).feed,
        )
        _sync(part)
    if progress is not None:
        progress(1.0)


def create(path: str | Path, format: DiskFormat, size_bytes: int, *, options: Mapping[str, str] | None = None) -> None:
    """Makes an empty image. UsageError if `path` exists."""
    if size_bytes < 0:
        raise ValueError("size_bytes is negative")
    creation = ["-f", DRIVERS[format], *_creation_options(format, options)]
    with landing(path) as part, _named(path):
        proc.run(
            ["qemu-img", "create", "-q", *creation, str(part.absolute()), str(size_bytes)],
            timeout=_INSPECT_SECONDS,
            limits=proc.Limits(file_size_bytes=size_bytes + size_bytes // 256 + GIB),
        )
        _sync(part)


def create_overlay(path: Path, export: Path) -> None:
    """Makes an empty QCOW2 file on top of the NBD export at the socket `export`. UsageError if `path` exists."""
    backing = f"nbd+unix:///?socket={export}"
    with landing(path) as part, _named(path):
        proc.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", backing, str(part.absolute())],
            timeout=_INSPECT_SECONDS,
            limits=proc.Limits(file_size_bytes=GIB),
        )
        _sync(part)


def compare(
    a: str | Path, a_format: DiskFormat, b: str | Path, b_format: DiskFormat, *, timeout: float | None = None
) -> int | None:
    """The offset in bytes of the first difference between two images' content, or None.

    Where one is longer, the other counts as zeros there. qemu-img reports the start of the differing range it found,
    which lies on a sector.
    """
    size = max(inspect(a, a_format).virtual_size_bytes, inspect(b, b_format).virtual_size_bytes)
    seconds = timeout if timeout is not None else 600 + size / _SLOWEST_BYTES_PER_SECOND
    with checked_image(a, a_format) as (fd, left), checked_image(b, b_format) as (other_fd, right), _named(a, b):
        done = proc.run(
            ["qemu-img", "compare", left, right],
            timeout=seconds,
            limits=proc.Limits(address_space_bytes=_COPYING_BYTES, file_size_bytes=0),
            pass_fds=[fd, other_fd],
            check=False,
        )
        if done.returncode not in {0, 1}:
            raise proc.failure(done)
    if done.returncode == 0:
        return None
    found = _MISMATCH.search(done.stdout.decode("utf-8", "replace"))
    if found is None:
        raise proc.ToolFailed("qemu-img found a difference but did not say where")
    return int(found[1])


class _ProgressParser:
    """Finds the last percentage in the output of `-p`, however the pieces are cut."""

    def __init__(self, progress: Callable[[float], None] | None) -> None:
        self._progress = progress
        self._rest = b""
        self._last = -1.0

    def feed(self, chunk: bytes) -> None:
        self._rest = (self._rest + chunk)[-256:]
        found = _PROGRESS.findall(self._rest)
        if found and self._progress is not None:
            fraction = min(float(found[-1]) / 100, 1.0)
            if fraction > self._last:
                self._last = fraction
                self._progress(fraction)


def _creation_options(format: DiskFormat, options: Mapping[str, str] | None) -> list[str]:
    chosen = {**_DEFAULT_OPTIONS.get(format, {}), **(options or {})}
    for name, value in chosen.items():
        if not re.fullmatch(r"[a-z_]+", name) or not re.fullmatch(r"[A-Za-z0-9_.-]*", value):
            raise UsageError(f"not an option of an image: {name}={value}")
    return [word for name, value in chosen.items() for word in ("-o", f"{name}={value}")]


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _named(*paths: str | Path) -> Iterator[None]:
    """Errors of qemu-img as errors of the images: with their names instead of descriptors, in the right class."""
    try:
        yield
    except proc.ToolTimeout:
        raise
    except proc.ToolFailed as problem:
        raise _refined(problem, [Path(path).name for path in paths]) from None


def _refined(problem: proc.ToolFailed, names: list[str]) -> V2xError:
    said = _NODE.sub(names[0], problem.message)
    message = f"{' to '.join(names)}: {said}"
    remedy = problem.hint
    if "No space left" in said or "Disk quota" in said:
        return NoSpace(message, hint="free some space or choose another folder")
    if "Could not open" in said:
        return BadImage(message, hint=remedy or "check the format, and that the file was copied completely")
    if "while reading" in said:
        return SourceError(message, hint="check the source's storage and the file's integrity")
    if "while writing" in said:
        return TargetError(message, hint="check the target folder's storage")
    return proc.ToolFailed(message, hint=remedy)
