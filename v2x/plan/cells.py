# SPDX-License-Identifier: Apache-2.0
"""The texts of a plan's cells: sizes, flags, numbers, words and pairs, as people and spreadsheets write them.

Every reader takes the cell's text without blanks around it, never an empty one, and raises CellError with what would
be valid. Every writer gives a text that its reader reads back as the same value.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from v2x.errors import UsageError
from v2x.model.health import unread_ports
from v2x.model.target import SecureBoot
from v2x.model.units import GIB, KIB, MIB, TIB
from v2x.model.windows import EXAMPLE, WindowError, parse_window

E = TypeVar("E", bound=StrEnum)

_UNITS = {"": 0, "b": 1, "byte": 1, "bytes": 1}
_UNITS |= {
    word: size
    for letter, size in (("k", KIB), ("m", MIB), ("g", GIB), ("t", TIB))
    for word in (letter, f"{letter}b", f"{letter}ib")
}
_SIZE = re.compile(r"([0-9][0-9.,'\s]*)([a-z]*)", re.IGNORECASE)
_SIZE_EXAMPLE = "a size with its unit, such as 4 GiB, 1.5 GiB or 4096 MiB"
_LARGEST = 2**63 - 1
_YES = frozenset({"yes", "y", "true", "t", "on", "1", "x"})
_NO = frozenset({"no", "n", "false", "f", "off", "0"})
_PLAIN_WORD = re.compile(r"[^=;\"\s](?:[^=;\"\n\r\t]*[^=;\"\s])?")


class CellError(Exception):
    """A cell's text cannot be read; `valid` says what could stand there."""

    def __init__(self, problem: str, valid: str) -> None:
        super().__init__(problem)
        self.valid = valid


def tidy(text: str) -> str:
    """`text` as it comes back from a file: one kind of line end, no lone surrogates, no blanks around it."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return plain.encode("utf-8", "replace").decode("utf-8").strip()


def write_size(count: int) -> str:
    """`count` bytes exactly, in the largest unit that needs no fraction."""
    for unit, size in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if count and count % size == 0:
            return f"{count // size} {unit}"
    return f"{count} bytes"


def read_size(text: str) -> int:
    """Bytes. Units are binary whatever their spelling (4 GB is 4 GiB: the sources mean that); a comma may be decimal.

    A number whose one separator stands before exactly three digits could mean either, and is refused.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise CellError("is not a size", _SIZE_EXAMPLE)
    digits, unit = re.sub(r"[\s']", "", found[1]), found[2].casefold()
    if unit not in _UNITS:
        raise CellError(f"has the unknown unit {found[2]!r}", _SIZE_EXAMPLE)
    if not unit:
        raise CellError("has no unit", _SIZE_EXAMPLE)
    number = _decimal(digits)
    count = number * _UNITS[unit]
    if count != count.to_integral_value():
        raise CellError("is not a whole number of bytes", _SIZE_EXAMPLE)
    if not 0 < count <= _LARGEST:
        raise CellError("is out of range", _SIZE_EXAMPLE)
    return int(count)


def parse_size(text: str) -> int:
    """Bytes of a size typed at a prompt or given as an option; UsageError for what `read_size` refuses."""
    try:
        return read_size(text.strip())
    except CellError as problem:
        raise UsageError(f"{text!r} {problem}", hint=f"give {problem.valid}") from None


def _decimal(digits: str) -> Decimal:
    """The number in `digits`, with points or commas as decimal or thousands separators."""
    marks = [char for char in digits if char in ".,"]
    wrong = CellError("is not a number", _SIZE_EXAMPLE)
    if len(digits) > 40 or digits[-1:] in (".", ","):
        raise wrong
    if not marks:
        return Decimal(digits)
    whole, _, last = digits.rpartition(marks[-1])
    if len(marks) == 1:
        if len(last) == 3 and len(whole) <= 3 and whole != "0":
            raise CellError(
                f"could mean {whole + last} or {whole}.{last}", f"the number without a separator, as {whole + last}"
            )
        return Decimal(f"{whole}.{last}")
    groups = re.split(r"[.,]", whole)
    if len(groups[0]) > 3 or any(len(group) != 3 for group in groups[1:]) or len(set(marks[:-1])) > 1:
        raise wrong
    if marks[0] == marks[-1]:
        if len(last) != 3:
            raise wrong
        return Decimal("".join((*groups, last)))
    return Decimal("".join(groups) + "." + last)


def write_flag(value: bool) -> str:
    return "yes" if value else "no"


def read_flag(text: str) -> bool:
    word = text.casefold()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise CellError("is neither yes nor no", "yes or no")


