# SPDX-License-Identifier: Apache-2.0
"""Files behind an HTTP server that answers ranges, as datastores of vSphere do; and whole ones that only flow.

Every answer is held against the one at opening: the range that was asked for, the file's size, and its ETag and
Last-Modified where the server tells them. A body that is cut off is continued from the byte where it broke.
"""

import http.client
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from v2x.disks.extent import Extent
from v2x.disks.http_origin import Answer, HttpOrigin, Passing, broken
from v2x.disks.interface import Buffer
from v2x.errors import BadImage, SourceError

_PAGE_BYTES: Final = 64 << 10
_PAGES_KEPT: Final = 128
_RANGE: Final = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")
_EMPTY: Final = re.compile(r"bytes \*/0")
# What is in flight at 50 ms for 400 MB/s; ESXi slows each single connection down, so that four are worth it at any
# distance (eight gave 1.6 times the rate of one).
_TARGET_BYTES_PER_SECOND: Final = 400e6
_LEAST_PARALLEL: Final = 4


def parallel_requests(origin: HttpOrigin, request_bytes: int) -> int:
    """How many requests of that size should be under way at once, told from the round trips seen so far."""
    wanted = -(-int(origin.round_trip_seconds * _TARGET_BYTES_PER_SECOND) // request_bytes)
    return max(min(_LEAST_PARALLEL, origin.connections), min(wanted, origin.connections))


@dataclass(slots=True)
class _File:
    """What all clones share: where the file is, what it was at opening, and its pages read last."""

    origin: HttpOrigin
    path: str
    name: str
    size: int = -1
    etag: str = ""
    modified: str = ""
    in_memory: bool = False
    pages: OrderedDict[int, bytes] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def changed(self, what: str) -> SourceError:
        return SourceError(
            f"{self.name} changed while it was read: {what}",
            code="SOURCE-CHANGED",
            hint="something still writes to it; copy from a snapshot, or with the machine shut down",
        )

    def wrong(self, what: str) -> SourceError:
        return SourceError(
            f"{self.origin.host} answers wrongly for {self.name}: {what}",
            code="HTTP-ANSWER",
            hint="a proxy or gateway between may be the cause; try --transport nfc or vddk",
        )

    def same(self, answer: Answer) -> None:
        """SOURCE-CHANGED if the answer's validators are not those at opening; one that is missing says nothing."""
        for known, header in ((self.etag, "ETag"), (self.modified, "Last-Modified")):
            told = answer.header(header)
            if known and told and known != told:
                raise self.changed(f"its {header} is another one")


class HttpSource:
    """A ByteSource over ranges of `path` on `origin`. Clones share connections, validators and small pages.

    Reads of up to 64 KiB come from pages of that size, at most 8 MiB of them for all clones; larger ones are one
    request each. Closing a source leaves the origin open.
    """

    def __init__(self, file: _File) -> None:
        self._file = file

    @classmethod
    def open(cls, origin: HttpOrigin, path: str, name: str) -> "HttpSource":
        """Asks for the first page, which tells the size. `path` is percent-encoded, with its query.

        InputRefused MISSING-FILE, AccessError kinds, or SourceError: HTTP when attempts are used up, HTTP-ANSWER for a
        server without ranges.
        """
        file, failures = _File(origin, path, name), 0
        while True:
            try:
                _open_once(file)
                return cls(file)
            except Passing as problem:
                failures += 1
                origin.wait_after(problem, failures)

    @property
    def name(self) -> str:
        return self._file.name

    @property
    def size(self) -> int:
        return self._file.size

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer).cast("B")
        if offset < 0 or offset + len(view) > self._file.size:
            raise BadImage(
                f"{self.name} ends at byte {self._file.size:,} where more was expected",
                hint="the file is truncated or still being written",
            )
        if len(view) <= _PAGE_BYTES or self._file.in_memory:
            self._from_pages(offset, view)
        else:
            _fetch(self._file, offset, view)

    def _from_pages(self, offset: int, view: memoryview) -> None:
        at = 0
        while at < len(view):
            number, skip = divmod(offset + at, _PAGE_BYTES)
            piece = memoryview(self._page(number))[skip : skip + len(view) - at]
            view[at : at + len(piece)] = piece
            at += len(piece)

    def _page(self, number: int) -> bytes:
        file = self._file
        with file.lock:
            page = file.pages.get(number)
            if page is not None:
                file.pages.move_to_end(number)
                return page
        begin = number * _PAGE_BYTES
        buffer = bytearray(min(_PAGE_BYTES, file.size - begin))
        _fetch(file, begin, memoryview(buffer))
        page = bytes(buffer)
        with file.lock:
            file.pages[number] = page
            if len(file.pages) > _PAGES_KEPT:
                file.pages.popitem(last=False)
        return page

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        if length:
            yield Extent(start, length, True)

    def clone(self) -> "HttpSource":
        return HttpSource(self._file)

    def close(self) -> None:
        """Nothing to do: connections belong to the origin."""


