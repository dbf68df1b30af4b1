# SPDX-License-Identifier: Apache-2.0
"""What may fail at a source while a machine is migrated: snapshots, sessions, tasks, and the machine itself.

(architecture.md C3; which row each test stands for is in docs/failure-modes.md.)
"""

import signal

import pytest

from tests.e2e.test_warm import drafted, process
from tests.warming import NETWORK, wait_for
from v2x.model.units import MIB
from v2x.simulators.vsphere import events, snapshots


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
    assert ran.json["migrations"][0]["outcome"] in ("migrated", "failed"), ran.out
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
