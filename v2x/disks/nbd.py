# SPDX-License-Identifier: Apache-2.0
"""Disks behind an NBD server: whatever a server speaks for (qemu-nbd for formats without a reader here, nbdkit)."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from v2x import proc
from v2x.causes import said_by
from v2x.disks.extent import Extent, joined
from v2x.disks.interface import Buffer
from v2x.disks.libnbd import libnbd
from v2x.disks.qemu_img import checked_image, checked_overlay
from v2x.disks.unix_socket import socket_folder
from v2x.errors import Retry, SourceError, V2xError
from v2x.model.machine import DiskFormat
from v2x.model.units import GIB, KIB, MIB
from v2x.scratch import scratch_folder
from v2x.text import printable

_MAP_STEP_BYTES = GIB
# With two connections that take turns, requests of 1 or 2 MiB took the least CPU and the fewest switches between
# processes of all sizes and depths tried; of 2 MiB, qemu-nbd keeps twice the memory.
_REQUEST_BYTES = MIB
_IN_FLIGHT = 2
# Between two blocks a connection has nothing in flight; with a second one the server always has something to do.
_READERS = 2
_ANSWER_SECONDS = 300
_NOT_LISTENING = frozenset({"ECONNREFUSED", "ENOENT"})
_START_SECONDS = 30
# A process that ends closes its connections first: a moment after one broke, the server may not have ended yet. And
# qemu-nbd listens before it opens its image, so that this is also how an image that it refuses looks to a client.
_END_SECONDS = 5.0
_CONNECTIONS = 16
# Without these, glibc returns every large buffer of qemu-nbd to the kernel and faults it in again: half the speed.
_SERVER_ENV = {
    "MALLOC_MMAP_THRESHOLD_": "67108864",
    "MALLOC_TRIM_THRESHOLD_": "268435456",
    "MALLOC_ARENA_MAX": "2",
}


class _Slot:
    """Memory that answers land in. libnbd's Python binding keeps a reference to the buffer of every request for ever
    (seen with 1.14), so that a new buffer for each would be memory lost for each: slots are used again, by all readers.
    """

    def __init__(self, nbd: Any) -> None:
        self._nbd = nbd
        self._buffers: dict[int, Any] = {}
        self.memory = memoryview(bytearray(_REQUEST_BYTES))

    def first(self, length: int) -> Any:
        """The first `length` bytes as a libnbd buffer."""
        if length not in self._buffers:
            self._buffers[length] = self._nbd.Buffer.from_buffer(self.memory[:length])
        return self._buffers[length]


_spare_slots: list[list[_Slot]] = []


class NbdReader:
    """The export `export` of the NBD server at a unix socket. SourceError if the server or the connection fails.

    `name` is for messages. A clone is a second connection.
    """

    def __init__(
        self, socket: str | Path, export: str = "", *, name: str = "", server: "NbdServer | None" = None
    ) -> None:
        self._nbd = libnbd()
        self._socket = Path(socket)
        self._export = export
        self._server = server
        self.name = name or f"NBD export {export or self._socket.name}"
        self._handle: Any = None
        self._slots: list[_Slot] = []
        self._connect()
        if server is not None:
            server.join()

    def _connect(self) -> None:
        handle = self._nbd.NBD()
        handle.add_meta_context(self._nbd.CONTEXT_BASE_ALLOCATION)
        handle.set_export_name(self._export)
        handle.set_pread_initialize(False)  # a read either fills the buffer or raises
        try:
            self._reach(handle)
            self._size = int(handle.get_size())
            self._block = int(handle.get_block_size(self._nbd.SIZE_PREFERRED)) or 64 * KIB
            self._align = max(int(handle.get_block_size(self._nbd.SIZE_MINIMUM)), 1)
            self._mapped = bool(handle.can_meta_context(self._nbd.CONTEXT_BASE_ALLOCATION))
        except self._nbd.Error as problem:
            failed = self._failed("connecting to its NBD server", problem)
            # A server whose export cannot be opened answers with one of these codes, too.
            if problem.errno in _NOT_LISTENING and "export" not in str(problem.string):
                failed.retry = Retry.NOW
            raise failed from None
        self._handle = handle

    def _reach(self, handle: Any) -> None:
        handle.connect_unix(str(self._socket))

    def _open_handle(self) -> Any:
        if self._handle is None:
            raise SourceError(f"{self.name}: the connection to its NBD server is closed")
        return self._handle

    def _failed(self, doing: str, problem: Any) -> V2xError:
        message = f"{self.name}: {doing} failed: {printable(str(problem.string))}"
        if self._server is None:
            return SourceError(message)
        handle = self._handle
        broken = handle is not None and (handle.aio_is_dead() or handle.aio_is_closed())
        ended = self._server.ends_within(self._server.end_seconds if broken else 0)
        return self._server.failure(message, ended=ended)

    at_once: int = _READERS

    @property
    def size(self) -> int:
        return self._size

    @property
    def block(self) -> int:
        return self._block

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer).cast("B")
        if offset < 0 or offset + len(view) > self._size:
            raise ValueError(f"{len(view)} bytes at {offset} are beyond the disk's {self._size}")
        start, end = self._aligned(offset, offset + len(view))
        if (start, end) == (offset, offset + len(view)):
            self._read(start, view)
        else:
            whole = bytearray(end - start)
            self._read(start, memoryview(whole))
            view[:] = memoryview(whole)[offset - start : offset - start + len(view)]

    def _aligned(self, start: int, end: int) -> tuple[int, int]:
        """The range widened to what the server can be asked for; its own size is always a multiple of that."""
        step = self._align
        return start // step * step, min(-(-end // step) * step, self._size)

    def _read(self, offset: int, view: memoryview) -> None:
        """Keeps several requests in flight, and leaves none behind: a late answer would spoil its slot."""
        handle = self._open_handle()
        slots = self._own_slots()
        waiting: deque[tuple[int, _Slot, memoryview]] = deque()
        try:
            for number, at in enumerate(range(0, len(view), _REQUEST_BYTES)):
                if len(waiting) >= _IN_FLIGHT:
                    self._take(waiting)
                slot, part = slots[number % _IN_FLIGHT], view[at : at + _REQUEST_BYTES]
                waiting.append((handle.aio_pread(slot.first(len(part)), offset + at), slot, part))
            while waiting:
                self._take(waiting)
        except self._nbd.Error as problem:
            while waiting:
                with contextlib.suppress(self._nbd.Error):
                    self._take(waiting)
                    continue
                waiting.popleft()
            raise self._failed(f"reading {len(view):,} bytes at {offset:,}", problem) from None
        finally:
            if waiting:
                self._drop()
                self._slots = []

    def _own_slots(self) -> list[_Slot]:
        if not self._slots:
            try:
                self._slots = _spare_slots.pop()
            except IndexError:
                self._slots = [_Slot(self._nbd) for _ in range(_IN_FLIGHT)]
        return self._slots

    def _take(self, waiting: deque[tuple[int, _Slot, memoryview]]) -> None:
        """Waits for the answer of the oldest request, puts it where it belongs, and crosses the request out."""
        cookie, slot, part = waiting[0]
        handle = self._open_handle()
        deadline = time.monotonic() + _ANSWER_SECONDS
        while not handle.aio_command_completed(cookie):
            left = deadline - time.monotonic()
            if left <= 0:
                raise SourceError(f"{self.name}: the NBD server has not answered for {_ANSWER_SECONDS} seconds")
            handle.poll(int(left * 1000) + 1)
        part[:] = slot.memory[: len(part)]
        waiting.popleft()

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        if start < 0 or length < 0 or start + length > self._size:
            raise ValueError(f"{length} bytes at {start} are beyond the disk's {self._size}")
        return joined(self._map(start, start + length))

    def _map(self, start: int, end: int) -> Iterator[Extent]:
        if not self._mapped:
            yield Extent(start, end - start, True)
            return
        position = start
        while position < end:
            begin, stop = self._aligned(position, min(position + _MAP_STEP_BYTES, end))
            at = begin
            for length, data in self._block_status(begin, stop - begin):
                first, last = max(at, position), min(at + length, end)
                if last > first:
                    yield Extent(first, last - first, data)
                at += length
            if at <= position:
                raise SourceError(f"{self.name}: the NBD server's map makes no progress at {position:,}")
            position = at

    def _block_status(self, offset: int, count: int) -> list[tuple[int, bool]]:
        entries: list[int] = []

        def note(context: str, _: int, found: list[int], __: Any) -> int:
            if context == self._nbd.CONTEXT_BASE_ALLOCATION:
                entries.extend(found)
            return 0

        handle = self._open_handle()
        try:
            handle.block_status(count, offset, note)
        except self._nbd.Error as problem:
            raise self._failed(f"asking for the map at {offset:,}", problem) from None
        zero = self._nbd.STATE_ZERO
        return [(length, not flags & zero) for length, flags in zip(entries[::2], entries[1::2], strict=True)]

    def clone(self) -> "NbdReader":
        return NbdReader(self._socket, self._export, name=self.name, server=self._server)

    def close(self) -> None:
        """Ends the connection, and with the last one the server that was started for it."""
        if self._handle is not None:
            with contextlib.suppress(self._nbd.Error):
                self._handle.shutdown()
        self._drop()
        if self._slots:
            _spare_slots.append(self._slots)
            self._slots = []
        server, self._server = self._server, None
        if server is not None:
            server.leave()

    def _drop(self) -> None:
        """Closes the connection at once; the handle's buffers are let go with it."""
        self._handle = None


