# SPDX-License-Identifier: Apache-2.0
"""Rows that somebody else wrote into the state database: row 18 of the threat table.

Whoever can write there decides what runs, which is why the folder is private; but data must not become code.
"""

import base64
import os
import pickle
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from v2x.engine import tables
from v2x.engine.dbos import DbosEngine, Json
from v2x.engine.store import StateError, Store
from v2x.errors import V2xError

EXECUTOR = "here"


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def fell(tmp_path: Path) -> Path:
    """What is there if something of the database was run."""
    return tmp_path / "fell"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.open(str(tmp_path / "state"))
    yield made
    made.close()


def launched(store: Store) -> DbosEngine:
    engine = DbosEngine()
    engine.launch(store, EXECUTOR, lambda *_: None)
    return engine


def planted(store: Store, fell: Path, serialization: str | None, status: str = "PENDING", id: str = "b:r:1") -> str:
    """A journal with a row whose input is a pickle; gives the pickle, which works."""
    assert store.folder is not None
    bomb = base64.b64encode(pickle.dumps(Bomb(fell))).decode()
    with sqlite3.connect(store.folder / "journal.sqlite") as raw:
        columns = {row[1] for row in raw.execute("PRAGMA table_info(workflow_status)")}
        row = {
            "workflow_uuid": id, "status": status, "name": "v2x-migrate-1", "executor_id": EXECUTOR,
            "application_version": "v2x-journal-2", "inputs": bomb, "output": bomb, "error": bomb,
            "created_at": 1, "updated_at": 1, "serialization": serialization, "recovery_attempts": 0,
        }  # fmt: skip
        row = {name: value for name, value in row.items() if name in columns}
        assert {"inputs", "serialization"} <= set(row), columns
        marks = ", ".join("?" * len(row))
        raw.execute(f"INSERT INTO workflow_status ({', '.join(row)}) VALUES ({marks})", list(row.values()))
    return bomb


@pytest.mark.parametrize(
    ("serialization", "status"),
    [
        ("py_pickle", "PENDING"), ("py_pickle", "SUCCESS"), ("py_pickle", "ERROR"), ("portable_json", "PENDING"),
        ("other", "ENQUEUED"), ("", "SUCCESS"),
    ],
)  # fmt: skip
def test_a_row_of_another_serializer_is_refused_at_launch(
    store: Store, fell: Path, serialization: str, status: str
) -> None:
    launched(store).close()
    bomb = planted(store, fell, serialization, status)
    with pytest.raises(StateError, match="rows that v2x did not write"):
        launched(store)
    assert not fell.exists()
    pickle.loads(base64.b64decode(bomb))
    assert fell.exists(), "the bomb is none"


def test_a_pickle_that_says_it_is_ours_is_no_json(store: Store, fell: Path) -> None:
    launched(store).close()
    planted(store, fell, Json().name())
    engine = launched(store)
    try:
        engine.take_over(EXECUTOR)
    except Exception as problem:
        assert not isinstance(problem, OSError)
    finally:
        engine.close()
    assert not fell.exists()


@pytest.mark.parametrize("serialization", ["py_pickle", None])
def test_a_row_that_comes_after_the_launch_runs_nothing(store: Store, fell: Path, serialization: str | None) -> None:
    """As of whoever shares a database: the look at launch was before it. Its queue takes the row up, and reads it."""
    engine = launched(store)
    try:
        planted(store, fell, serialization)
        engine.take_over(EXECUTOR)
        deadline = time.monotonic() + 8
        while not fell.exists() and _status(store) in {"PENDING", "ENQUEUED"} and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not fell.exists()
        assert _status(store) != "SUCCESS"
    finally:
        engine.close()
    assert not fell.exists()


def _status(store: Store) -> str:
    assert store.folder is not None
    with sqlite3.connect(store.folder / "journal.sqlite") as raw:
        return str(raw.execute("SELECT status FROM workflow_status").fetchone()[0])


def test_the_state_is_private(store: Store) -> None:
    assert store.folder is not None
    launched(store).close()
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    for path in store.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_state_of_another_version_is_refused(store: Store, tmp_path: Path) -> None:
    assert store.folder is not None
    with store.writing() as connection:
        connection.execute(tables.about.update().values(version=tables.VERSION + 1))
    with pytest.raises(StateError, match="version"):
        Store.open(str(tmp_path / "state"))


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"\xff" * 4096, b"not a database" * 99])
def test_a_database_that_is_none(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    for name in ("state.sqlite", "v2x.sqlite", "journal.sqlite"):
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    try:
        Store.open(str(folder)).close()
    except V2xError as problem:
        assert "\n" not in problem.message


def test_a_state_folder_that_is_a_link_or_open_to_others(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    try:
        made = Store.open(str(tmp_path / "open"))
    except V2xError as problem:
        assert "\n" not in problem.message
    else:
        made.close()
        assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o700
