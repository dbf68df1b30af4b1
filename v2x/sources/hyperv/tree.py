# SPDX-License-Identifier: Apache-2.0
"""A folder with everything below it, as Hyper-V's export makes it: what lies where, and its files by plain names."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from v2x.disks.bytesource import FileSource
from v2x.disks.listing import plain_name
from v2x.errors import InputRefused, SourceError

MOST_DEPTH: Final = 6
MOST_FILES: Final = 50_000
IMAGES: Final = (".vhdx", ".avhdx", ".vhd", ".avhd", ".vhds")

_GUID_FILE: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.xml")

_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER = _ROOT | os.O_NOFOLLOW


def files_below(folder: Path) -> list[str]:
    """Paths of the regular files below `folder`, with slashes, in order; links are not followed.

    InputRefused for more files than any export has; a folder that may not be listed is passed over, unless it is
    `folder` itself.
    """
    found: list[str] = []
    waiting = [(folder, "", 0)]
    while waiting:
        at, prefix, depth = waiting.pop()
        try:
            with os.scandir(at) as listed:
                entries = sorted((one for one in listed if _is_text(one.name)), key=lambda one: one.name)
        except OSError as problem:
            if at == folder:
                raise SourceError(
                    f"cannot list {folder}: {problem.strerror}", hint="check that the folder exists and is readable"
                ) from None
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and depth < MOST_DEPTH:
                waiting.append((at / entry.name, f"{prefix}{entry.name}/", depth + 1))
            elif entry.is_file(follow_symlinks=False):
                found.append(f"{prefix}{entry.name}")
        if len(found) > MOST_FILES:
            raise InputRefused(
                f"{folder} holds more than {MOST_FILES:,} files", hint="give the folder of one exported machine"
            )
    return sorted(found)


def _is_text(name: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in name)


def is_configuration(path: str) -> bool:
    """Whether a file is a configuration by its name: a .vmcx, or an .xml that is named by an identifier."""
    name = path.rpartition("/")[2].lower()
    return name.endswith(".vmcx") or _GUID_FILE.fullmatch(name) is not None


def holds_machines(folder: Path) -> bool:
    """Whether any configuration or image of Hyper-V lies below `folder`."""
    with suppress(InputRefused, SourceError):
        return any(is_configuration(path) or path.lower().endswith(IMAGES) for path in files_below(folder))
    return False


class TreeListing:
    """Files below one folder under plain names: their own, or with a number where several have one name.

    `paths` are relative, with slashes. Each part of a path is opened on its own, so that no link is followed.
    """

    def __init__(self, folder: Path, paths: Iterable[str]) -> None:
        self.folder = folder
        self._paths = list(paths)
        self._by_name = dict(zip(plain_names(self._paths), self._paths, strict=True))

    def names(self) -> list[str]:
        return list(self._by_name)

    def path_of(self, name: str) -> str:
        """Where the file of that plain name lies below the folder."""
        return self._by_name[name]

    def named(self, name: str) -> list[str]:
        """The plain names of all files whose own name is `name`, in any case of letters."""
        wanted = name.lower()
        return [plain for plain, path in self._by_name.items() if path.rpartition("/")[2].lower() == wanted]

    def open(self, name: str) -> FileSource:
        path = self._by_name.get(plain_name(name))
        if path is None:
            raise InputRefused(
                f"{name} is missing in {self.folder}", code="MISSING-FILE", hint="copy the file beside the others"
            )
        *folders, base = path.split("/")
        with ExitStack() as held:
            fd: int | None = None
            for part in (str(self.folder), *folders):
                try:
                    fd = os.open(part, _FOLDER if fd is not None else _ROOT, dir_fd=fd)
                except OSError as problem:
                    why = f"cannot open {path}: {problem.strerror}"
                    raise SourceError(why, hint="take the inventory again") from None
                held.callback(os.close, fd)
            return FileSource.open(base, dir_fd=fd, name=name)


def plain_names(paths: Sequence[str]) -> list[str]:
    """A plain name for each path: its last part, with a number for the second and further ones of one name."""
    names: list[str] = []
    taken: Counter[str] = Counter()
    for path in paths:
        name = path.replace("\\", "/").rpartition("/")[2]
        taken[name.lower()] += 1
        stem, dot, suffix = name.rpartition(".")
        names.append(name if taken[name.lower()] == 1 else f"{stem} ({taken[name.lower()]}){dot}{suffix}")
    return names
