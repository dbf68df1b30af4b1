# SPDX-License-Identifier: Apache-2.0
"""A guest's files: reading them as text, and the plain folder that stands for a mounted guest."""

import shutil
from pathlib import Path, PurePosixPath

from v2x.convert.interface import GuestFiles
from v2x.errors import InputRefused
from v2x.model.units import MIB
from v2x.text import printable

LARGEST_FILE_BYTES = 8 * MIB
"""More than any configuration file, and than the largest list of a kernel's modules."""

_MOST_LINKS = 40


def text_of(files: GuestFiles, path: str) -> str | None:
    """A file as text, or None if it does not exist; bytes that are not UTF-8 survive the way back."""
    return files.read(path).decode("utf-8", "surrogateescape") if files.exists(path) else None


def bytes_of(text: str) -> bytes:
    """The bytes of a text made by `text_of`."""
    return text.encode("utf-8", "surrogateescape")


class FolderFiles:
    """The tree under `root` as a guest's file system. Its links, absolute ones too, never lead out of it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def exists(self, path: str) -> bool:
        return self._real(path).exists()

    def read(self, path: str) -> bytes:
        real = self._real(path)
        if not real.is_file():
            raise InputRefused(f"{printable(path)} in the guest is not a file")
        if real.stat().st_size > LARGEST_FILE_BYTES:
            raise InputRefused(f"{printable(path)} in the guest is larger than {LARGEST_FILE_BYTES:,} bytes")
        return real.read_bytes()

    def listdir(self, path: str) -> list[str]:
        real = self._real(path)
        return sorted(one.name for one in real.iterdir()) if real.is_dir() else []

    def link_of(self, path: str) -> str | None:
        place = self._place(path)
        return str(place.readlink()) if place.is_symlink() else None

    def write(self, path: str, data: bytes, mode: int) -> None:
        real = self._real(path)
        if real.exists():
            real.write_bytes(data)
            return
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_bytes(data)
        real.chmod(mode)

    def symlink(self, path: str, to: str) -> None:
        place = self._place(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(to)

    def copy(self, path: str, to: str) -> None:
        real = self._real(to)
        real.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(self._real(path), real)

    def upload(self, source: Path, to: str) -> None:
        real = self._real(to)
        real.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, real)

    def remove(self, path: str) -> None:
        self._place(path).unlink(missing_ok=True)

    def _place(self, path: str) -> Path:
        """Where the name itself lies: links are followed on the way to it, not at its end."""
        pure = PurePosixPath(path)
        return self._real(str(pure.parent)) / pure.name

    def _real(self, path: str) -> Path:
        """Where `path` leads with every link followed, as if `root` were the root of all."""
        left = [part for part in path.split("/") if part not in {"", "."}][::-1]
        reached: list[str] = []
        links = 0
        while left:
            part = left.pop()
            if part == "..":
                reached = reached[:-1]
                continue
            here = self._root.joinpath(*reached, part)
            if not here.is_symlink():
                reached.append(part)
                continue
            links += 1
            if links > _MOST_LINKS:
                raise InputRefused(f"{printable(path)} in the guest is a circle of links")
            target = str(here.readlink())
            if target.startswith("/"):
                reached = []
            left.extend([one for one in target.split("/") if one not in {"", "."}][::-1])
        return self._root.joinpath(*reached)
