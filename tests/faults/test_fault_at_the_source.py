# SPDX-License-Identifier: Apache-2.0
"""What may fail at a source while a machine is migrated: snapshots, sessions, tasks, and the machine itself.

(architecture.md C3; which row each test stands for is in docs/failure-modes.md.)
"""

import signal
import threading

import pytest

from tests.e2e.test_warm import drafted, process
from tests.warming import NETWORK, wait_for
from v2x.model.units import MIB
from v2x.simulators.vsphere import events, snapshots
from v2x.sources.vsphere.transports import following


def pins(site):
    return ("--source-fingerprint", site.vcenter.fingerprint, "--target-fingerprint", site.bench.pool.fingerprint)


def single(site, *words):
    target = ("--target", site.bench.target, "--network", f"*={NETWORK}")
    return ("migrate", site.address, "web01", *words, *target, *pins(site), "--quiet")


def nothing(site, machine):
    """Neither side has anything of the migration, and the machine runs on."""
    assert "snapshot" not in machine.values
    assert not site.bench.leftovers()
    assert str(machine.values["runtime"].powerState) == "poweredOn"


@pytest.mark.parametrize("fault", ["vim.fault.GenericVmConfigFault", "vmodl.fault.RequestCanceled"])
def test_a_snapshot_that_cannot_be_made_fails_the_machine_and_leaves_nothing(site, fault):
    """RequestCanceled is an administrator who cancels the task."""
    machine = site.add("web01", 6 * MIB)
    site.vcenter.faults.arm("fail_task", target="CreateSnapshot_Task", name=fault, times=-1)
    ran = site.migrate("web01")
    assert ran.code == 4, ran.err
    assert "web01" in ran.err and "snapshot" in ran.err and "Traceback" not in ran.err
    nothing(site, machine)
    assert site.calls("CreateSnapshot_Task") <= 3, "it is not hammered"
    site.vcenter.faults.clear()
    ran = site.migrate("web01")
    assert ran.code == 0, ran.err
    site.identical("web01", machine)


def test_a_guest_that_cannot_quiesce_is_frozen_once_more_without(site):
    machine = site.add("web01", 6 * MIB)
    site.vcenter.faults.arm("quiesce", target="web01", times=-1)
    ran = site.migrate("web01", "--quiesce")
    assert ran.code == 0, ran.err
    assert "could not be quiesced" in ran.err
    site.identical("web01", machine)
    assert "snapshot" not in machine.values


def test_a_snapshot_that_cannot_be_removed_does_not_undo_a_machine_that_is_through(site):
    """The machine is done, with a warning; the snapshot is found by its name and removed by cleanup."""
    machine = site.add("web01", 6 * MIB)
    site.guests[0].ended.set()
    site.guests[0].join()
    words = ("migrate", site.address, "web01", "--running", "snapshot", "--network", f"*={NETWORK}")
    words += ("--target", site.bench.target, "--source-fingerprint", site.vcenter.fingerprint)
    site.vcenter.faults.arm("fail_task", target="RemoveSnapshot_Task", name="vim.fault.GenericVmConfigFault", times=-1)
    ran = site.bench.v2x(*words, "--json")
    assert ran.code == 0 and ran.json["migrations"][0]["outcome"] == "migrated", ran.out
    vm = site.bench.vm("web01")
    assert vm["blocked_operations"] == {}, "it is whole"
    site.identical("web01", machine)
    assert "snapshot" in ran.err and "v2x cleanup" in ran.err
    source = ("--source", site.address, "--source-fingerprint", site.vcenter.fingerprint)
    others = site.vcenter.state
    with others.store.lock:
        snapshots.take(others, machine, "before the update", "", quiesced=False)
    site.vcenter.faults.clear()
    ran = site.bench.v2x("cleanup", *source, "--yes", pool=False)
    assert ran.code == 0 and "removed: web01" in ran.out, ran.out + ran.err
    (left,) = machine.values["snapshot"].rootSnapshotList
    assert left.name == "before the update", "somebody else's stays"


