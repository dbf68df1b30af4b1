# SPDX-License-Identifier: Apache-2.0
"""Warm migration under a guest that never stops writing: what is sealed equals the source, byte for byte."""

import random
import threading
import time

import pytest

from tests.vsphere_estate import patterned
from v2x.model.units import MIB
from v2x.simulators.vsphere import DiskSpec, MachineSpec

BLOCK = 64 * 1024


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


@pytest.fixture
def site(bench, simulated_vsphere, monkeypatch):
    vcenter = simulated_vsphere(estate="empty", password="secret")
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "secret")

    class Site:
        def __init__(self):
            self.bench, self.vcenter = bench, vcenter
            self.address = f"vsphere://{vcenter.user}@127.1:{vcenter.port}"
            self.guests = []

        def add(self, name, *sizes, seed=1, pause=0.01, **more):
            images = [patterned(bench.folder / f"{name}-{n}.raw", size, seed=seed + n) for n, size in enumerate(sizes)]
            specs = tuple(DiskSpec(image=image, size_bytes=512) for image in images)
            settings = {"power": "poweredOn", "tracking": True, **more}
            machine = vcenter.add_vm(MachineSpec(name=name, disks=specs, **settings))
            guest = Guest(vcenter, machine, seed, pause)
            self.guests.append(guest)
            guest.start()
            return machine

        def migrate(self, name, *words):
            return bench.migrate(self.address, name, "--warm", "--source-fingerprint", vcenter.fingerprint, *words)

        def identical(self, name, machine):
            held = bench.vdis_of(bench.vm(name))
            disks = list(vcenter.disks(machine).values())
            assert len(held) == len(disks)
            for path, disk in zip(held, disks, strict=True):
                content = path.read_bytes()
                assert content[: disk.size_bytes] == disk.read(0, disk.size_bytes)
                assert not any(content[disk.size_bytes :])

        def calls(self, method):
            return len(vcenter.ledger.calls_of(method))

    made = Site()
    yield made
    for guest in made.guests:
        guest.ended.set()
        guest.join()


@pytest.mark.parametrize("seed", range(4))
def test_under_a_writer_the_sealed_machine_equals_the_source(site, seed):
    machine = site.add("web01", 24 * MIB, 6 * MIB + 512, seed=seed)
    ran = site.migrate("web01", "--outage", "5")
    assert ran.code == 0, ran.err
    assert site.guests[0].acts > 5
    assert str(machine.values["runtime"].powerState) == "poweredOff"
    site.identical("web01", machine)
    assert not site.bench.leftovers()
    assert site.calls("CreateSnapshot_Task") == site.calls("RemoveSnapshot_Task") >= 3
    assert site.calls("ShutdownGuest") == 1
    assert site.calls("ReconfigVM_Task") == 0, "tracking was on before and stays on"


def test_tracking_is_turned_on_only_where_it_is_allowed_and_off_again(site):
    machine = site.add("web01", 8 * MIB, tracking=False)
    ran = site.migrate("web01")
    assert ran.code == 4
    assert "[NOT-TRACKED]" in ran.err and "--enable-cbt" in ran.err
    ran = site.migrate("web01", "--enable-cbt")
    assert ran.code == 0, ran.err
    assert "change tracking is turned on" in ran.err
    site.identical("web01", machine)
    assert site.calls("ReconfigVM_Task") == 2
    assert not machine.values["config"].changeTrackingEnabled


def test_a_reset_of_tracking_copies_the_disk_whole(site):
    machine = site.add("web01", 8 * MIB, pause=0.05)

    def reset():
        wait_for(lambda: site.calls("RemoveSnapshot_Task") >= 1)
        for disk in site.vcenter.disks(machine).values():
            disk.tracker.reset()

    thread = threading.Thread(target=reset)
    thread.start()
    ran = site.migrate("web01")
    thread.join()
    assert ran.code == 0, ran.err
    site.identical("web01", machine)


def wait_for(condition, seconds=30):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


def test_a_guest_that_does_not_shut_down_goes_on_and_nothing_is_lost(site):
    site.vcenter.settings.guests_ignore_shutdown = True
    machine = site.add("web01", 8 * MIB)
    ran = site.migrate("web01", "--shutdown-minutes", "0.005")
    assert ran.code == 4 and "[GUEST-STILL-ON]" in ran.err
    assert str(machine.values["runtime"].powerState) == "poweredOn"
    assert site.calls("CreateSnapshot_Task") == site.calls("RemoveSnapshot_Task"), "no snapshot stays"
    site.vcenter.settings.guests_ignore_shutdown = False
    ran = site.migrate("web01")
    assert ran.code == 0, ran.err
    site.identical("web01", machine)
