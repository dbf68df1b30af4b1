# SPDX-License-Identifier: Apache-2.0
"""Runs a batch of machines in memory through the durable engine, and prints what the engine itself cost.

engine_of_many.py FOLDER COUNT
"""

import importlib.util
import json
import resource
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from v2x.engine import batches, journal, slots
from v2x.engine.dbos import DbosEngine
from v2x.engine.worker import Worker
from v2x.model.migration import VerifyLevel

ROOT = Path(__file__).parents[3]
LIMIT = 4


def kit():
    spec = importlib.util.spec_from_file_location("engine_kit", ROOT / "tests/unit/engine/conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def most_at_once(store, hosts):
    """From the event log alone: how many machines of one host were under way at the same time, at most."""
    with store.reading() as connection:
        entries = list(journal.read(connection))
    assert not journal.broken(entries)
    running, peak = Counter(), 0
    begun = set()
    for entry in entries:
        kind, host = entry.fields["kind"], hosts.get(entry.row)
        if kind == "phase" and entry.row not in begun:
            begun.add(entry.row)
            running[host] += 1
        elif kind == "outcome":
            running[host] -= 1
        peak = max(peak, running[host])
    return peak


def main(folder: str, count: str) -> None:
    made = kit()
    doubles = made.doubles

    class Sink:
        """Takes blocks and keeps none."""

        block, sent_bytes, segments = doubles.BLOCK_BYTES, 0, 0

        def __init__(self, vdi, point):
            self.vdi, self.point = vdi, point

        def write(self, number, data):
            self.sent_bytes += len(data)

        def commit(self):
            self.vdi.mark, self.vdi.point, self.segments = doubles.BLOCK_BYTES, self.point, 1
            return self.vdi.mark

        def abort(self): ...

    class Light(doubles.MemoryTarget):
        """Holds no bytes: what is measured is the engine."""

        def _vdi(self, size):
            self.made += 1
            made = self.vdis[f"vdi{self.made}"] = doubles.Vdi(f"vdi{self.made}", bytearray())
            return made

        def claim(self, spec, tag):
            made = super().claim(spec, tag)
            sized = tuple(replace(disk, size_bytes=doubles.BLOCK_BYTES) for disk in made.disks)
            self.claims[tag] = replace(made, disks=sized)
            return self.claims[tag]

        def writer(self, claim, disk, blocks, point):
            return Sink(self.vdis[disk.id], point)

        def facts(self):
            return doubles.TargetFacts(kind="memory", address="m", taken_at=doubles.NOW)

    class Forgetful(doubles.MemorySource):
        def reader(self, machine, disk, at):
            return doubles.MemoryReader(self.content[disk.id])

    estate = made.Estate(Path(folder))
    estate.content = {"a": doubles.content({0: 1}, 4096)}
    estate.machine = doubles.machine_with(estate.content)
    source, target = Forgetful(estate.machine, estate.content), Light()
    doors = made.Doors(source, target)
    store = estate.store()
    orders = [estate.order(number, host=f"esx{number % 10}", verify=VerifyLevel.NONE) for number in range(int(count))]
    estate.submit(store, orders)
    with store.writing() as connection:
        for key, value in {"source-host": str(LIMIT), "pool-host": "0", "sr": "0", "total": "0"}.items():
            slots.set_limit(connection, key, value)

    class Nobody(made.Quiet):
        def end(self, migration): ...

    worker = Worker(store, DbosEngine(), lambda _batch: doors, Nobody(), pacing=made.QUICK, rows_at_once=32)
    wall, cpu = time.monotonic(), time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    worker.run("b1")
    found = {
        "before_mib": before,
        "wall_seconds": round(time.monotonic() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    found |= {
        "most_of_one_host": most_at_once(store, {order.id: order.machine.host for order in orders}),
    }
    with store.reading() as connection:
        found["outcomes"] = Counter(one.outcome for one in batches.migrations(connection, "b1"))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
