# SPDX-License-Identifier: Apache-2.0
"""A warm migration that is killed, or loses its sessions, between any two steps; and the way back from each of them."""

import csv
import signal
import textwrap

import pytest

from tests.e2e.test_warm import connects, drafted, process
from tests.warming import wait_for
from v2x.migrate.itinerary import WARM
from v2x.migrate.work import Next
from v2x.model import hook
from v2x.model.migration import Phase
from v2x.model.units import MIB
from v2x.simulators.vsphere import NicSpec

STARTED = (Phase.START, Phase.HEALTH)
KILL = """
import os, signal, sys, time
lock, marker = sys.argv[1:]
if not os.path.exists(marker):
    open(marker, "w").close()
    os.kill(int(open(lock).read()), signal.SIGKILL)
    time.sleep(5)
"""
# Hooks are what kills it: those of a start are due only where a machine is started, and then its disks are its own.
PHASES = [step.phase for step in WARM if f"before {step.phase}" in hook.MOMENTS and step.phase not in STARTED]
MOMENTS = [f"{when} {phase}" for phase in PHASES for when in ("before", "after")]
QUICK = ("after sync", "before shut down", "after last sync", "after seal")


def moments(*quick):
    return [
        pytest.param(one, marks=() if one in quick else pytest.mark.slow, id=one.replace(" ", "-")) for one in MOMENTS
    ]


@pytest.fixture
def killed(site):
    """A factory: a batch of one machine that was killed with signal 9 at a moment; the machine and the pins."""

    def factory(moment):
        folder = site.bench.folder
        machine = site.add("web01", 6 * MIB, pause=0.05, tracking=False, nics=(NicSpec(network="VM Network"),))
        pins = ("--source-fingerprint", site.vcenter.fingerprint)
        pins += ("--target-fingerprint", site.bench.pool.fingerprint)
        script = folder / "kill.py"
        script.write_text(KILL)
        config = folder / "v2x.toml"
        lock, marker = folder / "state" / "lock", folder / "killed"
        config.write_text(
            textwrap.dedent(f"""
            [hook.kill]
            at = ["{moment}"]
            command = ["/usr/bin/python3", "{script}", "{lock}", "{marker}"]
            """)
        )
        config.chmod(0o600)
        drafted(site, *pins)
        plan = folder / "plan.csv"
        with plan.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            row["hooks"] = "kill"
        with plan.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        running = process(site, "batch", "run", "plan.csv", *pins, "--enable-cbt", "--quiet")
        wait_for(lambda: site.bench.v2x("batch", "status", pool=False).code == 0 or running.poll() is not None, 60)
        assert site.bench.v2x("batch", "cutover", "--all", pool=False).code == 0
        _, err = running.communicate(timeout=90)
        assert running.returncode == -signal.SIGKILL, err
        return machine, pins

    return factory


@pytest.mark.timeout(180)
@pytest.mark.parametrize("moment", moments("after last sync"))
def test_killed_between_two_steps_the_batch_goes_on(site, killed, moment):
    machine, pins = killed(moment)
    running = process(site, "batch", "resume", *pins, "--quiet")
    _, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    site.identical("web01", machine)
    assert not site.bench.leftovers()
    assert "snapshot" not in machine.values
    assert site.tracking() == [True, False]
    assert str(machine.values["runtime"].powerState) == "poweredOff"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("moment", moments("after sync", "before shut down", "after last sync", "after seal"))
def test_from_every_step_one_command_goes_back(site, killed, moment):
    machine, pins = killed(moment)
    bench = site.bench
    discards = MOMENTS.index(moment) % 2 == 1
    ran = bench.v2x(
        "batch", "rollback", "--machine", "web01", *(["--discard"] if discards else []), *pins, pool=False
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "web01 is back at its source" in ran.out
    assert str(machine.values["runtime"].powerState) == "poweredOn"
    assert connects(machine) == [True]
    assert "snapshot" not in machine.values
    assert not machine.values["config"].changeTrackingEnabled, "it was off before"
    vms = [one for one in bench.pool.records("VM").values() if "v2x-self" in one["other_config"]]
    vdis = [
        one for one in bench.pool.records("VDI").values() if any(key.startswith("v2x-") for key in one["other_config"])
    ]
    if discards:
        assert not vms and not vdis
    for vm in vms:
        assert vm["power_state"] == "Halted" and "start" in vm["blocked_operations"]
    again = bench.v2x("batch", "rollback", "--machine", "web01", *pins, pool=False)
    assert again.code == 4 and "[NOT-THROUGH]" in again.err, "once is enough"
    assert bench.v2x("batch", "resume", *pins, "--quiet", pool=False).code == 0
    assert str(machine.values["runtime"].powerState) == "poweredOn", "it stays rolled back"


def test_a_row_that_is_worked_on_is_not_rolled_back(site):
    site.add("web01", 4 * MIB, pause=0.05)
    bench = site.bench
    pins = ("--source-fingerprint", site.vcenter.fingerprint, "--target-fingerprint", bench.pool.fingerprint)
    drafted(site, *pins)
    running = process(site, "batch", "run", "plan.csv", *pins, "--quiet")
    wait_for(lambda: '"attempt": 1' in bench.v2x("batch", "status", "--json", pool=False).out, 60)
    refused = bench.v2x("batch", "rollback", "--machine", "web01", *pins, pool=False)
    assert refused.code == 4 and "[NOT-THROUGH]" in refused.err and "cancel" in refused.err
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    ran = bench.v2x("batch", "rollback", "--machine", "web01", "--discard", *pins, pool=False)
    assert ran.code == 0, ran.err
    assert not bench.leftovers()


@pytest.mark.parametrize("seed", range(3))
def test_sessions_that_end_between_any_two_steps_are_opened_again(site, seed):
    machine = site.add("web01", 10 * MIB, 4 * MIB + 512, seed=seed, tracking=False)
    work = site.work("web01", enable_tracking=True)
    work.keep_off, ended = True, 0
    for step in WARM:
        while True:
            ended += site.vcenter.expire_sessions() + site.bench.pool.expire_sessions()
            step.run(work)
            if step.phase is not Phase.SYNC or step.then(work) is not Next.AGAIN:
                break
    work.source.close()
    work.target.close()
    assert ended >= len(WARM)
    site.identical("web01", machine)
    assert not site.bench.leftovers()
    assert "snapshot" not in machine.values
    assert site.tracking() == [True, False]
