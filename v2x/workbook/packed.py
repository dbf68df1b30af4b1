# SPDX-License-Identifier: Apache-2.0
"""A zip archive of unknown origin, unpacked within limits that are checked before the first byte is."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from v2x.errors import BadImage, UnsafeImage, Unsupported
from v2x.model.units import GIB, MIB

MOST_MEMBERS = 10_000
MOST_PART_BYTES = GIB
MOST_BYTES = 4 * GIB
MOST_RATIO = 250
_RATIO_FROM_BYTES = 16 * MIB
_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)


class Archive:
    """The members of a zip file, opened within limits."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        try:
            self._zip = zipfile.ZipFile(file)
        except _DAMAGE as problem:
            raise BadImage(f"{name} is not a zip archive: {problem}", hint="export or copy it again") from None
        members = self._zip.infolist()
        if len(members) > MOST_MEMBERS:
            raise UnsafeImage(f"{name} holds more than {MOST_MEMBERS:,} files")
        self._members = {member.filename: member for member in members if not member.is_dir()}
        self._left = MOST_BYTES

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._members)

    @contextmanager
    def open(self, name: str, most_bytes: int = MOST_PART_BYTES) -> Iterator[IO[bytes]]:
        """A member to read from. UnsafeImage where it would unpack to too much, BadImage for damage."""
        member = self._members.get(name)
        if member is None:
            raise BadImage(f"{self.name} lacks {name}", hint="it is incomplete; export it again")
        size = member.file_size
        self._left -= size
        ratio = size / max(1, member.compress_size)
        if size > most_bytes or self._left < 0 or (size > _RATIO_FROM_BYTES and ratio > MOST_RATIO):
            raise UnsafeImage(
                f"{name} in {self.name} unpacks to {size:,} bytes from {member.compress_size:,}",
                hint="no export is packed like this; export it again and give that file",
            )
        if member.flag_bits & 1:
            raise Unsupported(f"{name} in {self.name} is encrypted", hint="unpack it with its password first")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unsupported(f"{name} in {self.name} is packed in an unusual way", hint="pack it again as a plain zip")
        with self._damage_named(name), self._zip.open(member) as file:
            yield file

    @contextmanager
    def _damage_named(self, name: str) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as problem:
            raise BadImage(
                f"{name} in {self.name} is damaged: {problem}", hint="the file is incomplete; copy it again"
            ) from None

    def close(self) -> None:
        self._zip.close()
