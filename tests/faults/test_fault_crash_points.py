# SPDX-License-Identifier: Apache-2.0
"""kill -9 before, in and after every step, then the same command again: one machine, whole, and nothing left behind.

(architecture.md C3: kill -9 and power loss at every step.) The program ends itself where the test says: V2X_CRASH_AT.
"""

import hashlib
import os
import random
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from tests.e2e.test_warm_hyperv import Guest as HyperVGuest
from tests.hyperv_images import read_by_libvhdi
from tests.vsphere_estate import patterned
from tests.warming import Guest as VsphereGuest
from v2x.migrate.crash import CRASHED
from v2x.migrate.itinerary import COLD, WARM
from v2x.model.migration import Phase
from v2x.model.units import MIB
from v2x.simulators.appliance import ApplianceSpec, NicSpec, write_ova
from v2x.simulators.appliance import DiskSpec as ApplianceDisk
from v2x.simulators.hyperv.service import HyperV
from v2x.simulators.vsphere import DiskSpec, MachineSpec, VsphereSimulator
from v2x.simulators.xapi import Pool

ROOT = Path(__file__).parents[2]
NETWORK = "Pool-wide network associated with eth0"
WITH_A_MIDDLE = ("copy", "sync", "last sync")


def places(itinerary):
    """STEP:WHEN of each step, and of those that send bytes their middle."""
    for step in itinerary:
        if step.phase is Phase.MARK:
            continue  # only where it is asked for
        for when in ("before", "mid", "after"):
            if when != "mid" or step.phase in WITH_A_MIDDLE:
                yield f"{step.phase}:{when}"


class Site:
    """A pool, a folder for XVA files, and runs of the real program against them."""

    def __init__(self, folder, pool):
        self.folder, self.pool = folder, pool
        self.archives = folder / "xva"
        self.archives.mkdir()
        self.words, self.hidden = [], {}

    def target(self, kind):
        if kind == "xva":
            return ["--target", f"xva:{self.archives}"]
        return ["--target", f"xapi://root@{self.pool.address}", "--target-fingerprint", self.pool.fingerprint,
                "--network", f"*={NETWORK}"]  # fmt: skip

    def run(self, kind, crash=""):
        words = [
            sys.executable,
            "-m",
            "v2x",
            "migrate",
            *self.words,
            *self.target(kind),
            *("--start", "--health-minutes", "0.01"),
            "--quiet",
            "--report",
            "r.json",
        ]
        surroundings = {
            **os.environ, "PYTHONPATH": str(ROOT), "V2X_TARGET_PASSWORD": self.pool.password, "V2X_CRASH_AT": crash,
            "HOME": str(self.folder), **self.hidden,
        }  # fmt: skip
        return subprocess.run(words, cwd=self.folder, env=surroundings, capture_output=True, text=True, check=False)

    def disks(self):
        """The content of the one machine's disks on the pool."""
        records = self.pool.records
        (vm,) = [one for one in records("VM").values() if one["name_label"] == "web01" and not one["is_a_snapshot"]]
        vbds = sorted((records("VBD")[ref] for ref in vm["VBDs"]), key=lambda vbd: int(vbd["userdevice"]))
        uuids = [records("VDI")[vbd["VDI"]]["uuid"] for vbd in vbds if vbd["type"] == "Disk"]
        return [self.pool.vdi_path(uuid).read_bytes() for uuid in uuids]

    def unfinished(self):
        """Objects that still carry a claim, or belong to no machine."""
        claims = [
            one["uuid"] for cls in ("VM", "VDI") for one in self.pool.records(cls).values()
            if "v2x-migration" in one["other_config"]
        ]  # fmt: skip
        loose = [
            one for one in self.pool.records("VDI").values() if not one["VBDs"] and "v2x-disk" in one["other_config"]
        ]
        return claims + [one["uuid"] for one in loose]


@pytest.fixture
def site(tmp_path):
    with Pool(tmp_path / "pool", save=False) as pool:
        pool.settings.login_delay = 0
        yield Site(tmp_path, pool)


def digest(*paths):
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


