# SPDX-License-Identifier: Apache-2.0
"""One client's connection to a read-only NBD export: fixed newstyle negotiation, then reading.

Numbers and rules are those of the NBD project's protocol description (doc/proto.md). Whatever the client sends is
bounded before it is stored, and a client that breaks the protocol loses its connection and nothing else.
"""

import socket
import struct
from collections.abc import Callable
from itertools import islice

from v2x.disks.extent import joined
from v2x.disks.interface import DiskReader
from v2x.errors import SourceError, V2xError
from v2x.model.units import KIB, MIB
from v2x.text import printable

LARGEST_READ_BYTES = 32 * MIB
_LARGEST_OPTION_BYTES = 64 * KIB
_MOST_OPTIONS = 256
_MOST_EXTENTS = 4096
_DISCARD_BYTES = 64 * KIB
# An idle client may be idle for ever; one that has begun to say something must get to its end.
_SAYING_SECONDS = 30.0

_HELLO = struct.pack(">8sQH", b"NBDMAGIC", 0x49484156454F5054, 0b11)
_OPTION_MAGIC = 0x49484156454F5054
_OPTION_REPLY_MAGIC = 0x0003E889045565A9
_REQUEST_MAGIC = 0x25609513
_SIMPLE_REPLY_MAGIC = 0x67446698
_CHUNK_MAGIC = 0x668E33EF
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_OPT_EXPORT_NAME, _OPT_ABORT, _OPT_LIST, _OPT_INFO, _OPT_GO = 1, 2, 3, 6, 7
_OPT_STRUCTURED_REPLY, _OPT_LIST_META_CONTEXT, _OPT_SET_META_CONTEXT = 8, 9, 10
_REP_ACK, _REP_SERVER, _REP_INFO, _REP_META_CONTEXT = 1, 2, 3, 4
_REP_ERR_UNSUPPORTED, _REP_ERR_INVALID, _REP_ERR_UNKNOWN = 0x80000001, 0x80000003, 0x80000006
_INFO_EXPORT, _INFO_BLOCK_SIZE = 0, 3
# HAS_FLAGS, READ_ONLY, SEND_DF, CAN_MULTI_CONN, SEND_CACHE
_TRANSMISSION_FLAGS = 1 | 2 | 1 << 7 | 1 << 8 | 1 << 10
_CMD_READ, _CMD_WRITE, _CMD_DISCONNECT, _CMD_TRIM, _CMD_CACHE, _CMD_ZEROES, _CMD_BLOCK_STATUS = 0, 1, 2, 4, 5, 6, 7
_FLAG_ONE_EXTENT = 1 << 3
_CHUNK_DONE, _CHUNK_NONE, _CHUNK_DATA, _CHUNK_STATUS, _CHUNK_ERROR = 1, 0, 1, 5, (1 << 15) + 1
_EPERM, _EIO, _EINVAL, _EOVERFLOW = 1, 5, 22, 75
_HOLE_AND_ZERO = 3
_CONTEXT = b"base:allocation"
_CONTEXT_ID = 1


class ClientLeft(Exception):
    """The client is gone, or said something after which no common ground is left."""


