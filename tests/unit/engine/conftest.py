# SPDX-License-Identifier: Apache-2.0
"""A batch of machines in memory, for engines with a state database."""

import importlib.util
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from v2x.engine.attempt import Patience
from v2x.engine.batches import Batch, Doorways, add
from v2x.engine.durable import Pacing
from v2x.engine.interface import Order
from v2x.engine.store import Store
from v2x.migrate.observe import Silent
from v2x.model.migration import VerifyLevel

_path = Path(__file__).parents[1] / "migrate" / "conftest.py"
_spec = importlib.util.spec_from_file_location("migrate_doubles", _path)
doubles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(doubles)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUICK = Pacing(
    look_seconds=0.02, beat_seconds=0.05, bury_seconds=0.1, patience=Patience(attempts=3, first_seconds=0.01)
)


class Quiet:
    """A watcher that keeps what ended, and hands out what `observer` makes."""

    def __init__(self):
        self.ended = []
        self.observer = Silent

    def begin(self, order):
        return self.observer()

    def end(self, migration):
        self.ended.append(migration)


class Doors:
    def __init__(self, source, target):
        self.given = (source, target)
        self.opened = []

    def source(self, alias):
        self.opened.append(alias)
        return self.given[0]

    def target(self, alias):
        self.opened.append(alias)
        return self.given[1]


class Estate:
    """Machines with one small disk each, in one source and one target in memory."""

    def __init__(self, folder):
        self.folder = folder
        self.content = {"a": doubles.content({0: 1, 2: 2}, 4 * doubles.BLOCK_BYTES)}
        self.machine = doubles.machine_with(self.content)
        self.source = doubles.MemorySource(self.machine, self.content)
        self.target = doubles.MemoryTarget()
        self.doors = Doors(self.source, self.target)
        self.watcher = Quiet()

    def order(self, number, *, host="esx1", sr="sr", **changes):
        machine = replace(self.machine, id=f"m{number}", name=f"web{number}", host=host)
        spec = doubles.spec_of(machine)
        spec = replace(spec, name=f"web{number}", disks=tuple(replace(disk, sr=sr) for disk in spec.disks))
        changes.setdefault("verify", VerifyLevel.FULL)
        return Order(id=f"t{number}", machine=machine, spec=spec, source="src", target="pool", **changes)

    def store(self):
        return Store.open(str(self.folder / "state"))

    def submit(self, store, orders, batch="b1"):
        made = Batch(
            id=batch, plan_id=batch * 8, plan_path=f"{batch}.csv", created=NOW, created_by="root@here",
            doors=Doorways(), tables={},
        )  # fmt: skip
        with store.writing() as connection:
            return add(connection, made, orders)


@pytest.fixture
def estate(tmp_path):
    return Estate(tmp_path)
