# SPDX-License-Identifier: Apache-2.0
"""A worker's lock on PostgreSQL: held while it lives, found by the others once it is gone, also behind a dead line."""

import pytest
import sqlalchemy as sa

from tests.postgres import Postgres
from v2x.engine import tables
from v2x.engine.locks import ServerLock
from v2x.engine.store import SILENCE, Store
from v2x.errors import Conflict


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Postgres(tmp_path_factory.mktemp("pg") / "data") as server:
        opened = Store.open(server.url)
        yield opened
        opened.close()


def test_a_worker_that_is_gone_is_found_by_one_other(store):
    with store.writing() as connection:
        for name in ("a", "b"):
            connection.execute(tables.workers.insert().values(id=name, version="1", started="", seen=""))
    first, second = ServerLock(store, "a"), ServerLock(store, "b")
    with pytest.raises(Conflict, match="runs already"):
        ServerLock(store, "a")
    assert second.dead() == []
    first.release()
    assert second.dead() == ["a"]
    second.buried("a")
    second.release()


def test_a_dead_line_ends_the_worker_before_the_server_gives_it_up(store):
    lock = ServerLock(store, "c")
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
    with lock._lock:
        idle, interval, count = (
            int(lock._connection.execute(sa.select(sa.func.current_setting(name))).scalar_one()) for name in names
        )
        lock._connection.commit()
    lock.release()
    here = SILENCE["keepalives_idle"] + SILENCE["keepalives_interval"] * SILENCE["keepalives_count"]
    assert 0 < here < SILENCE["tcp_user_timeout"] / 1000 + 5 < idle + interval * count <= 60
