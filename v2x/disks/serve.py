# SPDX-License-Identifier: Apache-2.0
"""Any disk as a read-only NBD export on a private unix socket: for conversion overlays and for outside tools."""

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from v2x.disks.interface import DiskReader
from v2x.disks.nbd_session import NbdSession
from v2x.disks.unix_socket import socket_folder
from v2x.errors import TargetError, UsageError, V2xError
from v2x.scratch import scratch_folder

_CONNECTIONS = 16
_END_SECONDS = 10.0


class DiskExport:
    """Serves clones of `reader` from its making until `close()`; the reader itself stays the caller's to close.

    The socket is `path`, or lies in a new 0700 folder; only its owner may connect (0600). Each of up to 16
    connections has a clone and a thread of its own; a further client is turned away. Nothing can be written.
    `problem` is the first read that failed, and `on_problem` hears of it, in the thread of its connection: the
    client itself only learns EIO. UsageError if `path` exists, TargetError if no socket can be made there.
    """

    def __init__(
        self,
        reader: DiskReader,
        *,
        path: Path | None = None,
        on_problem: Callable[[V2xError], None] = lambda _: None,
    ) -> None:
        self.problem: V2xError | None = None
        self._reader = reader
        self._on_problem = on_problem
        self._lock = threading.Lock()
        self._clients: dict[socket.socket, threading.Thread] = {}
        self._closed = False
        with contextlib.ExitStack() as stack:
            if path is None:
                path = stack.enter_context(scratch_folder("serve", socket_folder())) / "socket"
            self.path = path.absolute()
            self._listener = stack.enter_context(_listen(self.path))
            stack.callback(self.path.unlink, missing_ok=True)
            self._stack = stack.pop_all()
        self._acceptor = threading.Thread(target=self._accept, name="v2x-serve", daemon=True)
        self._acceptor.start()

    @property
    def uri(self) -> str:
        """The export as clients name it: nbdinfo, nbdcopy, qemu-img."""
        return f"nbd+unix:///?socket={quote(str(self.path))}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._closed:
                    return
                continue  # the client left before it was let in
            try:
                self._admit(connection)
            except V2xError as problem:
                connection.close()
                self._note(problem)

    def _admit(self, connection: socket.socket) -> None:
        with self._lock:
            if self._closed or len(self._clients) >= _CONNECTIONS:
                connection.close()
                return
            thread = threading.Thread(target=self._serve, args=(connection, self._reader.clone()), daemon=True)
            self._clients[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket, clone: DiskReader) -> None:
        try:
            NbdSession(connection, clone, on_problem=self._note).run()
        finally:
            clone.close()
            with self._lock:
                self._clients.pop(connection, None)
            connection.close()

    def _note(self, problem: V2xError) -> None:
        with self._lock:
            if self.problem is not None:
                return
            self.problem = problem
        self._on_problem(problem)

    def close(self) -> None:
        """Ends every connection, then removes the socket. Safe to call twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            clients = dict(self._clients)
        for one in (self._listener, *clients):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits on it, which close() would not
        for thread in (self._acceptor, *clients.values()):
            thread.join(_END_SECONDS)
        self._stack.close()

    def __enter__(self) -> "DiskExport":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path` that never was open to others, and that takes no existing file's place.

    It is bound in a 0700 folder beside, gets its mode there, and is then linked to its name. The folder is named by a
    descriptor, so that its own path does not count towards the 108 bytes of an address.
    """
    if len(os.fsencode(path)) > 107:
        raise UsageError(f"{path} is too long for a socket", hint="choose a path of at most 107 bytes")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with tempfile.TemporaryDirectory(prefix=".v2x-", dir=path.parent) as private:
            folder = os.open(private, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                listener.bind(f"/proc/self/fd/{folder}/socket")
            finally:
                os.close(folder)
            made = Path(private) / "socket"
            made.chmod(0o600)
            listener.listen(_CONNECTIONS)
            path.hardlink_to(made)
    except FileExistsError:
        listener.close()
        raise UsageError(f"{path} exists", hint="choose another name for the socket") from None
    except OSError as problem:
        listener.close()
        raise TargetError(f"cannot make a socket at {path}: {problem.strerror}") from None
    return listener
