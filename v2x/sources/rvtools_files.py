# SPDX-License-Identifier: Apache-2.0
"""Where the sheets of an RVTools export lie: in an .xlsx file, in CSV files of a folder, or in a .zip of those."""

import codecs
import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Protocol

from v2x.disks.bytesource import FileSource
from v2x.errors import BadImage, InputRefused, SourceError, UnsafeImage, Unsupported
from v2x.model.units import GIB
from v2x.sources.rvtools_sheets import INFO, Sheet, sheet_named
from v2x.workbook.packed import Archive
from v2x.workbook.xlsx import MOST_CELL_SIGNS, MOST_ROWS, Cell, Workbook

MOST_FILE_BYTES = GIB
MOST_FILES = 10_000
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_DELIMITERS = (",", ";", "\t", "|")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CHUNK = 1 << 20

Header = Callable[[dict[int, str]], dict[int, str]]


class Book(Protocol):
    """An export: its sheets, and the rows below a sheet's header with the columns that `choose` gave a key."""

    date_1904: bool

    @property
    def sheets(self) -> tuple[str, ...]: ...

    def rows(self, sheet: Sheet, choose: Header) -> Iterator[dict[str, Cell]]: ...

    def close(self) -> None: ...


class XlsxBook:
    """The sheets of a workbook."""

    def __init__(self, path: Path) -> None:
        self._file = _opened(path)
        try:
            _refuse_other_offices(self._file, path.name)
            self._archive = Archive(self._file, path.name)
            self._workbook = Workbook(self._archive)
            self.date_1904 = self._workbook.date_1904
            self._titles = _by_sheet(((title, title) for title in self._workbook.sheets), path.name)
        except BaseException:
            self._file.close()
            raise

    @property
    def sheets(self) -> tuple[str, ...]:
        return tuple(self._titles)

    def rows(self, sheet: Sheet, choose: Header) -> Iterator[dict[str, Cell]]:
        yield from self._workbook.rows(self._titles[sheet.name], lambda headers: choose(dict(headers)))

    def close(self) -> None:
        self._archive.close()
        self._file.close()


class CsvBook:
    """CSV files, one for each sheet. `files` maps a file's name to what opens it."""

    date_1904 = False

    def __init__(self, files: dict[str, Callable[[], AbstractContextManager[IO[bytes]]]], name: str) -> None:
        self._name = name
        self._open = files
        titles = ((Path(file).stem, file) for file in files if file.lower().endswith(".csv"))
        self._files = _by_sheet(titles, name)

    @property
    def sheets(self) -> tuple[str, ...]:
        return tuple(self._files)

    def rows(self, sheet: Sheet, choose: Header) -> Iterator[dict[str, Cell]]:
        file = self._files[sheet.name]
        with self._open[file]() as raw:
            encoding = _encoding(raw)
        with self._open[file]() as raw:
            lines = io.TextIOWrapper(raw, encoding=encoding, errors="replace", newline="")
            try:
                yield from _csv_rows(lines, choose, f"{file} in {self._name}")
            except csv.Error as problem:
                raise BadImage(f"{file} in {self._name} is not CSV: {problem}", hint="export it again") from None

    def close(self) -> None:
        """Files are opened when they are read."""


class ZipBook(CsvBook):
    """CSV files in a .zip archive."""

    def __init__(self, path: Path) -> None:
        self._raw = _opened(path)
        try:
            self._archive = Archive(self._raw, path.name)
            names = self._archive.names
            super().__init__({name: _member(self._archive, name) for name in names}, path.name)
        except BaseException:
            self._raw.close()
            raise

    def close(self) -> None:
        self._archive.close()
        self._raw.close()


def open_book(path: Path) -> Book:
    """The export at `path`, with a vInfo sheet in it.

    BadImage, UnsafeImage or Unsupported for a file that is not what its name says; InputRefused without a vInfo.
    """
    if path.is_dir():
        book: Book = CsvBook({name: _of_folder(path / name) for name in csv_names(path)}, path.name or str(path))
    else:
        book = ZipBook(path) if path.suffix.lower() == ".zip" else XlsxBook(path)
    if INFO.name not in book.sheets:
        book.close()
        raise InputRefused(
            f"{path.name} has no sheet vInfo, so it is no RVTools export",
            code="NO-VINFO",
            hint="export all tabs with RVTools, as .xlsx or as CSV files in one folder or .zip",
        )
    return book


def csv_names(folder: Path) -> list[str]:
    """The CSV files of `folder` that are named as RVTools names its sheets."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    except OSError as problem:
        raise SourceError(f"cannot list {folder}: {problem.strerror}", hint="check that it is readable") from None
    found = [name for name in names if name.lower().endswith(".csv") and sheet_named(name[:-4])]
    if len(found) > MOST_FILES:
        raise UnsafeImage(f"{folder} holds more than {MOST_FILES:,} CSV files")
    return found


def _by_sheet(titles: Iterable[tuple[str, str]], name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for title, place in titles:
        sheet = sheet_named(title)
        if sheet is None:
            continue
        if sheet.name in found:
            raise InputRefused(
                f"{name} holds {sheet.name} twice: {found[sheet.name]} and {place}",
                code="TWO-EXPORTS",
                hint="give each export by itself, in a folder or file of its own",
            )
        found[sheet.name] = place
    return found


def _opened(path: Path) -> IO[bytes]:
    source = FileSource.open(path)
    try:
        if source.size > MOST_FILE_BYTES:
            raise UnsafeImage(f"{path.name} has {source.size:,} bytes, an RVTools export has far less")
        return os.fdopen(os.dup(source.fileno()), "rb")
    finally:
        source.close()


def _of_folder(path: Path) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    return lambda: _opened(path)


def _member(archive: Archive, name: str) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    return lambda: archive.open(name)


def _refuse_other_offices(file: IO[bytes], name: str) -> None:
    """Workbooks with a password and those of Excel 97 are compound files, not zip archives."""
    if file.read(len(_OLE)) == _OLE:
        tail = b""
        while data := file.read(_CHUNK):
            if _ENCRYPTED in tail + data:
                raise Unsupported(
                    f"{name} is encrypted with a password", hint="open it in a spreadsheet program, save it without one"
                )
            tail = data[-len(_ENCRYPTED) :]
        raise Unsupported(f"{name} is a workbook of Excel 97 to 2003", hint="save it as .xlsx, or export it again")
    file.seek(0)


def _encoding(raw: IO[bytes]) -> str:
    """UTF-8 or UTF-16 by their marks, else UTF-8 if all of it is, else the code page of Western Windows."""
    data = raw.read(_CHUNK)
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while data:
            decoder.decode(data)
            data = raw.read(_CHUNK)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _csv_rows(lines: IO[str], choose: Header, name: str) -> Iterator[dict[str, Cell]]:
    first = lines.readline(1 << 20)
    while first and not first.strip():
        first = lines.readline(1 << 20)
    delimiter = max(_DELIMITERS, key=first.count)
    headers = next(csv.reader([first], delimiter=delimiter), [])
    keys = choose({column: header.strip() for column, header in enumerate(headers)})
    for number, cells in enumerate(csv.reader(lines, delimiter=delimiter)):
        if number >= MOST_ROWS:
            raise UnsafeImage(f"{name} has more than {MOST_ROWS:,} rows", hint="export the clusters one by one")
        yield {keys[at]: cell[:MOST_CELL_SIGNS] for at, cell in enumerate(cells) if cell and at in keys}
