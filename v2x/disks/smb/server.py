# SPDX-License-Identifier: Apache-2.0
"""Sessions with file servers, shared by all handles, and made again when they are lost."""

import threading
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBAuthenticationError, SMBResponseException
from smbprotocol.file_info import FileInformationClass
from smbprotocol.header import NtStatus
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    DirectoryAccessMask,
    FileAttributes,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
    SMB2ReadResponse,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from v2x.disks.smb.connection import (
    Lost,
    ProtectedConnection,
    SmbAccess,
    login_refused,
    translated,
    unreachable,
)
from v2x.disks.smb.paths import UncPath
from v2x.errors import InputRefused, LoginError, TrustError

READ_BYTES: Final = 1 << 20
IN_FLIGHT: Final = 4
MOST_NAMES: Final = 200_000

# Whoever has the file may do with it what it likes while it is read here: read, write, rename, delete.
_SHARE_ALL = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
_READ_ONLY = (
    FilePipePrinterAccessMask.FILE_READ_DATA
    | FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES
    | FilePipePrinterAccessMask.SYNCHRONIZE
)
_LIST_ONLY = (
    DirectoryAccessMask.FILE_LIST_DIRECTORY | DirectoryAccessMask.FILE_READ_ATTRIBUTES | DirectoryAccessMask.SYNCHRONIZE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """What tells whether a file is still the one that was opened.

    Its time of creation is not among them: servers whose file system has none make one up from other times.
    """

    size: int
    written: datetime

    @property
    def write_id(self) -> str:
        return f"{self.size}:{self.written.isoformat()}"


class SmbServer:
    """One file server under one login. Safe for several threads."""

    def __init__(self, name: str, port: int, access: SmbAccess) -> None:
        self.name = name
        self.port = port
        self._access = access
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._session: Session | None = None
        self._trees: dict[str, TreeConnect] = {}

    def open(self, place: UncPath) -> "SmbHandle":
        """A handle of one file. Lost where the connection is; a V2xError where the server refuses."""
        with self._lock:
            tree = self._tree(place)
        opened = Open(tree, place.path)
        try:
            opened.create(
                ImpersonationLevel.Impersonation,
                _READ_ONLY,
                0,
                _SHARE_ALL,
                CreateDisposition.FILE_OPEN,
                CreateOptions.FILE_NON_DIRECTORY_FILE,
            )
        except Exception as problem:
            raise self.told(problem, place, tree) from None
        return SmbHandle(self, opened, place)

    def names(self, folder: UncPath) -> list[str]:
        """The regular files of a folder. Lost, or a V2xError where the server refuses."""
        with self._lock:
            tree = self._tree(folder)
        opened = Open(tree, folder.path)
        found: list[str] = []
        seen = 0
        try:
            opened.create(
                ImpersonationLevel.Impersonation,
                _LIST_ONLY,
                0,
                _SHARE_ALL,
                CreateDisposition.FILE_OPEN,
                CreateOptions.FILE_DIRECTORY_FILE,
            )
            while True:
                try:
                    entries = opened.query_directory("*", FileInformationClass.FILE_DIRECTORY_INFORMATION, flags=0)
                except SMBResponseException as problem:
                    if problem.status == NtStatus.STATUS_NO_MORE_FILES:
                        break
                    raise
                for entry in entries:
                    if not entry["file_attributes"].has_flag(FileAttributes.FILE_ATTRIBUTE_DIRECTORY):
                        found.append(entry["file_name"].get_value().decode("utf-16-le", "replace"))
                seen += max(1, len(entries))
                if seen > MOST_NAMES:
                    raise InputRefused(f"{folder} holds more than {MOST_NAMES:,} files", hint="give a smaller folder")
        except Exception as problem:
            raise self.told(problem, folder, tree) from None
        finally:
            with suppress(Exception):
                opened.close()
        return sorted(found)

    def told(self, problem: Exception, place: UncPath, tree: TreeConnect) -> Exception:
        """What `problem` means; lets go of the connection of `tree` where it is broken, unless a newer one stands."""
        meant = translated(problem, place)
        if isinstance(meant, Lost | TrustError):
            with self._lock:
                if self._connection is tree.session.connection:
                    self._drop()
        return meant

    def _drop(self) -> None:
        connection, self._connection, self._session = self._connection, None, None
        self._trees.clear()
        if connection is not None and connection.transport is not None:
            # The server ends session and handles with the connection; a server that hangs cannot hold this up.
            with suppress(Exception):
                connection.disconnect(close=False)

    def _tree(self, place: UncPath) -> TreeConnect:
        refusal = self._access.refusals.get((self.name.lower(), self.port))
        if refusal is not None:
            raise refusal
        if self._connection is not None and not self._connection.transport.connected:
            self._drop()
        tree = self._trees.get(place.share.lower())
        if tree is not None:
            return tree
        session = self._session or self._log_in()
        tree = TreeConnect(session, rf"\\{self.name}\{place.share}")
        try:
            tree.connect()
        except Exception as problem:
            meant = translated(problem, place)
            if isinstance(meant, Lost | TrustError):
                self._drop()
            raise meant from None
        # The flag of a distributed file system would have paths begin with server and share; a folder that really lies
        # elsewhere is refused by the server all the same.
        tree.is_dfs_share = False
        self._trees[place.share.lower()] = tree
        return tree

    def _log_in(self) -> Session:
        access = self._access
        connection = ProtectedConnection(uuid.uuid4(), self.name, self.port, timeout_seconds=access.timeout_seconds)
        self._connection = connection
        try:
            connection.connect(timeout=min(access.timeout_seconds, 20))
            connection.require_smb3()
            session = Session(
                connection,
                access.user or None,
                access.password.reveal() if access.password is not None else None,
                require_encryption=access.encryption,
                auth_protocol=access.authentication,
            )
            session.connect()
        except Exception as problem:
            self._drop()
            status = problem.status if isinstance(problem, SMBResponseException) else 0
            found = login_refused(self.name, access.user, status)
            if found is None and isinstance(problem, SMBAuthenticationError):
                found = LoginError(f"cannot log in to {self.name} as {access.user}: {str(problem)[:200]}")
            if found is not None:
                access.refusals[self.name.lower(), self.port] = found
            raise found or unreachable(self.name, self.port, problem) from None
        # It is not needed any more, and no dump of the session may show it.
        session.password = None
        self._session = session
        return session

    def close(self) -> None:
        with self._lock:
            self._drop()


class SmbHandle:
    """One open file. One thread at a time."""

    def __init__(self, server: SmbServer, opened: Any, place: UncPath) -> None:
        self._server = server
        self._open = opened
        self._place = place
        connection = opened.connection
        self._read_bytes = max(1, min(READ_BYTES, connection.max_read_size))
        self.state = FileState(size=opened.end_of_file, written=opened.last_write_time)

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fills `view`, with several requests on their way. Lost, or a V2xError where the server refuses."""
        end = offset + len(view)
        position = offset
        waiting: deque[tuple[int, int, Any]] = deque()
        try:
            while position < end or waiting:
                while position < end and len(waiting) < IN_FLIGHT:
                    length = min(self._read_bytes, end - position)
                    waiting.append((position, length, self._ask(position, length)))
                    position += length
                at, length, request = waiting.popleft()
                data = self._answer(request)
                if not 0 < len(data) <= length:
                    raise Lost(f"the server answered a read of {length:,} bytes with {len(data):,}")
                view[at - offset : at - offset + len(data)] = data
                if len(data) < length:  # servers may give less than was asked for
                    rest = at + len(data)
                    waiting.appendleft((rest, at + length - rest, self._ask(rest, at + length - rest)))
        except Exception as problem:
            meant = self._server.told(problem, self._place, self._open.tree_connect)
            if not isinstance(meant, Lost | TrustError):
                self._drain(waiting)
            raise meant from None

    def _ask(self, offset: int, length: int) -> Any:
        request, _ = self._open.read(offset, length, send=False)
        tree = self._open.tree_connect
        return self._open.connection.send(request, tree.session.session_id, tree.tree_connect_id)

    def _answer(self, request: Any) -> bytes:
        response = SMB2ReadResponse()
        response.unpack(self._open.connection.receive(request)["data"].get_value())
        data: bytes = response["buffer"].get_value()
        return data

    def _drain(self, waiting: "deque[tuple[int, int, Any]]") -> None:
        """Answers that nobody wants any more are taken all the same, or the connection would keep them for ever."""
        for _, _, request in waiting:
            with suppress(Exception):  # the first problem is the one that is told
                self._open.connection.receive(request)

    def close(self) -> None:
        """Closes the file on the server; one that does not answer any more has closed it itself."""
        # Nothing was written, so nothing can be lost by what goes wrong now.
        with suppress(Exception):
            if self._open.connection.transport.connected:
                self._open.close()


class SmbServers:
    """All file servers of a run, each with one session. Safe for several threads."""

    def __init__(self, access: SmbAccess) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._servers: dict[tuple[str, int], SmbServer] = {}

    def server(self, place: UncPath) -> SmbServer:
        port = place.port or self._access.port
        key = (place.server.lower(), port)
        with self._lock:
            if key not in self._servers:
                self._servers[key] = SmbServer(place.server, port, self._access)
            return self._servers[key]

    def close(self) -> None:
        for server in self._servers.values():
            server.close()
        self._servers.clear()
