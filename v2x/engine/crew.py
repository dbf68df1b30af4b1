# SPDX-License-Identifier: Apache-2.0
"""The workers of a state database: who is there, under which name, and which of them work on one batch only."""

import getpass
import os
import socket
import uuid

import sqlalchemy as sa

from v2x import __version__
from v2x.engine import strain, tables
from v2x.engine.live import Actor

_workers, _scopes = tables.workers, tables.scopes


def join(connection: sa.Connection, worker: str, batch: str, now: str) -> None:
    """Enters a worker, for one batch or, without one, for all."""
    leave(connection, worker)
    connection.execute(_workers.insert().values(id=worker, version=__version__, started=now, seen=now))
    if batch:
        connection.execute(_scopes.insert().values(worker=worker, batch=batch))


def leave(connection: sa.Connection, worker: str) -> None:
    """Takes out a worker that ended, or died; its rows are another matter."""
    connection.execute(_workers.delete().where(_workers.c.id == worker))
    connection.execute(_scopes.delete().where(_scopes.c.worker == worker))
    strain.give_up_looks(connection, worker)


def working_on(connection: sa.Connection, batch: str) -> tuple[str, ...]:
    """The workers that take rows of this batch."""
    joined = _workers.outerjoin(_scopes, _scopes.c.worker == _workers.c.id)
    wanted = sa.select(_workers.c.id).select_from(joined)
    wanted = wanted.where(_scopes.c.batch.is_(None) | (_scopes.c.batch == batch))
    return tuple(connection.execute(wanted.order_by(_workers.c.started)).scalars())


def worker_name() -> str:
    """A name that no other process has: host, number, and a few random digits."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"


def actor(worker: str) -> Actor:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return Actor(user=f"{user}@{socket.gethostname()}", worker=worker, version=__version__)