class NbdServer:
    """A program that serves one disk at a private socket; it runs as long as anyone has joined, and no longer than we.

    `command` gives the argv for a socket's path. What `held` holds is released when the server has ended. A server
    whose connection broke is given `end_seconds` to end by itself, so that its last words are heard.
    """

    end_seconds = _END_SECONDS

    def __init__(
        self,
        name: str,
        command: Callable[[Path], Sequence[str]],
        *,
        limits: proc.Limits,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        held: contextlib.ExitStack | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self.name = name
        with held if held is not None else contextlib.ExitStack() as stack:
            self.socket = stack.enter_context(scratch_folder("nbd", socket_folder())) / "socket"
            argv = command(self.socket)
            self.program = Path(argv[0]).name
            self._child = stack.enter_context(proc.start(argv, limits=limits, env=env, pass_fds=pass_fds))
            self._stack = stack.pop_all()

    def reader(self) -> NbdReader:
        """A connection, as soon as the server listens. SourceError if it ends instead, with what it said."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                made = NbdReader(self.socket, name=self.name, server=self)
                with contextlib.suppress(OSError):
                    self.socket.chmod(0o600)
                return made
            except SourceError as problem:
                listens = problem.retry is not Retry.NOW
                if self.ends_within(self.end_seconds if listens else 0):
                    raise self.failure(f"{self.name}: {self.program} cannot serve it", ended=True) from None
                if listens or time.monotonic() > deadline:
                    raise
            time.sleep(0.002)

    def failure(self, message: str, *, ended: bool) -> V2xError:
        """The error for what went wrong, with what the server said of it."""
        if not ended:
            return SourceError(message)
        said = self.last_words or "it said nothing"
        found = said_by(said)
        told = f"{message}{': ' if message.endswith('serve it') else '; the server ended: '}{said}"
        return SourceError(told, hint=found.do if found else "")

    def ends_within(self, seconds: float) -> bool:
        """Whether it has ended, or does so within `seconds`."""
        return self._child.ends_within(seconds)

    @property
    def messages(self) -> str:
        """The last of what it printed to stderr, as printable lines."""
        return self._child.stderr

    @property
    def last_words(self) -> str:
        lines = self.messages.splitlines()
        return lines[-1] if lines else ""

    def join(self) -> None:
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            self.close()

    def close(self) -> None:
        self._stack.close()


def _image_server(name: str, image: contextlib.AbstractContextManager[tuple[int, str]]) -> NbdServer:
    """A qemu-nbd for one checked image, read-only."""
    options = ["--read-only", "--persistent", f"--shared={_CONNECTIONS}"]
    with contextlib.ExitStack() as stack:
        fd, described = stack.enter_context(image)
        return NbdServer(
            name,
            lambda socket: ["qemu-nbd", *options, "--socket", str(socket), described],
            limits=proc.Limits(address_space_bytes=2 * GIB, file_size_bytes=0),
            env=_SERVER_ENV,
            pass_fds=[fd],
            held=stack.pop_all(),
        )


def open_through_qemu(path: str | Path, format: DiskFormat, *, window: tuple[int, int] | None = None) -> NbdReader:
    """The disk in the image at `path`, read by a qemu-nbd of its own, which ends with the last reader's close.

    `window` (offset, size in bytes) is where in the file the image lies, when the file is an archive.
    The image is checked first and its format is given, not guessed. UsageError MISSING-TOOL without qemu-nbd or
    libnbd; SourceError if the server cannot open it; and whatever the check raises.
    """
    return _opened(Path(path).name, checked_image(path, format, window=window))


def open_overlay(path: Path, export: Path) -> NbdReader:
    """What a guest sees of the QCOW2 file at `path` on top of the NBD export that v2x serves at the socket `export`.

    Raises as `open_through_qemu`; UnsafeImage if the file lies on anything else.
    """
    return _opened(path.name, checked_overlay(path, export))


def _opened(name: str, image: contextlib.AbstractContextManager[tuple[int, str]]) -> NbdReader:
    libnbd()
    server = _image_server(name, image)
    try:
        return server.reader()
    except BaseException:
        server.close()
        raise


@contextlib.contextmanager
def serve_image(path: str | Path, format: DiskFormat) -> Iterator[NbdReader]:
    """`open_through_qemu` for a block; the server ends with it, even if a clone was left open."""
    libnbd()
    server = _image_server(Path(path).name, checked_image(path, format))
    try:
        reader = server.reader()
        yield reader
        reader.close()
    finally:
        server.close()
