# SPDX-License-Identifier: Apache-2.0
"""Each command that clears away, beside clones and snapshots that users made, and beside machines that are through.

A user's copy carries all tags of what it was made of, and a machine that was migrated before is sealed and runs: none
of them may be touched by cleanup, cancel, discard, rollback, finalize, the end of a test cutover, or another run.
"""

import signal

import pytest

from tests.e2e.test_cutover_test import Replication
from tests.e2e.test_warm import called
from v2x.model.units import MIB
from v2x.simulators.vsphere import snapshots

pytestmark = pytest.mark.timeout(300)
NULL = "OpaqueRef:NULL"


class Users:
    """What people made on the pool and at the source, to the byte."""

    def __init__(self, pool):
        self.pool, self.vms, self.vdis = pool, [], []

    def copy_all(self, name):
        """Every way to copy a VM and its disks, of one that may not be copied for now as well."""
        pool = self.pool
        vm = self.found(name)
        called(pool, "VM.set_blocked_operations", vm, {})
        if pool.records("VM")[vm]["power_state"] == "Running":
            called(pool, "VM.hard_shutdown", vm)
        made = [
            called(pool, "VM.clone", vm, f"clone of {name}"),
            called(pool, "VM.snapshot", vm, f"snapshot of {name}"),
            called(pool, "VM.copy", vm, f"copy of {name}", NULL),
        ]
        for disk in self.disks(vm):
            self.vdis += [called(pool, method, disk, {}) for method in ("VDI.clone", "VDI.snapshot")]
        for ref in made:
            self.keep(ref)

    def found(self, name):
        """The machine of this name, which begins with a mark while it is not whole."""
        vms = self.pool.records("VM").items()
        (ref,) = [
            ref
            for ref, one in vms
            if one["name_label"] == name or (one["name_label"].endswith(f"] {name}") and ref not in self.vms)
        ]
        return ref

    def keep(self, vm):
        self.vms.append(vm)
        self.vdis += self.disks(vm)

    def disks(self, vm):
        vbds = self.pool.records("VBD")
        held = [vbds[ref] for ref in self.pool.records("VM")[vm]["VBDs"]]
        return [one["VDI"] for one in held if one["type"] == "Disk"]

    def remember(self):
        self.before = self.now()

    def now(self):
        vms, vdis = self.pool.records("VM"), self.pool.records("VDI")
        shown = ("name_label", "power_state", "other_config", "VBDs", "VIFs", "blocked_operations", "is_a_snapshot")
        told = {ref: {name: vms[ref][name] for name in shown} for ref in self.vms}
        disks = {ref: (vdis[ref]["other_config"], vdis[ref]["VBDs"]) for ref in self.vdis}
        return told, disks, {ref: self.pool.vdi_path(vdis[ref]["uuid"]).read_bytes() for ref in self.vdis}

    def check(self):
        """None is gone, none is another; a KeyError is one that is gone."""
        assert self.now() == self.before


@pytest.fixture
def world(site):
    """A machine that was migrated before and runs, one that is being replicated, and copies of both."""
    site.add("done01", 4 * MIB, power="poweredOff")
    pins = ("--source-fingerprint", site.vcenter.fingerprint)
    ran = site.bench.migrate(site.address, "done01", *pins, "--start", "--health-minutes", "0.01")
    assert ran.code == 0, ran.err
    site.vcenter.machine("done01").values["config"].template = True  # no row of the plan
    made = Replication(site, "web01")
    made.users = Users(site.bench.pool)
    made.users.copy_all("web01")
    done = site.bench.pool.ref_by_name("VM", "done01")
    made.users.copy_all("done01")
    called(site.bench.pool, "VM.start", done, False, False)
    made.users.keep(done)
    state = site.vcenter.state
    with state.store.lock:
        snapshots.take(state, made.machines["web01"], "v2x: before the update", "by hand", quiesced=False)
    yield made
    made.running.kill()
    made.running.communicate()


def kill(world):
    world.running.send_signal(signal.SIGKILL)
    world.running.communicate()


def clean_up(world):
    """Of what a killed run left, on both sides."""
    kill(world)
    bench, site = world.bench, world.site
    source = ("--source", site.address, "--source-fingerprint", site.vcenter.fingerprint)
    ran = bench.v2x("cleanup", *source, "--target", bench.target, "--yes")
    assert ran.code == 0, ran.err
    assert "removed: web01" in ran.out or "removed: [v2x" in ran.out, ran.out
    assert not bench.leftovers_of_ours()


def cancel(world):
    assert world.v2x("cancel", "--machine", "web01").code == 0
    world.running.communicate(timeout=150)
    assert not world.bench.leftovers_of_ours()


def roll_back_and_discard(world):
    kill(world)
    pins = ("--source-fingerprint", world.site.vcenter.fingerprint, *world.pins)
    ran = world.v2x("rollback", "--machine", "web01", "--discard", *pins)
    assert ran.code == 0, ran.err
    assert not world.bench.leftovers_of_ours()


def cut_over(world):
    """To its end, which is another run over what users copied."""
    assert world.v2x("cutover", "--all").code == 0
    _, err = world.running.communicate(timeout=150)
    assert world.running.returncode == 0, err
    world.site.identical("web01", world.machines["web01"])


def roll_back_what_is_through(world):
    """And a clone of the machine that is through by then stays as well."""
    cut_over(world)
    world.users.copy_all("web01")
    world.users.remember()
    pins = ("--source-fingerprint", world.site.vcenter.fingerprint, *world.pins)
    ran = world.v2x("rollback", "--machine", "web01", *pins)
    assert ran.code == 0, ran.err
    world.users.check()
    ran = world.v2x("rollback", "--machine", "web01", "--discard", *pins)
    assert ran.code == 4 and "[HAS-SNAPSHOTS]" in ran.err, "a user's snapshot would go with it"


def finalize(world):
    cut_over(world)
    world.users.copy_all("web01")
    world.users.keep(world.bench.pool.ref_by_name("VM", "web01"))
    world.users.remember()
    ran = world.v2x("finalize", "--machine", "web01")
    assert ran.code == 0, ran.err


def end_the_test(world):
    ran = world.v2x("test", "--all")
    assert ran.code == 0, ran.err
    world.users.copy_all("[test] web01")
    world.users.remember()
    ran = world.v2x("test", "--end")
    assert ran.code == 0, ran.err
    names = {one["name_label"] for one in world.bench.pool.records("VM").values()}
    assert "[test] web01" not in names and "clone of [test] web01" in names


@pytest.mark.parametrize(
    "command",
    [
        clean_up,
        pytest.param(cancel, marks=pytest.mark.slow),
        roll_back_and_discard,
        pytest.param(cut_over, marks=pytest.mark.slow),
        roll_back_what_is_through,
        pytest.param(finalize, marks=pytest.mark.slow),
        end_the_test,
    ],
    ids=lambda one: one.__name__,
)
def test_what_users_made_and_what_is_through_stays(world, command):
    world.users.remember()
    users = world.users.vms, world.users.vdis

    def ours():
        vms = [one for ref, one in world.bench.pool.records("VM").items() if ref not in users[0]]
        vdis = [one for ref, one in world.bench.pool.records("VDI").items() if ref not in users[1]]
        return [one["name_label"] for one in (*vms, *vdis) if "v2x-migration" in one["other_config"]]

    world.bench.leftovers_of_ours = ours
    command(world)
    world.users.check()
    (left,) = world.machines["web01"].values["snapshot"].rootSnapshotList
    assert left.name == "v2x: before the update", "somebody else's snapshot at the source"