@pytest.fixture
def source(site, tmp_path):
    """A factory by kind: prepares the source, and gives back what to check of it afterwards."""
    opened = []

    def writing(guest):
        def end():
            guest.ended.set()
            guest.join()

        guest.start()
        opened.append(end)

    def ova(_warm):
        raw = tmp_path / "d.raw"
        chance = random.Random(5)
        raw.write_bytes(chance.randbytes(5 * MIB) + bytes(3 * MIB) + chance.randbytes(2 * MIB))
        spec = ApplianceSpec(name="web01", disks=(ApplianceDisk(raw=raw),), nics=(NicSpec(),))
        path = write_ova(tmp_path / "web01.ova", spec).path
        site.words = [str(path)]
        before = digest(path)
        return lambda: [raw.read_bytes()], lambda: digest(path) == before

    def vsphere(warm):
        vcenter = VsphereSimulator(tmp_path / "vsphere", estate="empty", password="secret").start()
        opened.append(vcenter.stop)
        image = patterned(tmp_path / "d.raw", 10 * MIB, seed=3)
        state = {"power": "poweredOn", "tracking": True} if warm else {"power": "poweredOff"}
        machine = vcenter.add_vm(MachineSpec(name="web01", disks=(DiskSpec(image=image, size_bytes=512),), **state))
        address = f"vsphere://{vcenter.user}@127.1:{vcenter.port}"
        site.words = [address, "web01", "--source-fingerprint", vcenter.fingerprint, *(["--warm"] if warm else [])]
        site.hidden = {"V2X_SOURCE_PASSWORD": "secret"}

        if warm:
            writing(VsphereGuest(vcenter, machine, 3))

        def content():
            return [disk.read(0, disk.size_bytes) for disk in vcenter.disks(machine).values()]

        def clean():
            calls = [len(vcenter.ledger.calls_of(name)) for name in ("CreateSnapshot_Task", "RemoveSnapshot_Task")]
            return calls[0] == calls[1] and not vcenter.untouched()

        return content, clean

    def hyperv(warm):
        served = HyperV(tmp_path / "hyperv").start()
        opened.append(served.stop)
        vm = next(one for one in served.estate.machines if one.name == ("db01" if warm else "web01"))
        vm.name = "web01"
        for other in served.estate.machines:
            other.name = other.name if other is vm else f"other {other.name}"
        shares = [word for rule in served.rules for word in ("--share", rule)]
        site.words = [served.address, "web01", "--source-fingerprint", served.fingerprint, *shares]
        site.words += ["--warm"] if warm else []
        site.hidden = {"V2X_SOURCE_PASSWORD": served.password}
        if warm:
            writing(HyperVGuest(served, "web01", 3))

        def content():
            return [
                read_by_libvhdi([served.place(one.path) for one in served.estate.chain(disk.path)]) for disk in vm.disks
            ]

        return content, lambda: not [one for one in vm.checkpoints if one.name.startswith("v2x ")]

    yield lambda kind, warm: {"ova": ova, "vsphere": vsphere, "hyperv": hyperv}[kind](warm)
    for close in reversed(opened):
        close()


def crashed_and_run_again(site, source, kind, target, place, warm):
    content, clean = source(kind, warm)
    first = site.run(target, crash=place)
    assert first.returncode == CRASHED, f"{place} was not passed: {first.stderr}"
    again = site.run(target)
    assert again.returncode == 0, again.stderr
    assert clean(), "the source is as it was, and nothing of ours is left there"
    if target == "xva":
        (archive,) = site.archives.iterdir()
        assert archive.suffix == ".xva", "no half archive stays"
        return
    wanted = content()
    held = site.disks()
    assert [one[: len(other)] for one, other in zip(held, wanted, strict=True)] == wanted
    assert not any(any(one[len(other) :]) for one, other in zip(held, wanted, strict=True))
    assert site.unfinished() == []


COLD_PLACES, WARM_PLACES = list(places(COLD)), list(places(WARM))


@pytest.mark.parametrize("place", ["claim:after", "copy:mid", "seal:after", "health check:before"])
def test_an_appliance_to_a_pool(site, source, place):
    crashed_and_run_again(site, source, "ova", "xapi", place, warm=False)


@pytest.mark.parametrize("place", ["sync:mid", "last sync:after", "seal:after", "start:after"])
def test_a_running_machine_of_vsphere(site, source, place):
    crashed_and_run_again(site, source, "vsphere", "xapi", place, warm=True)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("kind", "target", "place"), [*product(("ova", "vsphere", "hyperv"), ("xapi", "xva"), COLD_PLACES)]
)
def test_every_place_of_a_cold_migration(site, source, kind, target, place):
    crashed_and_run_again(site, source, kind, target, place, warm=False)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("kind", "place"), [*product(("vsphere", "hyperv"), WARM_PLACES)])
def test_every_place_of_a_warm_migration(site, source, kind, place):
    crashed_and_run_again(site, source, kind, "xapi", place, warm=True)