def test_a_snapshot_that_somebody_removed_is_taken_anew_and_the_disk_copied_again(site):
    """The copy was of that moment; what an earlier run sent of it is not mixed with another."""
    machine = site.add("web01", 24 * MIB, pause=0.01)
    site.bench.pool.settings.read_rate = 6 * MIB
    words = single(site, "--running", "snapshot")
    running = process(site, *words)
    wait_for(lambda: any(one.received_bytes > MIB for one in site.bench.pool.ledger.imports), 60)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    state = site.vcenter.state
    with state.store.lock:
        (node,) = machine.values["snapshot"].rootSnapshotList
        snapshots.remove(state, state.store.get(node.snapshot), False)
    site.bench.pool.settings.read_rate = 0
    site.guests[0].ended.set()
    site.guests[0].join()
    again = process(site, *words)
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    site.identical("web01", machine)
    assert "snapshot" not in machine.values and not site.bench.leftovers()


class Meddler(threading.Thread):
    """Somebody who removes a snapshot of the machine, by its name's beginning, when some of a disk has been read."""

    def __init__(self, site, machine, name):
        super().__init__(daemon=True)
        self.site, self.machine, self.name, self.done = site, machine, name, False
        site.vcenter.settings.folder_rate = MIB
        self.start()

    def run(self):
        transfers = self.site.vcenter.ledger.transfers
        wait_for(lambda: sum(one.sent_bytes for one in list(transfers)) > 2 * MIB, 90)
        state = self.site.vcenter.state
        with state.store.lock:
            held = snapshots.tree_nodes(self.machine.values["snapshot"])
            (node,) = [one for one in held if one.name.startswith(self.name)]
            snapshots.remove(state, state.store.get(node.snapshot), False)
            snapshots.consolidate(state, self.machine)
        self.site.vcenter.settings.folder_rate = 0
        self.done = True


@pytest.mark.parametrize("warm", [True, False])
def test_a_snapshot_of_others_that_is_removed_in_the_middle_of_a_pass_costs_nothing(site, warm):
    """The files below ours are merged and go; what ours keeps is read on from where it lies then."""
    machine = site.add("web01", 32 * MIB, pause=0.005)
    state = site.vcenter.state
    taken = state.store.get(snapshots.take(state, machine, "before the update", "", quiesced=False))
    wait_for(lambda: site.guests[0].acts > 100)
    (disk,) = site.vcenter.disks(machine).values()
    files = {layer.path for layer in disk.layers}
    meddler = Meddler(site, machine, "before the update")
    ran = site.bench.v2x(*single(site, *(("--warm",) if warm else ("--running", "snapshot"))), pool=False)
    meddler.join()
    assert ran.code == 0, ran.err
    assert meddler.done and taken.moid not in str(machine.values.get("snapshot"))
    assert any(not path.exists() for path in files), "a file of the chain has gone"
    if warm:
        site.identical("web01", machine)
    assert not site.bench.leftovers()


def test_our_snapshot_that_is_removed_in_the_middle_of_a_warm_pass_is_taken_anew(site, monkeypatch):
    """Its files take what the guest writes then: all of that has changed since, and the next pass brings it."""
    monkeypatch.setattr(following, "_LOOK_EVERY_SECONDS", 0.0)
    machine = site.add("web01", 32 * MIB, pause=0.002)
    meddler = Meddler(site, machine, "v2x ")
    ran = site.bench.v2x(*single(site, "--warm")[:-1], pool=False)
    meddler.join()
    assert ran.code == 0 and meddler.done, ran.err
    assert "was removed; the pass is made anew" in ran.err, ran.err
    site.identical("web01", machine)
    assert "snapshot" not in machine.values and not site.bench.leftovers()


def test_our_snapshot_that_is_removed_under_a_cold_copy_is_never_sealed(site):
    machine = site.add("web01", 24 * MIB, pause=0.002)
    meddler = Meddler(site, machine, "v2x ")
    words = single(site, "--running", "snapshot")
    ran = site.bench.v2x(*words, pool=False)
    meddler.join()
    assert meddler.done and ran.code == 4, ran.err
    assert "[SOURCE-CHANGED]" in ran.err or "[SOURCE-GONE]" in ran.err, ran.err
    site.guests[0].ended.set()
    site.guests[0].join()
    ran = site.bench.v2x(*words, pool=False)
    assert ran.code == 0, ran.err
    site.identical("web01", machine)
    assert "snapshot" not in machine.values and not site.bench.leftovers()


