# SPDX-License-Identifier: Apache-2.0
"""A batch that goes easy on a pool under strain: the whole program, with the pool's panel as the one who strains it."""

import json
import threading
import time
import urllib.request
from datetime import UTC, datetime

import pytest

from tests.strain_log import judge
from v2x.engine import journal
from v2x.engine.control import Control
from v2x.engine.durable import Pacing
from v2x.engine.live import Actor
from v2x.engine.store import Store
from v2x.model.units import MIB
from v2x.render import batch_text
from v2x.simulators.appliance import ApplianceSpec, DiskSpec, NicSpec, write_ova

NETWORK = "Pool-wide network associated with eth0"
MACHINES = 12


@pytest.fixture
def plan(bench, raw, tmp_path, monkeypatch):
    """A plan of twelve small machines; the pool is looked at every fifth of a second, and reads slowly."""
    monkeypatch.setitem(Pacing.__init__.__kwdefaults__, "strain_seconds", 0.2)
    folder = tmp_path / "exports"
    folder.mkdir()
    disk = raw("odd")
    for number in range(MACHINES):
        nics = (NicSpec(network=NETWORK, mac=f"00:50:56:00:00:{number:02x}"),)
        write_ova(folder / f"m{number}.ova", ApplianceSpec(name=f"m{number}", disks=(DiskSpec(raw=disk),), nics=nics))
    assert bench.v2x("plan", "draft", folder, "--target", bench.target, "-o", "plan.csv").code == 0
    assert bench.v2x("batch", "throttle", "source-host=8", pool=False).code == 0
    bench.pool.settings.read_rate = 4 * MIB
    return "plan.csv"


class Bystander(threading.Thread):
    """Strains the pool until enough was held back, and relieves it then; keeps what status said meanwhile."""

    def __init__(self, bench, folder, strain, relief, falls):
        super().__init__(daemon=True)
        self.bench, self.strain, self.relief, self.falls = bench, strain, relief, falls
        self.store = Store.open(str(folder / "state"))
        self.control = Control(self.store, Actor(user="u", worker="", version="0"), lambda: datetime.now(UTC))
        self.seen, self.text, self.rates = (), "", []

    def order(self, order):
        data = json.dumps({"strain": order}).encode()
        url = f"{self.bench.pool.panel_url}/_faults"
        urllib.request.urlopen(urllib.request.Request(url, data=data, method="POST")).read()

    def entries(self):
        with self.store.reading() as connection:
            return list(journal.read(connection))

    def run(self):
        self.order(self.strain)
        end = time.monotonic() + 60
        while sum(one.fields["kind"] == "strain" for one in self.entries()) < self.falls and time.monotonic() < end:
            time.sleep(0.05)
        status = self.control.status(self.control.batch())
        self.seen, self.text = status.strain, batch_text(status, width=80).decode()
        self.order(self.relief)


def ran(bench, tmp_path, plan, strain, relief, falls=2):
    bystander = Bystander(bench, tmp_path, strain, relief, falls)
    bystander.start()
    done = bench.v2x("batch", "run", plan, "--json")
    bystander.join(10)
    assert done.code == 0, done.err
    assert {one["outcome"] for one in done.json["migrations"]} == {"migrated"}
    assert journal.broken(bystander.entries()) == ""
    return bystander


def test_a_strained_host_gets_fewer_disks_until_it_is_calm(bench, plan, tmp_path):
    host = bench.pool.state.store.refs("host")[0]
    key = f"pool-host:{bench.target}/{bench.pool.state.store.get('host', host, 'uuid')}"
    seen = ran(bench, tmp_path, plan, {"host": 0, "cpu": 0.97}, {"host": 0, "cpu": -1})
    judged = judge(seen.entries(), key)
    assert judged.reductions >= 2 and judged.recoveries >= 1, judged
    assert judged.least <= 2 and judged.begun_after >= 1, judged
    (held,) = [one for one in seen.seen if one.key == key]
    assert held.why == "CPU of its control domain 97 % above 85 %"
    assert held.disks < held.limit == 8
    assert f"held back since {held.since:%Y-%m-%d %H:%M} UTC: host" in seen.text


def test_strained_storage_gets_fewer_disks_too(bench, plan, tmp_path):
    uuid = bench.pool.state.store.get("SR", bench.pool.ref_by_name("SR", "Local storage"), "uuid")
    key = f"sr:{bench.target}/{uuid}"
    strain, relief = {"sr": uuid, "latency": 0.12, "chains": 25}, {"sr": uuid, "latency": 0.001, "chains": 0}
    seen = ran(bench, tmp_path, plan, strain, relief)
    judged = judge(seen.entries(), key)
    assert judged.reductions >= 2 and judged.least <= 2, judged
    (held,) = [one for one in seen.seen if one.key == key]
    assert held.why == "latency 120 ms above 50 ms, chains to coalesce 25 above 20"
    assert held.name == "Local storage"


def test_switched_off_nobody_looks(bench, plan, tmp_path):
    words = ("strain.cpu=0", "strain.latency=0", "strain.chains=0")
    assert bench.v2x("batch", "throttle", *words, pool=False).code == 0
    bench.pool.settings.read_rate = 0
    done = bench.v2x("batch", "run", plan, "--json")
    assert done.code == 0, done.err
    status = bench.v2x("batch", "status", "--json", pool=False).json
    assert status["strain"] == []
