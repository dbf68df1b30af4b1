# SPDX-License-Identifier: Apache-2.0
"""The outer layer of an XVA: a plain tar, or one packed with zstd or gzip (xapi: import.ml)."""

import shutil
import subprocess
import threading
import zlib
from contextlib import suppress
from io import BufferedReader
from typing import cast

from v2x.simulators.xapi.failure import StreamBroken, StreamEnded
from v2x.simulators.xapi.transfer.body import Body, Source
from v2x.simulators.xapi.transfer.tarball import BLOCK, parse_header

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_PIECE_BYTES = 256 * 1024


class _Replayed:
    """What was looked at already, then the rest of the body."""

    def __init__(self, head: bytes, body: Body) -> None:
        self._head = memoryview(head)
        self._body = body

    def read_some(self, view: memoryview) -> int:
        if self._head:
            got = min(len(view), len(self._head))
            view[:got] = self._head[:got]
            self._head = self._head[got:]
            return got
        return self._body.read_some(view)

    def read_into(self, view: memoryview) -> None:
        while view:
            got = self.read_some(view)
            if not got:
                raise StreamEnded("the stream ended")
            view = view[got:]

    def read(self, count: int) -> bytes:
        made = bytearray(count)
        self.read_into(memoryview(made))
        return bytes(made)


class _Gunzip:
    """Unpacks gzip members one after the other."""

    def __init__(self, packed: _Replayed) -> None:
        self._packed = packed
        self._unpacker = zlib.decompressobj(31)
        self._input = bytearray(_PIECE_BYTES)
        self._left = b""
        self._output = memoryview(b"")

    def read_into(self, view: memoryview) -> None:
        while view:
            if not self._output:
                self._output = memoryview(self._unpack())
            got = min(len(view), len(self._output))
            view[:got] = self._output[:got]
            self._output = self._output[got:]
            view = view[got:]

    def read(self, count: int) -> bytes:
        made = bytearray(count)
        self.read_into(memoryview(made))
        return bytes(made)

    def _unpack(self) -> bytes:
        while True:
            if self._unpacker.eof:
                self._left = self._unpacker.unused_data
                self._unpacker = zlib.decompressobj(31)
            if not self._left:
                got = self._packed.read_some(memoryview(self._input))
                if not got:
                    raise StreamEnded("the packed stream ended")
                self._left = bytes(self._input[:got])
            try:
                made = self._unpacker.decompress(self._left, _PIECE_BYTES)
            except zlib.error as error:
                raise StreamBroken(f"neither tar, zstd nor gzip: {error}") from None
            self._left = self._unpacker.unconsumed_tail
            if made:
                return made


class _Unzstd:
    """Unpacks with the zstd program, as the real server does."""

    def __init__(self, packed: _Replayed) -> None:
        program = shutil.which("zstd")
        if program is None:
            raise StreamBroken("the simulated pool has no zstd program to unpack this with")
        self._process = subprocess.Popen(
            [program, "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._packed = packed
        self._out = cast(BufferedReader, self._process.stdout)
        threading.Thread(target=self._feed, daemon=True).start()

    def _feed(self) -> None:
        """Ends quietly: what is missing shows at the other end."""
        piece = memoryview(bytearray(_PIECE_BYTES))
        assert self._process.stdin is not None
        with suppress(OSError, StreamBroken), self._process.stdin as pipe:
            while got := self._packed.read_some(piece):
                pipe.write(piece[:got])

    def read_into(self, view: memoryview) -> None:
        while view:
            got = self._out.readinto(view)
            if not got:
                raise StreamEnded("the packed stream ended")
            view = view[got:]

    def read(self, count: int) -> bytes:
        made = bytearray(count)
        self.read_into(memoryview(made))
        return bytes(made)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._out.close()


def open_archive(body: Body) -> Source:
    """The tar inside a body: plain is tried first, then zstd by its magic, else it is taken for gzip."""
    head = body.read(BLOCK)
    source = _Replayed(head, body)
    if head[:4] == _ZSTD_MAGIC:
        return _Unzstd(source)
    try:
        parse_header(head)
    except StreamBroken:
        return _Gunzip(source)
    return source


def close_archive(source: Source) -> None:
    if isinstance(source, _Unzstd):
        source.close()