def _open_once(file: _File) -> None:
    with file.origin.answer(file.path, file.name, {"Range": f"bytes=0-{_PAGE_BYTES - 1}"}) as answer:
        if answer.status == 206:
            found = _RANGE.fullmatch(answer.header("Content-Range"))
            if found is None or int(found[1]) != 0 or int(found[3]) < 1:
                raise file.wrong(f"the range {answer.header('Content-Range') or 'is not told'!r}")
            size, wanted = int(found[3]), int(found[2]) + 1
            if wanted > min(size, _PAGE_BYTES):
                raise file.wrong("more than was asked for")
        elif answer.status == 416 and _EMPTY.fullmatch(answer.header("Content-Range")):
            size = wanted = 0
        else:
            told = answer.header("Content-Length")
            if answer.status != 200 or not told.isdecimal() or int(told) > _PAGE_BYTES:
                raise file.wrong("it does not answer ranges")
            # A file of one page is as good whole.
            size = wanted = int(told)
            file.in_memory = True
        head = bytearray(wanted)
        if wanted:
            _fill(file, answer, memoryview(head))
        file.size = size
        file.etag, file.modified = answer.header("ETag"), answer.header("Last-Modified")
    if wanted == min(size, _PAGE_BYTES):
        file.pages[0] = bytes(head)


def _fill(file: _File, answer: Answer, view: memoryview) -> int:
    """Reads the body into the whole of `view`; how far it came is told by `_Cut` where the connection breaks."""
    filled = 0
    try:
        while filled < len(view):
            count = answer.read_into(view[filled:])
            if count == 0:
                raise _Cut(file, filled, EOFError("the connection was closed before the end"))
            filled += count
        if answer.response.length is None and answer.read_into(memoryview(bytearray(1))):
            raise file.wrong("more than was asked for")
    except (OSError, http.client.HTTPException) as problem:
        raise _Cut(file, filled, problem) from None
    answer.whole = True
    return filled


class _Cut(Passing):
    """A body that broke off after `filled` bytes."""

    def __init__(self, file: _File, filled: int, problem: BaseException) -> None:
        super().__init__(broken(file.name, file.origin.host, problem).message)
        self.filled = filled


def _fetch(file: _File, offset: int, view: memoryview) -> None:
    """Fills `view` from `offset` by as many requests as it takes."""
    failures = 0
    while view:
        try:
            count = _fetch_once(file, offset, view)
        except _Cut as problem:
            count = problem.filled
            failures = 1 if count else failures + 1
            file.origin.wait_after(problem, failures)
        except Passing as problem:
            count, failures = 0, failures + 1
            file.origin.wait_after(problem, failures)
        offset, view = offset + count, view[count:]


def _fetch_once(file: _File, offset: int, view: memoryview) -> int:
    """One request. A server may give less than was asked for, but only from where it was asked, and never more."""
    last = offset + len(view) - 1
    with file.origin.answer(file.path, file.name, {"Range": f"bytes={offset}-{last}"}) as answer:
        if answer.status == 416:
            raise file.changed(f"byte {offset:,} is beyond its end")
        if answer.status != 206:
            raise file.wrong("it stopped answering ranges")
        found = _RANGE.fullmatch(answer.header("Content-Range"))
        if found is None:
            raise file.wrong(f"the range {answer.header('Content-Range') or 'is not told'!r}")
        begin, end, total = (int(text) for text in found.groups())
        if total != file.size:
            raise file.changed(f"it has {total:,} bytes instead of {file.size:,}")
        file.same(answer)
        if begin != offset or not begin <= end <= last:
            raise file.wrong(f"bytes {begin:,} to {end:,} where {offset:,} to {last:,} were asked for")
        count = end - begin + 1
        if answer.response.length is not None and answer.response.length != count:
            raise file.wrong(f"{answer.response.length:,} bytes for a range of {count:,}")
        return _fill(file, answer, view[:count])


class HttpStream:
    """A file that only flows, from its first byte to its last: an answer without ranges or length."""

    def __init__(self, origin: HttpOrigin, path: str, name: str) -> None:
        """Passing, or what `HttpOrigin.answer` raises; nothing is tried again here."""
        self._name, self._host = name, origin.host
        self._stack = ExitStack()
        self._answer = self._stack.enter_context(origin.answer(path, name, {}))
        if self._answer.status != 200:
            self.close()
            raise SourceError(f"{origin.host} answers {self._answer.status} for {name}", code="HTTP-ANSWER")

    def read_into(self, view: memoryview) -> int:
        """Some bytes; 0 at the end. Passing when the connection breaks."""
        try:
            count = self._answer.read_into(view)
            if count == 0 and self._answer.response.length:
                raise EOFError("the connection was closed before the end")
            return count
        except (OSError, EOFError, http.client.HTTPException) as problem:
            raise broken(self._name, self._host, problem) from None

    def close(self) -> None:
        self._stack.close()