class NbdSession:
    """Serves `reader` to the client at `connection` until it leaves; both stay open.

    `on_problem` hears of every failed read; the client gets EIO for it and may go on.
    """

    def __init__(
        self, connection: socket.socket, reader: DiskReader, *, on_problem: Callable[[V2xError], None] = lambda _: None
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._on_problem = on_problem
        self._structured = False
        self._mapped = False
        self._padded = True
        self._buffer = bytearray()

    def run(self) -> None:
        """Returns when the client has left, whichever way."""
        try:
            if self._negotiate():
                while self._serve_one():
                    pass
        except (ClientLeft, OSError):
            pass

    # --- bytes ---

    def _take(self, length: int) -> bytes:
        taken = bytearray()
        while len(taken) < length:
            part = self._connection.recv(min(length - len(taken), _DISCARD_BYTES))
            if not part:
                raise ClientLeft
            taken += part
        return bytes(taken)

    def _discard(self, length: int) -> None:
        while length:
            length -= len(self._take(min(length, _DISCARD_BYTES)))

    # --- negotiation ---

    def _negotiate(self) -> bool:
        """Whether reading follows."""
        self._connection.settimeout(_SAYING_SECONDS)
        self._connection.sendall(_HELLO)
        (flags,) = struct.unpack(">I", self._take(4))
        if flags & ~(_FIXED_NEWSTYLE | _NO_ZEROES) or not flags & _FIXED_NEWSTYLE:
            return False
        self._padded = not flags & _NO_ZEROES
        for _ in range(_MOST_OPTIONS):
            magic, option, length = struct.unpack(">QII", self._take(16))
            if magic != _OPTION_MAGIC or length > _LARGEST_OPTION_BYTES:
                return False
            data = self._take(length)
            if option == _OPT_ABORT:
                self._answer(option, _REP_ACK)
                return False
            if option == _OPT_EXPORT_NAME:
                return self._begin_old(data)
            if self._option(option, data) and option == _OPT_GO:
                return True
        return False

    def _answer(self, option: int, kind: int, data: bytes = b"") -> None:
        self._connection.sendall(struct.pack(">QIII", _OPTION_REPLY_MAGIC, option, kind, len(data)) + data)

    def _begin_old(self, name: bytes) -> bool:
        """The one option without a reply: an unknown name can only be answered by closing."""
        if name:
            return False
        padding = bytes(124) if self._padded else b""
        self._connection.sendall(struct.pack(">QH", self._reader.size, _TRANSMISSION_FLAGS) + padding)
        return True

    def _option(self, option: int, data: bytes) -> bool:
        """Answers one option; whether it was granted."""
        answer: Callable[[bytes], int] | None = {
            _OPT_LIST: self._list,
            _OPT_INFO: lambda data: self._information(_OPT_INFO, data),
            _OPT_GO: lambda data: self._information(_OPT_GO, data),
            _OPT_STRUCTURED_REPLY: self._structure,
            _OPT_LIST_META_CONTEXT: lambda data: self._contexts(_OPT_LIST_META_CONTEXT, data),
            _OPT_SET_META_CONTEXT: lambda data: self._contexts(_OPT_SET_META_CONTEXT, data),
        }.get(option)
        if answer is None:
            kind = _REP_ERR_UNSUPPORTED
        else:
            try:
                kind = answer(data)
            except struct.error:
                kind = _REP_ERR_INVALID
        self._answer(option, kind)
        return kind == _REP_ACK

    def _list(self, data: bytes) -> int:
        if data:
            return _REP_ERR_INVALID
        self._answer(_OPT_LIST, _REP_SERVER, struct.pack(">I", 0))
        return _REP_ACK

    def _structure(self, data: bytes) -> int:
        if data:
            return _REP_ERR_INVALID
        self._structured = True
        return _REP_ACK

    def _information(self, option: int, data: bytes) -> int:
        name, rest = _counted(data)
        (count,) = struct.unpack_from(">H", rest)
        if len(rest) != 2 + 2 * count:
            return _REP_ERR_INVALID
        if name:
            return _REP_ERR_UNKNOWN
        self._answer(option, _REP_INFO, struct.pack(">HQH", _INFO_EXPORT, self._reader.size, _TRANSMISSION_FLAGS))
        sizes = struct.pack(">HIII", _INFO_BLOCK_SIZE, 1, _preferred(self._reader.block), LARGEST_READ_BYTES)
        self._answer(option, _REP_INFO, sizes)
        return _REP_ACK

    def _contexts(self, option: int, data: bytes) -> int:
        name, rest = _counted(data)
        (count,) = struct.unpack_from(">I", rest)
        queries, rest = [], rest[4:]
        for _ in range(min(count, _LARGEST_OPTION_BYTES)):
            query, rest = _counted(rest)
            queries.append(query)
        if rest or not self._structured:
            return _REP_ERR_INVALID
        if name:
            return _REP_ERR_UNKNOWN
        listing = option == _OPT_LIST_META_CONTEXT
        granted = _CONTEXT in queries or (listing and (not queries or b"base:" in queries))
        if granted:
            self._answer(option, _REP_META_CONTEXT, struct.pack(">I", 0 if listing else _CONTEXT_ID) + _CONTEXT)
        if not listing:
            self._mapped = granted
        return _REP_ACK

    # --- transmission ---

    def _serve_one(self) -> bool:
        """Takes one request and answers it; False after a farewell."""
        self._connection.settimeout(None)
        first = self._connection.recv(1)
        if not first:
            raise ClientLeft
        self._connection.settimeout(_SAYING_SECONDS)
        magic, flags, command, cookie, offset, length = struct.unpack(">IHHQQI", first + self._take(27))
        if magic != _REQUEST_MAGIC or command == _CMD_DISCONNECT:
            return False
        if command == _CMD_WRITE:
            if length > LARGEST_READ_BYTES:
                return False
            self._discard(length)
        self._connection.settimeout(None)  # a client may be stopped while an answer is on its way, as a debugger does
        if command in {_CMD_WRITE, _CMD_TRIM, _CMD_ZEROES}:
            self._refuse(cookie, _EPERM, "this export is read-only")
        elif command not in {_CMD_READ, _CMD_CACHE, _CMD_BLOCK_STATUS}:
            self._refuse(cookie, _EINVAL, "unknown command")
        elif length == 0 or offset + length > self._reader.size:
            self._refuse(cookie, _EINVAL, "not a range of this disk")
        elif command == _CMD_READ:
            self._read(cookie, offset, length)
        elif command == _CMD_CACHE:
            self._finish(cookie)
        else:
            self._block_status(cookie, offset, length, one=bool(flags & _FLAG_ONE_EXTENT))
        return True

    def _read(self, cookie: int, offset: int, length: int) -> None:
        if length > LARGEST_READ_BYTES:
            self._refuse(cookie, _EOVERFLOW, f"at most {LARGEST_READ_BYTES:,} bytes at once")
            return
        if len(self._buffer) < length:
            self._buffer = bytearray(length)
        view = memoryview(self._buffer)[:length]
        problem = self._attempt(lambda: self._reader.read_into(offset, view), f"reading {length:,} bytes at {offset:,}")
        if problem is not None:
            self._refuse(cookie, _EIO, problem)
            return
        if self._structured:
            self._chunk(cookie, _CHUNK_DATA, struct.pack(">Q", offset), length)
        else:
            self._connection.sendall(struct.pack(">IIQ", _SIMPLE_REPLY_MAGIC, 0, cookie))
        self._connection.sendall(view)

    def _block_status(self, cookie: int, offset: int, length: int, *, one: bool) -> None:
        if not self._mapped:
            self._refuse(cookie, _EINVAL, "base:allocation was not negotiated")
            return
        entries: list[tuple[int, int]] = []

        def collect() -> None:
            found = islice(joined(self._reader.extents(offset, length)), 1 if one else _MOST_EXTENTS)
            entries.extend((extent.length, 0 if extent.data else _HOLE_AND_ZERO) for extent in found)

        problem = self._attempt(collect, f"mapping {length:,} bytes at {offset:,}")
        if problem is not None:
            self._refuse(cookie, _EIO, problem)
            return
        body = struct.pack(">I", _CONTEXT_ID) + b"".join(struct.pack(">II", *entry) for entry in entries)
        self._chunk(cookie, _CHUNK_STATUS, body)

    def _attempt(self, action: Callable[[], None], doing: str) -> str | None:
        """What went wrong, as a message; whatever a reader raises ends as an answer, never as the thread's death."""
        try:
            action()
        except V2xError as problem:
            self._on_problem(problem)
            return problem.message
        except Exception as problem:
            failed = SourceError(f"{doing} failed: {type(problem).__name__}: {printable(str(problem), 200)}")
            self._on_problem(failed)
            return failed.message
        return None

    def _finish(self, cookie: int) -> None:
        if self._structured:
            self._chunk(cookie, _CHUNK_NONE, b"")
        else:
            self._connection.sendall(struct.pack(">IIQ", _SIMPLE_REPLY_MAGIC, 0, cookie))

    def _refuse(self, cookie: int, error: int, message: str) -> None:
        if self._structured:
            words = printable(message, 400).encode()[:1024]
            self._chunk(cookie, _CHUNK_ERROR, struct.pack(">IH", error, len(words)) + words)
        else:
            self._connection.sendall(struct.pack(">IIQ", _SIMPLE_REPLY_MAGIC, error, cookie))

    def _chunk(self, cookie: int, kind: int, body: bytes, following_bytes: int = 0) -> None:
        """The only chunk of a structured reply, or its head where `following_bytes` are sent after it."""
        head = struct.pack(">IHHQI", _CHUNK_MAGIC, _CHUNK_DONE, kind, cookie, len(body) + following_bytes)
        self._connection.sendall(head + body)


def _counted(data: bytes) -> tuple[bytes, bytes]:
    """A string behind its 32-bit length, and what follows. struct.error if the data ends before."""
    (length,) = struct.unpack_from(">I", data)
    if length > len(data) - 4:
        raise struct.error
    return data[4 : 4 + length], data[4 + length :]


def _preferred(block: int) -> int:
    """A power of two that the protocol allows, from 4 KiB to the largest read, at least `block` where that fits."""
    size = 4 * KIB
    while size < block and size < LARGEST_READ_BYTES:
        size *= 2
    return size
