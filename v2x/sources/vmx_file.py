# SPDX-License-Identifier: Apache-2.0
"""The configuration files of VMware (.vmx, .vmsd): lines `key = "value"`.

Keys are case-insensitive. Values may hold characters as `|xx`, two hexadecimal digits. The first lines may name the
file's encoding. VMware refuses a file that sets one key twice; so does v2x where the values differ.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

from v2x.disks.listing import Listing
from v2x.errors import BadImage, UnsafeImage
from v2x.model.units import MIB

MOST_VMX_BYTES = 4 * MIB
MOST_KEYS = 50_000

# Only encodings that VMware products write; the name in the file never reaches the codec registry.
_ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "windows-1250": "cp1250",
    "windows-1251": "cp1251",
    "windows-1252": "cp1252",
    "windows-932": "cp932",
    "windows-936": "gbk",
    "windows-949": "cp949",
    "windows-950": "cp950",
    "iso-8859-1": "cp1252",
    "shift_jis": "cp932",
    "gbk": "gbk",
    "gb18030": "gb18030",
    "big5": "cp950",
    "euc-kr": "cp949",
}
_LINE = re.compile(r'\s*([A-Za-z0-9_.:/+-]+)\s*=\s*(?:"(.*)"|([^"\s]*))\s*')
_ESCAPE = re.compile(r"\|([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class VmxFile:
    """Values by lower-case key."""

    name: str
    values: dict[str, str] = field(default_factory=dict)

    def get(self, key: str, default: str = "") -> str:
        return self.values.get(key.lower(), default)

    def __contains__(self, key: str) -> bool:
        return key.lower() in self.values

    def flag(self, key: str, default: bool = False) -> bool:
        word = self.get(key).strip().lower()
        return word in {"true", "1", "yes", "on"} if word else default

    def number(self, key: str, default: int, least: int = 0, most: int = 2**63 - 1) -> int:
        """The whole number of `key`; BadImage naming it for anything else."""
        word = self.get(key).strip()
        if not word:
            return default
        if not re.fullmatch(r"[+-]?[0-9]{1,20}", word):
            raise BadImage(f"{self.name}: {key} is {word[:40]!r}, not a whole number", hint="correct the line")
        if not least <= int(word) <= most:
            raise BadImage(
                f"{self.name}: {key} is {int(word):,}, outside of {least:,} to {most:,}", hint="correct the line"
            )
        return int(word)

    def groups(self, pattern: str) -> Iterator[re.Match[str]]:
        """Each different match of `pattern` at the start of a key, in order of the numbers in it."""
        expression = re.compile(pattern)
        found = {match[0]: match for key in self.values if (match := expression.match(key))}
        for name in sorted(found, key=_natural):
            yield found[name]


def _natural(word: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]{1,9})", word)]


def read_vmx(listing: Listing, name: str) -> VmxFile:
    """BadImage, with the line, for text that is no such file; UnsafeImage for one of impossible size."""
    with closing(listing.open(name)) as source:
        if source.size > MOST_VMX_BYTES:
            raise UnsafeImage(f"{name} has {source.size:,} bytes, such a file has at most {MOST_VMX_BYTES:,}")
        data = bytearray(source.size)
        source.read_into(0, data)
    return parse_vmx(bytes(data), name)


def parse_vmx(data: bytes, name: str) -> VmxFile:
    values: dict[str, str] = {}
    for number, line in enumerate(_text(data, name).split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.rstrip("\r"))
        if not match:
            raise BadImage(f'{name}, line {number} is not of the form key = "value"', hint="correct the line")
        key, value = match[1].lower(), _plain(match[2] if match[2] is not None else match[3])
        if values.setdefault(key, value) != value:
            raise BadImage(
                f"{name}, line {number} sets {match[1]} a second time, to another value",
                hint="VMware refuses such a file too; keep the right one of the lines",
            )
        if len(values) > MOST_KEYS:
            raise UnsafeImage(f"{name} sets more than {MOST_KEYS:,} keys")
    return VmxFile(name, values)


def _text(data: bytes, name: str) -> str:
    if b"\0" in data:
        raise BadImage(f"{name} is no configuration file: it holds NUL bytes", hint="copy the file again")
    data = data.removeprefix(b"\xef\xbb\xbf")
    match = re.search(rb'(?im)^\s*\.encoding\s*=\s*"([A-Za-z0-9_.-]{1,40})"', data[:4096])
    word = match[1].decode("ascii").lower() if match else "utf-8"
    try:
        return data.decode(_ENCODINGS.get(word, "utf-8"))
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _plain(value: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), value)
