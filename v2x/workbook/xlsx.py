# SPDX-License-Identifier: Apache-2.0
"""Reads the cells of an Excel workbook (Office Open XML), sheet by sheet and row by row, without evaluating anything.

Made for exports of 10,000 machines, some four million cells: only the columns asked for are kept, and one row at a
time. Document types (and with them entities) are refused by the parser itself; sizes are checked before a part is
unpacked, and macros, links, formulas and styles are never looked at.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from posixpath import join, normpath
from typing import IO, Any
from xml.parsers import expat

from v2x.errors import BadImage, UnsafeImage
from v2x.model.units import MIB
from v2x.workbook.packed import MOST_PART_BYTES, Archive

Cell = str | float | bool
Choose = Callable[[Mapping[int, str]], Mapping[int, str]]

MOST_ROWS = 200_000
MOST_CELL_SIGNS = 32_767  # what Excel itself allows
_MOST_STRINGS_BYTES = 512 * MIB
_MOST_INDEX_BYTES = 4 * MIB
_MOST_TOKEN_BYTES = 4 * MIB
_MOST_DEPTH = 64
_MOST_COLUMNS = 16_384
_MOST_STRINGS = 8_000_000
_CHUNK = 256 * 1024
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_LETTERS = re.compile(r"[A-Z]{1,3}")


class Workbook:
    """The sheets of an .xlsx file by name. Its strings are read when the first sheet is."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._strings: list[str] | None = None
        self.date_1904 = False
        self._parts = dict(self._sheets())

    @property
    def sheets(self) -> tuple[str, ...]:
        return tuple(self._parts)

    def rows(self, sheet: str, choose: Choose) -> Iterator[dict[str, Cell]]:
        """The rows below the header of `sheet`: key → value of the columns that `choose` gave a key, blanks left out.

        `choose` gets the header as column number → text. UnsafeImage above MOST_ROWS rows.
        """
        for _, row in self.numbered(sheet, choose):
            yield row

    def numbered(self, sheet: str, choose: Choose) -> Iterator[tuple[int, dict[str, Cell]]]:
        """As `rows`, each with the number that a spreadsheet shows beside it."""
        if self._strings is None:
            self._strings = self._read_strings()
        part = self._parts[sheet]
        reader = _SheetReader(self._strings, choose, f"sheet {sheet} of {self._archive.name}")
        with self._parser(part) as feed:
            reader.attach(feed.parser)
            while feed.step():
                yield from reader.taken()

    def _read_strings(self) -> list[str]:
        part = self._related("sharedStrings", "xl/sharedStrings.xml")
        if part not in self._archive.names:
            return []
        reader = _StringsReader(self._archive.name)
        self._parse(part, reader.attach, _MOST_STRINGS_BYTES)
        return reader.strings

    def _sheets(self) -> Iterator[tuple[str, str]]:
        found: list[tuple[str, str]] = []

        def start(name: str, attributes: dict[str, str]) -> None:
            kind = _local(name)
            if kind == "sheet":
                link = next((value for key, value in attributes.items() if _local(key) == "id" and ":" in key), "")
                found.append((attributes.get("name", ""), link))
            elif kind == "workbookPr":
                self.date_1904 = attributes.get("date1904", "") in ("1", "true")

        root = self._links("_rels/.rels", "")
        self._root = next((part for kind, _, part in root if kind == "officeDocument"), "xl/workbook.xml")
        self._parse(self._root, lambda parser: setattr(parser, "StartElementHandler", start))
        folder, _, file = self._root.rpartition("/")
        self._rels = self._links(f"{folder}/_rels/{file}.rels".lstrip("/"), folder)
        parts = {link: part for kind, link, part in self._rels if kind == "worksheet"}
        for name, link in found:
            if link in parts:
                yield name, parts[link]

    def _related(self, kind: str, default: str) -> str:
        return next((part for found, _, part in self._rels if found == kind), default)

    def _links(self, part: str, folder: str) -> list[tuple[str, str, str]]:
        """(kind, id, part) of a relationships part; links that lead out of the file are left out."""
        found: list[tuple[str, str, str]] = []

        def start(name: str, attributes: dict[str, str]) -> None:
            target = attributes.get("Target", "")
            if _local(name) == "Relationship" and attributes.get("TargetMode") != "External":
                path = target.lstrip("/") if target.startswith("/") else normpath(join(folder, target))
                found.append((attributes.get("Type", "").rpartition("/")[2], attributes.get("Id", ""), path))

        self._parse(part, lambda parser: setattr(parser, "StartElementHandler", start))
        return found

    def _parse(self, part: str, attach: Callable[[Any], None], most_bytes: int = _MOST_INDEX_BYTES) -> None:
        with self._parser(part, most_bytes) as feed:
            attach(feed.parser)
            while feed.step():
                pass

    @contextmanager
    def _parser(self, part: str, most_bytes: int = MOST_PART_BYTES) -> "Iterator[_Feed]":
        with self._archive.open(part, most_bytes) as file:
            feed = _Feed(file, f"{part} in {self._archive.name}")
            try:
                yield feed
            finally:
                feed.release()


