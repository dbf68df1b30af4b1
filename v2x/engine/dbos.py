# SPDX-License-Identifier: Apache-2.0
"""The adapter to DBOS Transact, the only module that knows it.

DBOS journals which steps of a row have answered, and continues the rest after a crash. Nothing but ids goes in and
small JSON comes out; a step that ran but was not journalled runs once more, which steps are made for. Its queues,
limits, retries and cancellation are not used: those are v2x's own (docs/adr/0006-durable-engine.md).
"""

import json
import logging
import os
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, Serializer, SetWorkflowID, _serialization
from sqlalchemy import event

from v2x.engine.attempt import Answer, Journal
from v2x.engine.dispatch import Claimed
from v2x.engine.store import StateError, Store, private_file

JOURNAL = "v2x-journal-2"
"""The version of the steps and their order. Rows begun under another one are never continued silently."""
_OPEN = ["PENDING", "ENQUEUED"]
_running: list[Callable[[str, str, int, Journal], None]] = []


class Json(Serializer):
    """Plain JSON. DBOS's own default would run code out of the database."""

    def serialize(self, data: Any) -> str:
        if isinstance(data, BaseException):
            data = {"error": data.__class__.__name__, "text": str(data)}
        return json.dumps(data, separators=(",", ":"))

    def deserialize(self, serialized_data: str) -> Any:
        found = json.loads(serialized_data)
        if isinstance(found, dict) and set(found) == {"error", "text"}:
            return RuntimeError(f"{found['error']}: {found['text']}")
        return found

    def name(self) -> str:
        return "v2x_json"


@DBOS.workflow(name="v2x-migrate-1")
def _migrate(batch: str, row: str, attempt: int) -> None:
    def journal(name: str, step: Callable[[], Answer]) -> Answer:
        return DBOS.run_step({"name": name}, step)

    _running[0](batch, row, attempt, journal)


class DbosEngine:
    """See worker.Durable. One at a time in a process, as DBOS itself."""

    def launch(self, store: Store, executor: str, run: Callable[[str, str, int, Journal], None]) -> None:
        _forget_pickle()
        for name in ("DBOS__VMID", "DBOS__APPVERSION", "DBOS__CLOUD", "DBOS__APPID"):
            os.environ.pop(name, None)
        # It would speak to the stderr that was there when it was last made.
        logging.getLogger("dbos").handlers.clear()
        url = _journal_url(store)
        engine = sa.create_engine(url, **_options(store))
        if store.folder is not None:
            private_file(store.folder / "journal.sqlite")
            _make_wal(engine)
        _refuse_foreign(engine)
        _running[:] = [run]
        config: DBOSConfig = {
            "name": "v2x",
            "system_database_url": url,
            "system_database_engine": engine,
            "executor_id": executor,
            "application_version": JOURNAL,
            "serializer": Json(),
            "log_level": "CRITICAL",
            "console_log_level": "CRITICAL",
            "enable_otlp": False,
        }
        DBOS(config=config)
        DBOS.launch()
        self._refuse_other_versions()

    def start(self, row: Claimed) -> None:
        with SetWorkflowID(f"{row.batch}:{row.id}:{row.attempt}"):
            DBOS.start_workflow(_migrate, row.batch, row.id, row.attempt)

    def alive(self, executor: str) -> set[tuple[str, str, int]]:
        found = DBOS.list_workflows(status=_OPEN, load_input=False, load_output=False)
        return {(batch, row, int(attempt)) for batch, row, attempt in (one.workflow_id.rsplit(":", 2) for one in found)}

    def take_over(self, executor: str) -> None:
        found = DBOS.list_workflows(status="PENDING", executor_id=executor, load_input=False, load_output=False)
        if found:
            DBOS.resume_workflows([one.workflow_id for one in found])

    def close(self) -> None:
        DBOS.destroy(workflow_completion_timeout_sec=3600)
        _running.clear()

    def _refuse_other_versions(self) -> None:
        found = DBOS.list_workflows(status=_OPEN, load_input=False, load_output=False)
        others = sorted({str(one.app_version) for one in found if one.app_version != JOURNAL})
        if others:
            DBOS.destroy()
            raise StateError(
                f"machines of this state were begun by another version of v2x (journal {', '.join(others)})",
                hint="finish them with that version, or choose another --state",
            )


def _journal_url(store: Store) -> str:
    if store.folder is not None:
        return f"sqlite:///{store.folder / 'journal.sqlite'}"
    return "postgresql+psycopg:" + store.url.partition(":")[2]


def _options(store: Store) -> dict[str, Any]:
    if store.folder is not None:
        return {"connect_args": {"timeout": 30, "check_same_thread": False}}
    return {"pool_size": 20, "max_overflow": 40, "pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}


def _make_wal(engine: sa.Engine) -> None:
    @event.listens_for(engine, "connect")
    def connected(raw: Any, _record: Any) -> None:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("PRAGMA synchronous=NORMAL")
        raw.execute("PRAGMA busy_timeout=30000")
        raw.execute("PRAGMA foreign_keys=ON")
        raw.isolation_level = "IMMEDIATE"


class _NoPickle:
    """In the place of the module pickle, in DBOS alone."""

    @staticmethod
    def loads(_data: bytes) -> Any:
        raise StateError(
            "the journal holds a row that v2x did not write (py_pickle)",
            hint="somebody else wrote into the state: do not use it; choose another --state",
        )


def _forget_pickle() -> None:
    """A row that is written after the look at launch, by whoever shares the database, must not run code here either."""
    _serialization.pickle = _NoPickle  # type: ignore[attr-defined, assignment]


def _refuse_foreign(engine: sa.Engine) -> None:
    """StateError when a row of the journal would be read by another serializer than ours: those can run code."""
    schema = None if engine.dialect.name == "sqlite" else "dbos"
    inspector = sa.inspect(engine)
    for name in inspector.get_table_names(schema=schema):
        columns = {column["name"] for column in inspector.get_columns(name, schema=schema)}
        if "serialization" not in columns:
            continue
        table = sa.table(name, sa.column("serialization"), schema=schema)
        wanted = sa.select(table.c.serialization).where(table.c.serialization.is_not(None)).distinct()
        with engine.connect() as connection:
            foreign = sorted(set(connection.execute(wanted).scalars()) - {Json().name()})
        if foreign:
            raise StateError(
                f"the journal holds rows that v2x did not write ({', '.join(map(str, foreign))})",
                hint="somebody else wrote into the state: do not use it; choose another --state",
            )