@pytest.mark.slow
def test_an_export_of_a_killed_run_is_waited_for_until_its_lease_ends(site):
    """vSphere holds the machine for its lease, which nobody keeps alive any more."""
    site.vcenter.settings.lease_timeout = 40.0
    machine = site.add("web01", 12 * MIB, power="poweredOff")
    site.bench.pool.settings.read_rate = MIB
    words = single(site, "--transport", "nfc")
    running = process(site, *words)
    wait_for(lambda: any(one.received_bytes for one in site.bench.pool.ledger.imports), 60)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    site.bench.pool.settings.read_rate = 0
    patience = ("--backup-wait", "0.1")
    loud = [word for word in words if word != "--quiet"]
    in_vain = process(site, *loud, *patience)
    _, err = in_vain.communicate(timeout=60)
    assert in_vain.returncode == 75 and "[BUSY]" in err and "same command continues" in err, err
    assert "another task of the machine is running" in err and "waited for 0.1 minutes" in err
    again = process(site, *words)
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    site.identical("web01", machine)
    assert not site.bench.leftovers()


def test_an_export_of_a_killed_warm_run_is_waited_for_before_its_snapshot_is_removed(site):
    """The pass that follows finds the snapshot of the killed one, which vSphere does not remove while it is read."""
    site.vcenter.settings.lease_timeout = 40.0
    machine = site.add("web01", 12 * MIB, pause=0.05)
    site.bench.pool.settings.read_rate = MIB
    words = (*single(site, "--warm", "--enable-cbt"), "--transport", "nfc")
    running = process(site, *words)
    wait_for(lambda: any(one.received_bytes for one in site.bench.pool.ledger.imports), 60)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    site.bench.pool.settings.read_rate = 0
    site.guests[0].ended.set()
    again = process(site, *words)
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    site.identical("web01", machine)
    assert not site.bench.leftovers() and "snapshot" not in machine.values


@pytest.mark.parametrize("after", [10, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 25))])
def test_sessions_that_end_at_the_nth_call_are_opened_again(site, after):
    machine = site.add("web01", 6 * MIB)
    for more in (0, 7, 20):
        site.vcenter.faults.arm("lose_session", after=after + more)
    ran = site.migrate("web01")
    assert ran.code == 0, ran.err
    site.identical("web01", machine)


def test_a_machine_that_is_deleted_meanwhile_fails_its_row_and_its_claim_stays_until_told(site):
    gone, other = site.add("web01", 6 * MIB, pause=0.05), site.add("db01", 6 * MIB, pause=0.05)
    drafted(site, *pins(site))
    running = process(site, "batch", "run", "plan.csv", *pins(site), "--sync-every", "0.02", "--quiet")

    def rows():
        ran = site.bench.v2x("batch", "status", "--json", pool=False)
        return {row["migration"]["machine_name"]: row for row in ran.json["rows"]} if ran.code == 0 else {}

    wait_for(lambda: rows() and all(row["attempt"] > 1 for row in rows().values()), 120, every=0.3)
    for one in site.guests:
        one.ended.set()
        one.join()
    events.delete(site.vcenter.state, gone)
    wait_for(lambda: rows()["web01"]["state"] == "ended", 60, every=0.3)
    row = rows()["web01"]["migration"]
    assert row["outcome"] == "failed" and row["failure"]["code"] == "SOURCE-GONE", row
    assert len(site.bench.leftovers()) >= 4, "both claims stand, with their disks"
    assert site.bench.v2x("batch", "cutover", "--machine", "db01", pool=False).code == 0
    _, err = running.communicate(timeout=120)
    assert running.returncode == 4, err
    assert rows()["db01"]["migration"]["failure"] is None, rows()["db01"]["migration"]["failure"]
    site.identical("db01", other)
    kept = site.bench.leftovers()
    assert 2 <= len(kept) <= 3, "the claim of what is gone, its disk, and what that is compared with"
    told = site.bench.v2x("cleanup", "--target", site.bench.target, "--yes")
    assert told.code == 0 and "web01" in told.out
    assert not site.bench.leftovers()
    site.identical("db01", other)


def test_tracking_that_began_anew_at_any_pass_costs_a_whole_copy(site):
    machine = site.add("web01", 6 * MIB, pause=0.02)
    site.vcenter.faults.arm("changes_unknown", target="web01", times=-1)
    ran = site.migrate("web01", "--outage", "60")
    assert ran.code == 0, ran.err
    assert "copied whole" in ran.err
    site.identical("web01", machine)
