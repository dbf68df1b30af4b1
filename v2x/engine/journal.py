# SPDX-License-Identifier: Apache-2.0
"""The append-only log of events. Each carries the hash of the one before it, so that none can be changed or left out.

An event says when, which batch and machine, what, and who: the user of the operating system, the worker, the accounts
at source and target, the plan, and the version of v2x.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from v2x.engine import tables
from v2x.engine.interface import Event

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event as it is stored: `hash` is the SHA-256 of `previous`, a newline and `body`."""

    number: int
    batch: str
    row: str
    body: str
    previous: str
    hash: str

    @property
    def fields(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.body)
        return found

    def event(self) -> Event:
        fields = self.fields
        return Event(
            number=self.number,
            time=datetime.fromisoformat(fields["time"]),
            migration=self.row,
            kind=fields["kind"],
            text=fields["text"],
        )


def append(connection: sa.Connection, batch: str, row: str, fields: Mapping[str, str]) -> int:
    """Adds one event; the caller's transaction must exclude other appends. Returns its number."""
    last = connection.execute(
        sa.select(tables.events.c.number, tables.events.c.hash).order_by(tables.events.c.number.desc()).limit(1)
    ).first()
    number, previous = (last[0] + 1, last[1]) if last else (1, GENESIS)
    body = json.dumps({"number": number, "batch": batch, "row": row, **fields}, ensure_ascii=False, sort_keys=True)
    connection.execute(
        tables.events.insert().values(
            number=number, batch=batch, row=row, body_json=body, previous=previous, hash=chained(previous, body)
        )
    )
    return int(number)


def chained(previous: str, body: str) -> str:
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()


def read(connection: sa.Connection, batch: str = "", since: int = 0) -> Iterator[Entry]:
    """Events above number `since`, of one batch or all, in order."""
    wanted = sa.select(tables.events).where(tables.events.c.number > since).order_by(tables.events.c.number)
    if batch:
        wanted = wanted.where(tables.events.c.batch == batch)
    for number, of_batch, row, body, previous, digest in connection.execute(wanted):
        yield Entry(number=number, batch=of_batch, row=row, body=body, previous=previous, hash=digest)


def broken(entries: Iterable[Entry]) -> str:
    """What is wrong with a complete chain of entries, or an empty text."""
    previous, number = GENESIS, 0
    for entry in entries:
        if entry.number != number + 1:
            return f"event {number + 1} is missing"
        if entry.previous != previous or entry.hash != chained(previous, entry.body):
            return f"event {entry.number} was changed"
        previous, number = entry.hash, entry.number
    return ""
