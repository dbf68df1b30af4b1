# SPDX-License-Identifier: Apache-2.0
"""A simulated vCenter whose guests never stop writing, beside a simulated pool: what warm migrations are tested on."""

import random
import threading
import time
from collections import Counter
from dataclasses import replace

from tests.vsphere_estate import patterned
from v2x.app import App, Side
from v2x.cli.single import Choices, single_plan
from v2x.engine.orders import work_of
from v2x.model.migration import VerifyLevel
from v2x.simulators.vsphere import DiskSpec, MachineSpec

BLOCK = 64 * 1024
NETWORK = "Pool-wide network associated with eth0"


class Guest(threading.Thread):
    """Writes, zeroes and trims at seeded random places for as long as its machine is on."""

    def __init__(self, vcenter, machine, seed, pause=0.01):
        super().__init__(daemon=True)
        self.vcenter, self.machine, self.pause = vcenter, machine, pause
        self.chance = random.Random(seed)
        self.ended = threading.Event()
        self.acts = 0

    def run(self):
        disks = list(self.vcenter.disks(self.machine).values())
        while not self.ended.wait(self.pause):
            if str(self.machine.values["runtime"].powerState) != "poweredOn":
                return
            disk = self.chance.choice(disks)
            length = self.chance.choice((512, 4096, BLOCK, 3 * BLOCK))
            offset = self.chance.randrange(0, (disk.size_bytes - length) // 512) * 512
            if self.chance.random() < 0.3:
                disk.zero(offset, length)
            else:
                disk.write(offset, self.chance.randbytes(length))
            self.acts += 1


class Site:
    def __init__(self, bench, vcenter):
        self.bench, self.vcenter = bench, vcenter
        self.address = f"vsphere://{vcenter.user}@127.1:{vcenter.port}"
        self.guests = []

    def add(self, name, *sizes, seed=1, pause=0.01, **more):
        images = [patterned(self.bench.folder / f"{name}-{n}.raw", size, seed=seed + n) for n, size in enumerate(sizes)]
        specs = tuple(DiskSpec(image=image, size_bytes=512) for image in images)
        settings = {"power": "poweredOn", "tracking": True, **more}
        machine = self.vcenter.add_vm(MachineSpec(name=name, disks=specs, **settings))
        guest = Guest(self.vcenter, machine, seed, pause)
        self.guests.append(guest)
        guest.start()
        return machine

    def migrate(self, name, *words):
        words = ("--source-fingerprint", self.vcenter.fingerprint, *words)
        return self.bench.migrate(self.address, name, "--warm", *words)

    def identical(self, name, machine):
        held = self.bench.vdis_of(self.bench.vm(name))
        disks = list(self.vcenter.disks(machine).values())
        assert len(held) == len(disks)
        for path, disk in zip(held, disks, strict=True):
            content = path.read_bytes()
            assert content[: disk.size_bytes] == disk.read(0, disk.size_bytes)
            assert not any(content[disk.size_bytes :])

    def calls(self, method):
        return len(self.vcenter.ledger.calls_of(method))

    def tracking(self):
        return [effect.says["wanted"] for effect in self.vcenter.ledger.effects_of("tracking")]

    def close(self):
        for guest in self.guests:
            guest.ended.set()
            guest.join()

    def order(self, name, delta_format="auto", **changes):
        """The order of one warm machine, as `v2x migrate --warm` makes it, and what opens its source and target."""
        pins = {"source_side": Side(fingerprint=self.vcenter.fingerprint)}
        app = App.create(**pins, target_side=Side(fingerprint=self.bench.pool.fingerprint))
        app.delta_format = delta_format
        choices = Choices(source=self.address, target=self.bench.target, vm=name, networks=(f"*={NETWORK}",), warm=True)
        choices = replace(choices, verify=changes.pop("verify", VerifyLevel.FULL))
        plan, _ = single_plan(app, choices)
        (order,) = app.orders(plan)
        return replace(order, **changes), app.doors(plan.sources, plan.targets)

    def work(self, name, **changes):
        """The work of a warm machine, with its own connections, which the caller closes."""
        wanted = {key: changes.pop(key) for key in ("limits", "enable_tracking", "verify") if key in changes}
        delta_format = changes.pop("delta_format", "auto")
        order, doors = self.order(name, delta_format=delta_format, **wanted)
        observer = changes.pop("observer", Heard())
        return work_of(order, doors.source(order.source), doors.target(order.target), observer, **changes)


class Heard:
    """An observer that keeps what it is told."""

    def __init__(self):
        self.warnings = []
        self.read_back = Counter()
        self.activity = {}

    def phase(self, phase): ...

    def disk(self, disk, label, activity, done_bytes, total_bytes):
        self.activity[disk] = activity

    def progress(self, disk, count_bytes):
        if self.activity.get(disk) == "verify":
            self.read_back[disk] += count_bytes

    def warning(self, text):
        self.warnings.append(text)

    def said(self, text):
        return sum(text in warning for warning in self.warnings)


def wait_for(condition, seconds=30, every=0.002):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(every)