def read_secure_boot(text: str) -> SecureBoot:
    """Also yes and no: a spreadsheet that takes `false` for a truth value saves that, and no text."""
    word = text.casefold()
    if word in _YES | _NO:
        return SecureBoot.TRUE if word in _YES else SecureBoot.FALSE
    return word_of(SecureBoot)(text)


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A reader of whole numbers from `least` to `most`; takes the `2.0` that spreadsheets make of 2."""

    def read(text: str) -> int:
        found = re.fullmatch(r"([+-]?[0-9]{1,9})(?:[.,]0{1,6})?", text)
        if found is None:
            raise CellError("is not a whole number", f"a whole number from {least} to {most}")
        value = int(found[1])
        if not least <= value <= most:
            raise CellError("is out of range", f"a whole number from {least} to {most}")
        return value

    return read


def word_of(kind: type[E]) -> Callable[[str], E]:
    """A reader of the words of an enumeration, in any case."""

    def read(text: str) -> E:
        try:
            return kind(text.casefold())
        except ValueError:
            raise CellError(
                "is none of the known words", ", ".join(member.value for member in kind if member.value)
            ) from None

    return read


def read_names(text: str) -> tuple[str, ...]:
    """Names with commas between."""
    return tuple(name for name in (tidy(part) for part in text.split(",")) if name)


def write_names(names: Sequence[str]) -> str:
    return ", ".join(names)


def words_of(kind: type[E]) -> Callable[[str], tuple[E, ...]]:
    """A reader of words of an enumeration, with commas between; each comes once, in the enumeration's order."""

    def read(text: str) -> tuple[E, ...]:
        words = {name.casefold() for name in read_names(text)}
        unknown = sorted(words - {member.value for member in kind})
        if unknown:
            known = ", ".join(member.value for member in kind)
            raise CellError(f"has the unknown word {unknown[0]!r}", f"words with commas between: {known}")
        return tuple(member for member in kind if member.value in words)

    return read


def read_window(text: str) -> str:
    """A window for cutovers, with single blanks."""
    plain = " ".join(text.split())
    try:
        parse_window(plain)
    except WindowError as problem:
        raise CellError(str(problem), EXAMPLE) from None
    return plain


def read_checks(text: str) -> str:
    """Any text; a word that is meant as a port must be one."""
    wrong = unread_ports(text)
    if wrong:
        raise CellError(
            f"has {wrong[0]!r}, which is no port", "tcp:PORT or tcp:PORT@ADDRESS with a port from 1 to 65535"
        )
    return text


def write_pairs(pairs: Mapping[str, str]) -> str:
    """`*=Local storage; scsi0:1="a; b"`: keys and values with signs or blanks of the notation stand in quotes."""
    return "; ".join(f"{_quoted(key)}={_quoted(value)}" for key, value in pairs.items())


def _quoted(word: str) -> str:
    return word if _PLAIN_WORD.fullmatch(word) else '"' + word.replace('"', '""') + '"'


def read_pairs(text: str) -> dict[str, str]:
    """The inverse of `write_pairs`; a lone word without `=` stands for all, as `*=word`."""
    valid = "pairs as *=NAME or ID=NAME with ; between them; names with = or ; stand in quotes"
    pairs: dict[str, str] = {}
    at = 0
    while at < len(text):
        key, at = _read_word(text, at, valid)
        value = ""
        if text[at : at + 1] == "=":
            value, at = _read_word(text, at + 1, valid)
        elif not pairs and at == len(text):
            key, value = "*", key
        if not key and not value and text[at : at + 1] in ("", ";"):
            at += 1
            continue
        if not key or not value:
            raise CellError("has a pair without both sides", valid)
        if key in pairs:
            raise CellError(f"names {key!r} twice", valid)
        pairs[key] = value
        if text[at : at + 1] not in ("", ";"):
            raise CellError("has text after a quoted name", valid)
        at += 1
    return pairs


def _read_word(text: str, at: int, valid: str) -> tuple[str, int]:
    """The word at `at`, quoted or not, and where it and the blanks after it end."""
    while at < len(text) and text[at].isspace():
        at += 1
    if text[at : at + 1] != '"':
        end = at
        while end < len(text) and text[end] not in "=;":
            end += 1
        return text[at:end].strip(), end
    word: list[str] = []
    at += 1
    while True:
        end = text.find('"', at)
        if end < 0:
            raise CellError("has a quote that does not end", valid)
        word.append(text[at:end])
        at = end + 1
        if text[at : at + 1] != '"':
            break
        word.append('"')
        at += 1
    while at < len(text) and text[at].isspace():
        at += 1
    return "".join(word), at
