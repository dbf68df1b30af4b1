# SPDX-License-Identifier: Apache-2.0
"""One PostgreSQL state for several batches and workers."""

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.postgres import Postgres
from v2x.engine import dispatch, journal, strain
from v2x.engine.control import Control
from v2x.engine.live import Actor, Ledger
from v2x.engine.store import Store
from v2x.simulators.appliance import ApplianceSpec, DiskSpec, NicSpec, write_ova
from v2x.target.interface import Load

NETWORK = "Pool-wide network associated with eth0"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

_spec = importlib.util.spec_from_file_location(
    "engine_estate", Path(__file__).parents[1] / "unit" / "engine" / "conftest.py"
)
kit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kit)


@pytest.fixture
def state(tmp_path):
    with Postgres(tmp_path / "postgres") as server:
        yield server.url


def test_a_worker_for_one_batch_ends_with_it(bench, raw, state, tmp_path):
    nics = (NicSpec(network=NETWORK, mac="00:50:56:00:00:01"),)
    write_ova(tmp_path / "one.ova", ApplianceSpec(name="one", disks=(DiskSpec(raw=raw("odd")),), nics=nics))
    assert bench.v2x("plan", "draft", "one.ova", "--target", bench.target, "-o", "plan.csv").code == 0
    ran = bench.v2x("batch", "run", "plan.csv", "--state", state, "--json")
    assert ran.code == 0, ran.err
    batch = ran.json["plan_id"][:12]
    ran = bench.v2x("worker", "--batch", batch, "--state", state)
    assert ran.code == 0, ran.err
    assert f"working on batch {batch}" in ran.err
    ran = bench.v2x("worker", "--batch", "zzz", "--state", state)
    assert ran.code == 2
    assert "no batch zzz" in ran.err
    (tmp_path / "v2x.toml").write_text('[guest]\nagent = "gone.deb"\n')
    ran = bench.v2x("worker", "--batch", batch, "--state", state)
    assert ran.code == 2 and "[guest] of v2x.toml: there is no file gone.deb" in ran.err


def test_strain_is_followed_by_all_who_share_the_state(state, tmp_path):
    estate = kit.Estate(tmp_path)
    one, two = Store.open(state), Store.open(state)
    estate.submit(one, [estate.order(n, host=f"esx{n}", pool_host="h1") for n in range(10)])
    with one.exclusive("dispatch") as connection:
        assert len(dispatch.claim(connection, "w1", 99, NOW)) == 8
    actor = Actor(user="u", worker="w1", version="0")
    with one.exclusive("dispatch") as connection:
        found = strain.burdened(dispatch.running_orders(connection, "pool"))
        told = strain.apply(connection, "pool", found, Load(cpu={"h1": 0.99}), NOW)
        one.hold(connection, "events")
        for text, about in told:
            Ledger(one, actor, lambda: NOW).write(connection, "", "", "strain", text, about)
    with two.exclusive("dispatch") as connection:
        assert dispatch.claim(connection, "w2", 99, NOW) == []
    control = Control(two, actor, lambda: NOW)
    (held,) = [row for row in control.status(control.batch()).strain if row.halvings]
    assert (held.key, held.disks) == ("pool-host:pool/h1", 4)
    with two.reading() as connection:
        (event,) = journal.read(connection)
    assert event.fields["kind"] == "strain"
    one.close()
    two.close()
