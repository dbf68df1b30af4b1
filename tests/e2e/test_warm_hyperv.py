# SPDX-License-Identifier: Apache-2.0
"""Warm migration from a Hyper-V host, under a guest that never stops writing, judged by libvhdi."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.hyperv_images import read_by_libvhdi
from tests.warming import wait_for
from v2x.simulators.hyperv.checkpoints import Checkpoints
from v2x.simulators.hyperv.service import HyperV

ROOT = Path(__file__).parents[2]
MIB = 1 << 20


class Guest(threading.Thread):
    """Writes sectors and trims blocks at seeded places of its first disk for as long as it is on."""

    def __init__(self, served, name, seed):
        super().__init__(daemon=True)
        self.served, self.chance = served, random.Random(seed)
        self.vm = next(one for one in served.estate.machines if one.name == name)
        self.hands = Checkpoints(served.estate, served.place)
        self.ended = threading.Event()
        self.acts = 0

    def run(self):
        while not self.ended.wait(0.05):
            with self.served.lock:
                if self.vm.state != "Running":
                    return
                self.act()

    def act(self):
        path = self.vm.disks[0].path
        size = self.served.estate.images[path.lower()].size
        if self.chance.random() < 0.15:
            self.hands.trim(path, self.chance.randrange(size // MIB))
        else:
            length = self.chance.choice((512, 4096, 64 << 10))
            self.hands.write(path, self.chance.randrange((size - length) // 512) * 512, self.chance.randbytes(length))
        self.acts += 1


@pytest.fixture
def site(bench, tmp_path, monkeypatch):
    with HyperV(tmp_path / "hyperv") as served:
        monkeypatch.setenv("V2X_SOURCE_PASSWORD", served.password)

        class Site:
            hyperv = served

            def words(self, *words):
                shares = [word for rule in served.rules for word in ("--share", rule)]
                return ["--warm", "--source-fingerprint", served.fingerprint, *shares, *words]

            def migrate(self, *words):
                return bench.migrate(served.address, "db01", *self.words(*words))

            def started(self, words):
                surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
                quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                return subprocess.Popen(words, cwd=bench.folder, env=surroundings, **quiet)

            def content(self, guest):
                chain = [served.place(one.path) for one in served.estate.chain(guest.vm.disks[0].path)]
                return read_by_libvhdi(chain)

            def held(self):
                (vdi,) = bench.vdis_of(bench.vm("db01"))
                return vdi.read_bytes()

            def ours(self, guest):
                return [one.name for one in guest.vm.checkpoints if one.name.startswith("v2x ")]

        yield Site()


@pytest.fixture
def guest(site):
    made = Guest(site.hyperv, "db01", 7)
    made.start()
    yield made
    made.ended.set()
    made.join()


def test_what_is_sealed_is_what_the_machine_held_when_it_went_down(bench, site, guest):
    ran = site.migrate("--json", "--verify", "full")
    assert ran.code == 0, ran.err
    assert guest.acts > 5 and guest.vm.state == "Off"
    wanted = site.content(guest)
    assert site.held()[: len(wanted)] == wanted
    assert site.ours(guest) == [], "no checkpoint of ours is left"
    assert ran.json["migrations"][0]["disks"][0]["verified"] == "full"
    assert "changed at the source" in ran.err and "checkpoint" in ran.err
    kinds = {one.kind for one in site.hyperv.ledger.entries}
    assert kinds <= {"login", "message", "script", "checkpoint", "state", "start_action", "role", "priority"}


def test_a_pass_sends_what_changed_and_nothing_else(bench, site):
    """A guest that writes one sector between two passes costs one block of 2 MiB."""
    quiet = Guest(site.hyperv, "db01", 1)
    real = Checkpoints.make

    def made(self, vm, name):
        found = real(self, vm, name)
        quiet.hands.write(vm.disks[0].path, 5 * MIB, b"\x5a" * 512)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "make", made)
        ran = site.migrate("--json")
    assert ran.code == 0, ran.err
    sent = [one.received_bytes for one in bench.pool.ledger.imports]
    assert len(sent) >= 3 and max(sent[1:]) < 2.2 * MIB, sent
    assert site.held()[5 * MIB : 5 * MIB + 512] == b"\x5a" * 512


@pytest.mark.parametrize("setting", ["Disabled", "ProductionOnly"])
def test_a_host_that_makes_no_checkpoint(bench, site, setting):
    quiet = Guest(site.hyperv, "db01", 1)
    quiet.vm.checkpoint_type, quiet.vm.kvp = setting, {}
    ran = site.migrate()
    assert ran.code == 4
    assert "CHECKPOINT-FAILED" in ran.err and "migrate it cold" in ran.err
    assert quiet.vm.state == "Running" and site.ours(quiet) == []


def test_a_checkpoint_that_somebody_removed_costs_a_whole_copy(bench, site, guest):
    real, taken = Checkpoints.make, []

    def made(self, vm, name):
        for one in [one for one in vm.checkpoints if one.name in taken]:
            self.drop(vm, one)
        taken.append(name)
        return real(self, vm, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "make", made)
        ran = site.migrate()
    assert ran.code == 0, ran.err
    assert "copied whole" in ran.err
    wanted = site.content(guest)
    assert site.held()[: len(wanted)] == wanted


def test_a_volume_that_is_almost_full_is_left_alone(bench, site, guest):
    site.hyperv.estate.hosts[0].free = 400 << 30
    ran = site.migrate()
    assert ran.code == 75 and "[SNAPSHOT-ROOM]" in ran.err, ran.err
    assert guest.vm.state == "Running" and site.ours(guest) == []
    site.hyperv.estate.hosts[0].free = 3 << 40
    assert site.migrate().code == 0


def test_killed_again_and_again_it_arrives_all_the_same(bench, site, guest):
    chance = random.Random(3)
    words = [
        sys.executable, "-m", "v2x", "migrate", site.hyperv.address, "db01", "--target", bench.target,
        "--target-fingerprint", bench.pool.fingerprint, "--network", "*=Pool-wide network associated with eth0",
        *site.words(),
    ]  # fmt: skip
    for _ in range(4):
        with site.started(words) as running:
            time.sleep(chance.uniform(2, 5))
            if running.poll() is None:
                os.kill(running.pid, signal.SIGKILL)
    ran = site.migrate()
    assert ran.code == 0, ran.err
    wanted = site.content(guest)
    assert site.held()[: len(wanted)] == wanted
    assert site.ours(guest) == []
    assert bench.leftovers() == []


def test_what_a_killed_run_left_is_found_and_removed(bench, site, guest):
    tag = "0123abcd"
    with site.hyperv.lock:
        guest.hands.make(guest.vm, f"v2x {tag} 1")
        guest.hands.make(guest.vm, "before the update")
    words = ["cleanup", "--source", site.hyperv.address, "--source-fingerprint", site.hyperv.fingerprint]
    listed = bench.v2x(*words, pool=False)
    assert listed.code == 0 and f"v2x {tag} 1" in listed.out
    removed = bench.v2x(*words, "--yes", pool=False)
    assert removed.code == 0, removed.err
    assert [one.name for one in guest.vm.checkpoints] == ["before the update"]


def test_in_a_batch_it_is_kept_near_cut_over_and_brought_back(bench, site, guest):
    pins = ("--source-fingerprint", site.hyperv.fingerprint, "--target-fingerprint", bench.pool.fingerprint)
    shares = [word for rule in site.hyperv.rules for word in ("--share", rule)]
    ran = bench.v2x(
        "plan", "draft", site.hyperv.address, "--target", bench.target, "-o", "plan.csv", "--select", "db01",
        "--network", "*=Pool-wide network associated with eth0", *pins, pool=False,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    plan = bench.folder / "plan.csv"
    plan.write_bytes(plan.read_bytes().replace(b",cold,", b",warm,"))
    words = [sys.executable, "-m", "v2x", "batch", "run", "plan.csv", *pins, *shares, "--sync-every", "0.02", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def row():
        return bench.v2x("batch", "status", "--json", pool=False).json["rows"][0]

    with subprocess.Popen(
        words, env=environment, cwd=bench.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        wait_for(lambda: bench.v2x("batch", "status", pool=False).code == 0, 60, every=0.1)
        wait_for(lambda: running.poll() is not None or row()["attempt"] >= 3, 60, every=0.1)
        assert running.poll() is None, running.communicate()
        assert len(site.ours(guest)) <= 2, "one to be told from, and the one of a pass under way"
        assert bench.v2x("batch", "cutover", "--all", pool=False).code == 0
        _, err = running.communicate(timeout=90)
    assert running.returncode == 0, err
    wanted = site.content(guest)
    assert site.held()[: len(wanted)] == wanted
    assert (guest.vm.state, guest.vm.start_action, site.ours(guest)) == ("Off", "Nothing", [])
    back = bench.v2x("batch", "rollback", "--machine", "db01", *pins, pool=False)
    assert back.code == 0, back.err
    assert (guest.vm.state, guest.vm.start_action) == ("Running", "Start")


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(20))
def test_twenty_seeds(bench, site, seed):
    """A writer, and a run that is killed once somewhere."""
    guest = Guest(site.hyperv, "db01", seed)
    guest.start()
    chance = random.Random(seed)
    words = [
        sys.executable, "-m", "v2x", "migrate", site.hyperv.address, "db01", "--target", bench.target,
        "--target-fingerprint", bench.pool.fingerprint, "--network", "*=Pool-wide network associated with eth0",
        *site.words(),
    ]  # fmt: skip
    with site.started(words) as running:
        time.sleep(chance.uniform(1, 8))
        running.kill()
    ran = site.migrate()
    assert ran.code == 0, ran.err
    wanted = site.content(guest)
    assert site.held()[: len(wanted)] == wanted
    assert site.ours(guest) == [] and bench.leftovers() == []
