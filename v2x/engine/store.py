# SPDX-License-Identifier: Apache-2.0
"""The state database: SQLite in a folder of the user's, or PostgreSQL where several workers share a batch.

Opened here and nowhere else. The folder is 0700 and its files 0600, since whoever can write them decides what runs.
"""

import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy import event

from v2x.engine import tables
from v2x.errors import ConnectError, UsageError, V2xError

FREE_BYTES_TO_START = 256 * 2**20
FREE_BYTES_TO_GO_ON = 64 * 2**20
SILENCE: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""When a line to PostgreSQL that says nothing counts as dead (libpq; seconds, the last in milliseconds)."""
_NETWORK_FILESYSTEMS = {0x6969, 0xFF534D42, 0xFE534D42, 0x517B, 0x00C36400}
"""f_type of nfs, cifs, smb2, smb and ceph: SQLite's locks and its WAL do not hold there (statfs(2))."""


class StateError(V2xError):
    """The state database cannot be used."""

    code = "STATE"
    exit_code = 75


class Store:
    """One state database. Thread-safe; each transaction is short."""

    def __init__(self, engine: sa.Engine, *, folder: Path | None, url: str) -> None:
        self._engine = engine
        self.folder = folder
        self.url = url
        # Threads of this process queue here: SQLite lets those that find it locked sleep, and long.
        self._turn: AbstractContextManager[object] = threading.Lock() if folder is not None else nullcontext()

    @classmethod
    def open(cls, location: str) -> "Store":
        """Opens a folder, or a `postgresql://` address, and makes the tables where they are not there yet.

        UsageError for what is neither; ConnectError where a server does not answer; StateError for a database of
        another version, or a folder that is no place for one.
        """
        if location.startswith(("postgresql:", "postgres:")):
            engine, folder, url = _postgres(location), None, location
        elif "://" in location:
            raise UsageError(f"{location} is no state database", hint="give a folder, or postgresql://USER@HOST/NAME")
        else:
            folder = Path(location)
            engine, url = _sqlite(folder), f"sqlite:///{folder / 'journal.sqlite'}"
        store = cls(engine, folder=folder, url=url)
        try:
            store._prepare()
        except sa.exc.DatabaseError as problem:
            engine.dispose()
            raise ConnectError(
                f"the state database {location} cannot be used: {_cause(problem)}",
                code="STATE",
                hint="check the folder's space and rights, or the server, its name and the password (PGPASSFILE)",
            ) from None
        return store

    @property
    def is_shared(self) -> bool:
        """Whether workers on other machines can join."""
        return self.folder is None

    def _prepare(self) -> None:
        with self.exclusive("schema") as connection:
            tables.metadata.create_all(connection)
            found = connection.execute(sa.select(tables.about.c.version)).scalar_one_or_none()
            if found is None:
                connection.execute(tables.about.insert().values(version=tables.VERSION))
            elif found != tables.VERSION:
                raise StateError(
                    f"the state database is of version {found}, this v2x works with {tables.VERSION}",
                    hint="finish or cancel its batches with the v2x that began them, or choose another --state",
                )

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A consistent view; SQLite's writers go on meanwhile."""
        with self._engine.connect().execution_options(v2x_reading=True) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction; an exception rolls it back."""
        with self._turn, self._engine.begin() as connection:
            yield connection

    @contextmanager
    def exclusive(self, name: str) -> Iterator[sa.Connection]:
        """One transaction that no other one of this `name` overlaps, in any process."""
        with self._turn, self._engine.begin() as connection:
            self.hold(connection, name)
            yield connection

    def hold(self, connection: sa.Connection, name: str) -> None:
        """Makes the rest of a transaction exclusive of those of `name` too; "dispatch" is held before "events"."""
        if self._engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock_number(f"v2x {name}"))))

    def connection(self) -> sa.Connection:
        """A connection of its own, for a lock that lives as long as it does."""
        return self._engine.connect()

    def free_bytes(self) -> int | None:
        """Bytes free where the database grows; None for a server's."""
        if self.folder is None:
            return None
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def close(self) -> None:
        self._engine.dispose()


def lock_number(name: str) -> int:
    """A number for pg_advisory_lock from a name: the first 8 bytes of its SHA-256, signed."""
    import hashlib

    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _sqlite(folder: Path) -> sa.Engine:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.stat()
        if found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) & 0o077:
            folder.chmod(0o700)
    except OSError as problem:
        raise UsageError(f"{folder} is no place for the state: {problem.strerror}", hint="choose --state DIR") from None
    if found.st_uid != os.getuid() and os.getuid() != 0:
        raise UsageError(f"{folder} belongs to another user", hint="choose a folder of your own with --state")
    if _filesystem(folder) in _NETWORK_FILESYSTEMS:
        raise UsageError(
            f"{folder} lies on a network file system, where SQLite's locks do not hold",
            hint="choose a local folder with --state, or PostgreSQL for several workers",
        )
    path = private_file(folder / "v2x.sqlite")
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def connected(raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # transactions begin below, not where the driver thinks they should
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("PRAGMA synchronous=NORMAL")
        raw.execute("PRAGMA busy_timeout=30000")

    @event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        reading = connection.get_execution_options().get("v2x_reading")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def private_file(path: Path) -> Path:
    """`path`, made 0600 where it is not there yet. UsageError for a link in its place, or where nothing can be made."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except OSError as problem:
        cause = "it is a symbolic link" if path.is_symlink() else problem.strerror
        raise UsageError(f"{path} cannot be used: {cause}", hint="choose another folder with --state") from None
    return path


def _filesystem(folder: Path) -> int:
    """The f_type of `folder`'s file system, by the mounts the kernel lists; 0 where it cannot be told."""
    import ctypes

    buffer = ctypes.create_string_buffer(256)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.statfs(os.fsencode(folder), buffer) != 0:
        return 0
    return int.from_bytes(buffer.raw[:8], "little") & 0xFFFFFFFF


def _postgres(location: str) -> sa.Engine:
    parts = urlsplit(location)
    if parts.password is not None:
        raise UsageError(
            "the state's address holds a password",
            hint="leave it out and use PGPASSFILE, ~/.pgpass or PGPASSWORD",
        )
    rest = location.partition(":")[2]
    options: dict[str, Any] = {}
    if "sslmode=" not in parts.query and not _is_local(parts.hostname or ""):
        options["sslmode"] = "verify-full"
    return sa.create_engine(
        f"postgresql+psycopg:{rest}", connect_args={**SILENCE, **options}, pool_pre_ping=True, pool_size=10
    )


def _is_local(host: str) -> bool:
    if not host or host.startswith("/"):
        return True
    try:
        return all(str(found[4][0]) in {"127.0.0.1", "::1"} for found in socket.getaddrinfo(host, None))
    except OSError:
        return False


def _cause(problem: sa.exc.DatabaseError) -> str:
    return str(problem.orig).strip().splitlines()[0] if problem.orig else problem.__class__.__name__
