# SPDX-License-Identifier: Apache-2.0
"""An OVA: a tar archive whose members are read where they lie. Nothing is ever extracted.

Only headers are parsed here, with bounds on every number; the threats are those of row 9 of the threat table:
members that are no regular files or whose names are no plain base names are never opened, a name that stands twice
refuses the archive, and every member must lie wholly inside the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from v2x.disks.bytesource import FileSource, WindowSource
from v2x.disks.interface import ByteSource
from v2x.disks.listing import plain_name
from v2x.errors import BadImage, InputRefused, UnsafeImage, Unsupported

BLOCK = 512
MOST_MEMBERS = 10_000
MOST_EXTENSION_BYTES = 64 * 1024

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a pipe",
}


@dataclass(frozen=True, slots=True)
class Member:
    """A regular member: `size` bytes from `offset` in the archive."""

    name: str
    offset: int
    size: int


class OvaListing:
    """The regular members of an OVA under their plain names. Owns `archive` and closes it.

    `ignored` maps the names of members that are never opened to the reason. Errors of opening: InputRefused for
    something that is no tar archive, BadImage for a damaged or truncated one, UnsafeImage for an ambiguous one.
    """

    def __init__(self, archive: FileSource, path: Path) -> None:
        self._archive = archive
        self.path = path
        self.ignored: dict[str, str] = {}
        self._members: dict[str, Member] = {}
        for member in _members(archive, self.ignored):
            if member.name in self._members:
                raise UnsafeImage(
                    f"{archive.name} holds two members named {member.name!r}",
                    hint="tools would disagree on which one is meant; export the machine again",
                )
            self._members[member.name] = member

    @classmethod
    def opened(cls, path: str | Path) -> "OvaListing":
        archive = FileSource.open(path)
        try:
            return cls(archive, Path(path))
        except BaseException:
            archive.close()
            raise

    @property
    def write_id(self) -> str:
        """Changes whenever the archive may have changed."""
        return self._archive.write_id

    def names(self) -> list[str]:
        """In the order of the archive."""
        return list(self._members)

    def member(self, name: str) -> Member:
        plain_name(name)
        if name in self._members:
            return self._members[name]
        if name in self.ignored:
            raise UnsafeImage(
                f"{name} in {self._archive.name} is {self.ignored[name]}",
                hint="only regular members of the archive are read; export the machine again",
            )
        raise InputRefused(
            f"{name} is missing in {self._archive.name}",
            code="MISSING-FILE",
            hint="the archive is incomplete; export the machine again",
        )

    def open(self, name: str) -> WindowSource:
        member = self.member(name)
        return WindowSource(self._archive.clone(), member.offset, member.size, name)

    def close(self) -> None:
        self._archive.close()


def _block(archive: ByteSource, offset: int) -> bytes:
    buffer = bytearray(BLOCK)
    archive.read_into(offset, buffer)
    return bytes(buffer)


def _members(archive: ByteSource, ignored: dict[str, str]) -> Iterator[Member]:
    _refuse_other_formats(archive)
    position, count = 0, 0
    extended: dict[str, str] = {}
    while position < archive.size:
        if position + BLOCK > archive.size:
            raise BadImage(
                f"{archive.name} is truncated: a member header at byte {position:,} is cut off at {archive.size:,}",
                hint="copy or download the file again and compare its size",
            )
        header = _block(archive, position)
        if not any(header):
            break
        _check_sum(header, archive.name, position)
        kind = header[156:157]
        # Links, devices and folders have no content, whatever their size field says.
        size = 0 if kind in _KINDS or kind == b"5" else _size(header, extended, archive.name, position)
        data = position + BLOCK
        if data + size > archive.size:
            raise BadImage(
                f"{archive.name} is truncated: {_raw_name(header, extended)!r} should end at byte {data + size:,}, "
                f"the file ends at {archive.size:,}",
                hint="copy or download the file again and compare its size",
            )
        position = data + -(-size // BLOCK) * BLOCK
        count += 1
        if count > MOST_MEMBERS:
            raise UnsafeImage(f"{archive.name} holds more than {MOST_MEMBERS:,} members", hint="this is no appliance")
        if kind in {b"x", b"g", b"L", b"K"}:
            extended = _extension(archive, kind, data, size, extended)
            continue
        name = _regular_name(archive.name, header, extended, ignored)
        extended = {}
        if name:
            yield Member(name, data, size)
    if extended:
        raise BadImage(f"{archive.name} is truncated: an extended header has no member", hint="copy the file again")


def _regular_name(archive: str, header: bytes, extended: dict[str, str], ignored: dict[str, str]) -> str:
    """The plain name of a regular member, or an empty string for a member that is never opened."""
    kind = header[156:157]
    raw = _raw_name(header, extended)
    if kind == b"S" or any(key.startswith("GNU.sparse") for key in extended):
        raise Unsupported(
            f"{raw!r} in {archive} is stored as a sparse member",
            hint="pack the appliance again with: tar --format=ustar -cf NAME.ova FILES",
        )
    name = raw.removeprefix("./")
    if kind == b"5" or name in {"", "."}:
        return ""
    if kind not in {b"0", b"\0", b"7"}:
        ignored[name] = _KINDS.get(kind, f"a member of unknown kind {kind!r}")
        return ""
    try:
        return plain_name(name)
    except UnsafeImage:
        ignored[name] = "not under a plain file name"
        return ""


def _refuse_other_formats(archive: ByteSource) -> None:
    if archive.size < BLOCK:
        raise InputRefused(f"{archive.name} is not an OVA: it has only {archive.size} bytes")
    first = _block(archive, 0)
    for magic, word in _COMPRESSED.items():
        if first.startswith(magic):
            raise Unsupported(
                f"{archive.name} is not an OVA but a {word} file",
                hint="unpack it first; v2x reads an OVA where it lies and needs it uncompressed",
            )
    if not any(first) or not _sums_match(first):
        raise InputRefused(
            f"{archive.name} is not an OVA: it is not a tar archive",
            hint="an OVA is an uncompressed tar archive with the .ovf descriptor as its first member",
        )


def _sums_match(header: bytes) -> bool:
    stated = _octal(header[148:156])
    blanked = header[:148] + b" " * 8 + header[156:]
    # Historic writers summed signed bytes; both sums are in use.
    signed = sum(byte - 256 if byte > 127 else byte for byte in blanked)
    return stated is not None and stated in {sum(blanked), signed}


def _check_sum(header: bytes, archive: str, position: int) -> None:
    if not _sums_match(header):
        raise BadImage(
            f"{archive} is damaged: no member header at byte {position:,}",
            hint="copy or download the file again and compare its size",
        )


def _octal(field: bytes) -> int | None:
    digits = field.split(b"\0", 1)[0].strip()
    if not digits:
        return 0
    return int(digits, 8) if all(byte in b"01234567" for byte in digits) else None


def _size(header: bytes, extended: dict[str, str], archive: str, position: int) -> int:
    field = header[124:136]
    size: int | None
    if "size" in extended:
        text = extended["size"]
        size = int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None
    elif field[0] == 0x80:
        size = int.from_bytes(field[1:], "big")
    elif field[0] & 0x80:
        size = None
    else:
        size = _octal(field)
    if size is None:
        raise BadImage(f"{archive} is damaged: the member at byte {position:,} has no valid size")
    return size


def _raw_name(header: bytes, extended: dict[str, str]) -> str:
    if "path" in extended:
        return extended["path"]
    name = header[:100].split(b"\0", 1)[0]
    if header[257:263] == b"ustar\0":
        prefix = header[345:500].split(b"\0", 1)[0]
        if prefix:
            name = prefix + b"/" + name
    return name.decode("utf-8", "backslashreplace")


def _extension(archive: ByteSource, kind: bytes, data: int, size: int, extended: dict[str, str]) -> dict[str, str]:
    """What `extended` becomes after an extension header: pax records (x, g), a GNU long name (L) or link (K)."""
    if size > MOST_EXTENSION_BYTES:
        raise UnsafeImage(f"{archive.name} has an extended header of {size:,} bytes at byte {data - BLOCK:,}")
    content = bytearray(size)
    archive.read_into(data, content)
    if kind == b"K":
        return extended
    if kind == b"L":
        return extended | {"path": bytes(content).split(b"\0", 1)[0].decode("utf-8", "backslashreplace")}
    records = dict(_pax_records(bytes(content), archive.name, data))
    if kind == b"g":
        if {"path", "size"} & records.keys() or any(key.startswith("GNU.sparse") for key in records):
            raise UnsafeImage(f"{archive.name} gives one name or size to all of its members")
        return extended
    return extended | records


def _pax_records(content: bytes, archive: str, position: int) -> Iterator[tuple[str, str]]:
    """The records `LENGTH KEY=VALUE\\n` of a pax header (POSIX.1-2001, ustar interchange format)."""
    while content:
        digits, _, _ = content[:20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        record = content[len(digits) + 1 : length]
        if length <= len(digits) + 1 or length > len(content) or not record.endswith(b"\n") or b"=" not in record:
            raise BadImage(f"{archive} is damaged: the extended header at byte {position:,} is not valid")
        key, _, value = record[:-1].partition(b"=")
        yield key.decode("utf-8", "backslashreplace"), value.decode("utf-8", "backslashreplace")
        content = content[length:]
