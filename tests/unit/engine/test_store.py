# SPDX-License-Identifier: Apache-2.0
import stat
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from v2x.engine import journal, tables
from v2x.engine.store import StateError, Store
from v2x.errors import UsageError, V2xError


def test_the_folder_is_the_users_alone(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    Store.open(str(folder)).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "v2x.sqlite").stat().st_mode) == 0o600


def test_another_version_is_refused_by_name(tmp_path):
    store = Store.open(str(tmp_path))
    with store.writing() as connection:
        connection.execute(tables.about.update().values(version=99))
    store.close()
    with pytest.raises(StateError, match="version 99"):
        Store.open(str(tmp_path))


def test_what_is_no_database(tmp_path):
    (tmp_path / "v2x.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(V2xError) as refused:
        Store.open(str(tmp_path))
    assert refused.value.code == "STATE"
    with pytest.raises(UsageError):
        Store.open("mysql://u@h/x")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="no place for the state"):
        Store.open(str(tmp_path / "file" / "below"))


def test_a_link_in_the_way_is_not_followed(tmp_path):
    (tmp_path / "v2x.sqlite").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="symbolic link"):
        Store.open(str(tmp_path))
    assert not (tmp_path / "elsewhere").exists()


def test_a_password_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(UsageError) as refused:
        Store.open("postgresql://v2x:hunter2@db/x")
    assert "hunter2" not in refused.value.message + refused.value.hint


def test_a_server_that_does_not_answer_is_named():
    with pytest.raises(V2xError) as refused:
        Store.open("postgresql://v2x@127.0.0.1:1/x")
    assert (refused.value.code, refused.value.exit_code) == ("STATE", 5)


def test_writers_do_not_overlap_and_readers_do_not_wait(tmp_path):
    store = Store.open(str(tmp_path))
    order = []

    def second():
        with store.exclusive("x"):
            order.append("second")

    with store.exclusive("x") as connection:
        thread = threading.Thread(target=second)
        thread.start()
        with store.reading() as view:
            assert view.execute(sa.select(tables.about.c.version)).scalar_one() == tables.VERSION
        connection.execute(tables.limits.insert().values(key="rate", value="1"))
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def entries(store):
    with store.reading() as connection:
        return list(journal.read(connection))


def test_the_chain_of_events_shows_what_was_changed_or_left_out(tmp_path):
    store = Store.open(str(tmp_path))
    for number in range(5):
        with store.exclusive("events") as connection:
            assert journal.append(connection, "b", "r", {"kind": "phase", "text": str(number)}) == number + 1
    assert journal.broken(entries(store)) == ""
    assert journal.broken([one for one in entries(store) if one.number != 3]) == "event 3 is missing"
    with store.writing() as connection:
        connection.execute(
            tables.events.update().where(tables.events.c.number == 4).values(body_json='{"kind":"phase"}')
        )
    assert journal.broken(entries(store)) == "event 4 was changed"


def test_a_network_file_system_is_no_place(tmp_path, monkeypatch):
    monkeypatch.setattr("v2x.engine.store._filesystem", lambda _folder: 0x6969)
    with pytest.raises(UsageError, match="network file system"):
        Store.open(str(tmp_path))


def test_the_file_system_of_a_folder_is_told():
    from v2x.engine.store import _filesystem

    assert _filesystem(Path("/proc")) == 0x9FA0
