# SPDX-License-Identifier: Apache-2.0
"""People at the controls: a migration cancelled while it copies and after a crash, a task cancelled on the pool.

(architecture.md C3: cancel by operator, task cancelled by admin, two operators.)
"""

import signal

import pytest

from tests.e2e.test_warm import called, drafted, process
from tests.warming import NETWORK, wait_for
from v2x.model.units import MIB


def pins(site):
    return ("--source-fingerprint", site.vcenter.fingerprint, "--target-fingerprint", site.bench.pool.fingerprint)


@pytest.fixture
def copying(site):
    """A batch of one running machine, whose first copy is under way."""
    machine = site.add("web01", 24 * MIB, pause=0.05, tracking=False)
    drafted(site, *pins(site))
    site.bench.pool.settings.read_rate = 4 * MIB
    running = process(site, "batch", "run", "plan.csv", *pins(site), "--enable-cbt", "--quiet")
    wait_for(lambda: any(one.received_bytes > MIB for one in site.bench.pool.ledger.imports), 60)
    yield machine, running
    running.kill()
    running.communicate()


def outcome(site):
    (row,) = site.bench.v2x("batch", "status", "--json", pool=False).json["rows"]
    return row["migration"]["outcome"]


def nothing(site, machine):
    assert not site.bench.leftovers()
    assert not [one for one in site.bench.pool.records("VM").values() if one["name_label"] == "web01"]
    assert "snapshot" not in machine.values
    assert not machine.values["config"].changeTrackingEnabled, "it was off before"
    assert str(machine.values["runtime"].powerState) == "poweredOn"


def test_cancelled_while_it_copies_nothing_of_it_stays(site, copying):
    machine, running = copying
    ran = site.bench.v2x("batch", "cancel", "--machine", "web01", pool=False)
    assert ran.code == 0, ran.err
    site.bench.pool.settings.read_rate = 0
    _, err = running.communicate(timeout=60)
    assert "Traceback" not in err
    assert outcome(site) == "cancelled"
    nothing(site, machine)


def test_cancelled_after_a_crash_nothing_of_it_stays(site, copying):
    machine, running = copying
    running.send_signal(signal.SIGKILL)
    running.communicate()
    site.bench.pool.settings.read_rate = 0
    assert site.bench.leftovers() and "snapshot" in machine.values
    ran = site.bench.v2x("batch", "cancel", "--machine", "web01", pool=False)
    assert ran.code == 0, ran.err
    again = process(site, "batch", "resume", *pins(site), "--quiet")
    _, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert outcome(site) == "cancelled"
    nothing(site, machine)


def test_kept_when_cancelled_it_is_continued_by_hand(site, copying):
    machine, running = copying
    ran = site.bench.v2x("batch", "cancel", "--machine", "web01", "--keep", pool=False)
    assert ran.code == 0, ran.err
    site.bench.pool.settings.read_rate = 0
    running.communicate(timeout=60)
    assert outcome(site) == "cancelled"
    assert site.bench.leftovers(), "what was copied is kept"
    ran = site.migrate("web01", "--enable-cbt")
    assert ran.code == 0, ran.err
    site.identical("web01", machine)
    assert not site.bench.leftovers() and "snapshot" not in machine.values


def test_an_upload_that_an_administrator_cancels_on_the_pool_is_sent_again_from_its_mark(site):
    """XAPI looks at cancellation in tar uploads only; with any other format the note changes nothing."""
    machine = site.add("web01", 12 * MIB, power="poweredOff")
    pool = site.bench.pool
    pool.settings.read_rate, pool.settings.cancel_poll = MIB, 0.05
    words = ("migrate", site.address, "web01", "--upload-format", "tar", "--target", site.bench.target, *pins(site))
    running = process(site, *words, "--network", f"*={NETWORK}", "--quiet")

    def under_way():
        running = {one.task for one in pool.ledger.imports if one.outcome == "running"}
        return [ref for ref, one in pool.records("task").items() if ref in running and one["status"] == "pending"]

    wait_for(under_way, 60)
    called(pool, "task.cancel", under_way()[0])
    wait_for(lambda: [one for one in pool.ledger.imports if one.outcome != "running"], 60)
    assert pool.ledger.imports[0].error == ["TASK_CANCELLED", pool.ledger.imports[0].task], pool.ledger.imports[0]
    pool.settings.read_rate = 0
    _, err = running.communicate(timeout=120)
    if running.returncode:
        assert running.returncode == 4 and "cancelled" in err and "Traceback" not in err, err
        assert site.bench.leftovers(), "the claim stays"
        again = process(site, *words, "--network", f"*={NETWORK}", "--quiet")
        _, err = again.communicate(timeout=120)
        assert again.returncode == 0, err
    assert len(pool.ledger.imports) <= 8, "it is not hammered"
    site.identical("web01", machine)
    assert not site.bench.leftovers()