class _Feed:
    """Gives an XML part to a parser, a chunk at a time."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._ended = False
        self._fed = 0
        self.parser: Any = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse

    def step(self) -> bool:
        """Parses the next chunk; False when there was nothing left."""
        if self._ended:
            return False
        data = self._file.read(_CHUNK)
        self._ended = not data
        try:
            self.parser.Parse(data, self._ended)
        except expat.ExpatError as problem:
            raise BadImage(f"{self._name} is not valid XML: {problem}", hint="export or copy it again") from None
        self._fed += len(data)
        # The parser keeps an unfinished tag whole and looks at it anew with every chunk.
        if self._fed - self.parser.CurrentByteIndex > _MOST_TOKEN_BYTES:
            raise UnsafeImage(f"{self._name} holds a tag of more than {_MOST_TOKEN_BYTES:,} bytes")
        return True

    def release(self) -> None:
        """Takes the handlers away, which hold the parser in a circle otherwise."""
        for handler in ("StartDoctypeDeclHandler", "StartElementHandler", "EndElementHandler", "CharacterDataHandler"):
            setattr(self.parser, handler, None)

    def _refuse(self, *_declared: object) -> None:
        raise UnsafeImage(
            f"{self._name} declares a document type", hint="no spreadsheet program writes one; export the file again"
        )


class _StringsReader:
    """The shared strings: runs of rich text joined, phonetic guides left out, each cut at MOST_CELL_SIGNS."""

    def __init__(self, name: str) -> None:
        self.strings: list[str] = []
        self._name = name
        self._runs: list[str] = []
        self._signs = 0
        self._depth = 0
        self._phonetic = False
        self._inside = False

    def attach(self, parser: Any) -> None:
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        kind = _local(name)
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise UnsafeImage(f"{self._name} nests elements deeper than {_MOST_DEPTH}")
        if kind == "t":
            self._inside = not self._phonetic
        elif kind == "rPh":
            self._phonetic = True

    def _end(self, name: str) -> None:
        kind = _local(name)
        self._depth -= 1
        if kind == "t":
            self._inside = False
        elif kind == "rPh":
            self._phonetic = False
        elif kind == "si":
            if len(self.strings) >= _MOST_STRINGS:
                raise UnsafeImage(f"{self._name} holds more than {_MOST_STRINGS:,} strings")
            self.strings.append(plain_text("".join(self._runs)))
            self._runs.clear()
            self._signs = 0

    def _text(self, data: str) -> None:
        if self._inside and self._signs < MOST_CELL_SIGNS:
            self._runs.append(data)
            self._signs += len(data)


class _SheetReader:
    """Cells of one sheet. `taken` gives the rows that are complete."""

    def __init__(self, strings: list[str], choose: Choose, name: str) -> None:
        self._strings = strings
        self._choose = choose
        self._name = name
        self._keys: Mapping[int, str] | None = None
        self._columns: dict[str, int] = {}
        self._rows: list[tuple[int, dict[str, Cell]]] = []
        self._row: dict[int, Cell] = {}
        self._count = 0
        self._number = 0
        self._column = -1
        self._kind = "n"
        self._wanted = False
        self._inside = False
        self._in_cell = False
        self._in_value = False
        self._parts: list[str] = []
        self._signs = 0
        self._depth = 0

    def attach(self, parser: Any) -> None:
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def taken(self) -> list[tuple[int, dict[str, Cell]]]:
        rows, self._rows = self._rows, []
        return rows

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if ":" in name:
            name = _local(name)
        if name == "c":
            if self._in_cell:
                raise BadImage(f"{self._name} has a cell within a cell", hint="export or copy it again")
            self._in_cell = True
            self._column = self._place(attributes.get("r", ""))
            self._kind = attributes.get("t", "n")
            self._wanted = self._keys is None or self._column in self._keys
        elif name in ("v", "t"):
            if self._in_value:
                raise BadImage(f"{self._name} has a value within a value", hint="export or copy it again")
            self._in_value = True
            self._inside = self._wanted
        else:
            self._depth += 1
            if self._depth > _MOST_DEPTH:
                raise UnsafeImage(f"{self._name} nests elements deeper than {_MOST_DEPTH}")
            if name == "row":
                self._column = -1
                self._row = {}
                given = attributes.get("r", "")
                # Rows without a number follow one another.
                self._number = (
                    int(given) if given.isascii() and given.isdigit() and len(given) < 9 else self._number + 1
                )

    def _end(self, name: str) -> None:
        if ":" in name:
            name = _local(name)
        if name in ("v", "t"):
            self._inside = self._in_value = False
        elif name == "c":
            self._in_cell = False
            if self._parts:
                self._take("".join(self._parts))
                self._parts.clear()
                self._signs = 0
        else:
            self._depth -= 1
            if name == "row" and self._row:
                self._end_row()

    def _text(self, data: str) -> None:
        if self._inside and self._signs < MOST_CELL_SIGNS:
            self._parts.append(data)
            self._signs += len(data)

    def _end_row(self) -> None:
        if self._keys is None:
            self._keys = self._choose({column: str(cell).strip() for column, cell in self._row.items()})
            return
        self._count += 1
        if self._count > MOST_ROWS:
            raise UnsafeImage(f"{self._name} has more than {MOST_ROWS:,} rows", hint="export the clusters one by one")
        kept = {self._keys[column]: cell for column, cell in self._row.items() if column in self._keys}
        self._rows.append((self._number, kept))

    def _place(self, reference: str) -> int:
        """The column number of `AB12`; cells without a reference follow one another."""
        if not reference:
            return self._column + 1
        letters = reference.rstrip("0123456789")
        column = self._columns.get(letters)
        if column is None:
            if not _LETTERS.fullmatch(letters):
                raise BadImage(f"{self._name} has a cell at {reference[:20]!r}", hint="export or copy it again")
            column = 0
            for letter in letters:
                column = column * 26 + ord(letter) - 64
            column -= 1
            if column >= _MOST_COLUMNS:
                raise BadImage(f"{self._name} has more than {_MOST_COLUMNS:,} columns", hint="export it again")
            self._columns[letters] = column
        return column

    def _take(self, raw: str) -> None:
        """Error values and numbers that are none count as blank: nothing is known then."""
        kind = self._kind
        if kind == "s":
            index = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 10 else -1
            if not 0 <= index < len(self._strings):
                raise BadImage(
                    f"{self._name} refers to string {raw[:20]!r}, which is not there", hint="export or copy it again"
                )
            value: Cell = self._strings[index]
        elif kind == "b":
            value = raw.strip() in ("1", "true")
        elif kind in ("n", ""):
            value = ""
            with suppress(ValueError):
                number = float(raw)
                value = number if abs(number) < 1e300 else ""
        elif kind == "e":
            value = ""
        else:
            value = plain_text(raw)
        if value != "":
            self._row[self._column] = value


def plain_text(text: str) -> str:
    """`text` with Excel's `_x000D_` read as the sign it stands for, cut at MOST_CELL_SIGNS."""
    if "_x" in text:
        text = _ESCAPE.sub(_unescaped, text)
    return text[:MOST_CELL_SIGNS]


def _unescaped(found: re.Match[str]) -> str:
    point = int(found[1], 16)
    return found[0] if 0xD800 <= point < 0xE000 else chr(point)


def _local(name: str) -> str:
    return name.rpartition(":")[2]
