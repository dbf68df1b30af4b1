# SPDX-License-Identifier: Apache-2.0
"""Listings: the files that an image or appliance may name. Nothing outside its listing can be opened."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from v2x.disks.bytesource import FileSource
from v2x.disks.interface import ByteSource
from v2x.errors import InputRefused, UnsafeImage


class Listing(Protocol):
    """A closed set of files: a folder, an archive, a datastore folder."""

    def names(self) -> Iterable[str]:
        """Base names of the regular files in it."""
        ...

    def open(self, name: str) -> ByteSource:
        """The file of that base name. UnsafeImage for anything that is no plain base name, InputRefused if absent."""
        ...


def plain_name(name: str) -> str:
    """`name` if it is a plain base name; UnsafeImage for paths, drive letters, URLs, NUL and dot names."""
    if (
        not name
        or name in {".", ".."}
        or len(name) > 255
        or any(sign in name for sign in ("/", "\\", "\0"))
        or (len(name) > 1 and name[1] == ":" and name[0].isalpha())
        or "://" in name
    ):
        raise UnsafeImage(
            f"{name!r} is not a plain file name",
            hint="an image may only name files that lie beside it; edit the descriptor or export the machine again",
        )
    return name


class FolderListing:
    """The regular files of one folder, opened relative to a held directory handle, links not followed."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self._fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as problem:
            raise InputRefused(
                f"cannot open folder {self.folder}: {problem.strerror}",
                hint="check the path and its permissions",
            ) from None

    def names(self) -> list[str]:
        with os.scandir(self._fd) as entries:
            return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))

    def open(self, name: str) -> FileSource:
        plain_name(name)
        try:
            os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            raise InputRefused(
                f"{name} is missing in {self.folder}",
                code="MISSING-FILE",
                hint="copy the file beside the others",
            ) from None
        return FileSource.open(name, dir_fd=self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
