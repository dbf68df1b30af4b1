# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM end the program within five seconds, wherever it is; a second one ends it at once.

(architecture.md C3: Ctrl-C, SIGTERM.) Run again, the same command continues.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.test_warm import drafted
from tests.warming import NETWORK, wait_for
from v2x.model.units import MIB

ROOT = Path(__file__).parents[2]
SECONDS = 5.0
SLOW = pytest.mark.slow


@pytest.fixture
def begun(site):
    """A factory: the program under way, and where it is at."""
    running = []

    def factory(*words):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        arguments = [sys.executable, "-m", "v2x", *map(str, words)]
        running.append(subprocess.Popen(arguments, env=environment, cwd=site.bench.folder, text=True, **pipes))
        return running[-1]

    yield factory
    for one in running:
        one.kill()
        one.communicate()


def pins(site):
    return ("--source-fingerprint", site.vcenter.fingerprint, "--target-fingerprint", site.bench.pool.fingerprint)


def single(site, *words):
    target = ("--target", site.bench.target, "--network", f"*={NETWORK}")
    return ("migrate", site.address, "web01", *words, *target, *pins(site), "--quiet")


def stopped(running, *numbers):
    """Exit code, messages and seconds from the first signal to the end."""
    begun = time.monotonic()
    for number in numbers:
        running.send_signal(number)
        time.sleep(0.3 if len(numbers) > 1 else 0)
    _, err = running.communicate(timeout=30)
    return running.returncode, err, time.monotonic() - begun


def uploads(site):
    return any(one.received_bytes for one in site.bench.pool.ledger.imports)


@pytest.mark.parametrize(
    ("way", "number", "code"),
    [
        ("cold", signal.SIGINT, 130),
        ("warm", signal.SIGTERM, 143),
        pytest.param("cold", signal.SIGTERM, 143, marks=SLOW),
        pytest.param("warm", signal.SIGINT, 130, marks=SLOW),
    ],
)
def test_a_signal_ends_a_migration_within_five_seconds(site, begun, way, number, code):
    site.bench.pool.settings.read_rate = 4 * MIB
    warm = way == "warm"
    machine = site.add("web01", 40 * MIB, pause=0.05, **({} if warm else {"power": "poweredOff"}))
    words = single(site, *(["--warm"] if warm else []))
    running = begun(*words)
    wait_for(lambda: uploads(site), 60)
    got, err, seconds = stopped(running, number)
    assert got == code and "run the same command again" in err, err
    assert seconds < SECONDS
    site.bench.pool.settings.read_rate = 0
    again = begun(*words)
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    site.identical("web01", machine)
    assert not site.bench.leftovers()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=SLOW)])
def test_a_signal_ends_a_batch_within_five_seconds(site, begun, number, code):
    site.bench.pool.settings.read_rate = 4 * MIB
    machines = {name: site.add(name, 24 * MIB, power="poweredOff") for name in ("web01", "db01")}
    drafted(site, *pins(site))
    plan = site.bench.folder / "plan.csv"
    plan.write_bytes(plan.read_bytes().replace(b",warm,", b",cold,"))
    words = ("batch", "run", "plan.csv", *pins(site), "--quiet")
    running = begun(*words)
    wait_for(lambda: uploads(site), 60)
    got, err, seconds = stopped(running, number)
    assert got == code, err
    assert seconds < SECONDS
    site.bench.pool.settings.read_rate = 0
    again = begun(*words)
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    for name, machine in machines.items():
        site.identical(name, machine)
    assert not site.bench.leftovers()


@pytest.mark.parametrize("busy", ["pool", pytest.param("source", marks=SLOW)])
def test_a_signal_ends_it_while_a_busy_server_is_waited_for(site, begun, busy):
    """Such calls are repeated for minutes, far below what knows of the signal."""
    machine = site.add("web01", 8 * MIB, pause=0.05)
    pool, vcenter = site.bench.pool, site.vcenter
    if busy == "pool":
        pool.faults.arm("busy", target="VM.add_to_other_config", times=-1)
    else:
        vcenter.faults.arm("fail_task", target="CreateSnapshot_Task", name="vim.fault.TaskInProgress", times=-1)
    running = begun(*single(site, "--warm"))
    called = {"pool": lambda: pool.ledger.calls_of("VM.add_to_other_config"),
              "source": lambda: vcenter.ledger.calls_of("CreateSnapshot_Task")}[busy]  # fmt: skip
    wait_for(called, 60)
    time.sleep(4)
    got, err, seconds = stopped(running, signal.SIGTERM)
    assert got == 143, err
    assert seconds < SECONDS
    pool.faults.clear()
    vcenter.faults.clear()
    again = begun(*single(site, "--warm"))
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    site.identical("web01", machine)
    assert not site.bench.leftovers() and "snapshot" not in machine.values


@pytest.mark.parametrize(
    ("how", "silent"),
    [
        ("single", "source"),
        ("batch", "target"),
        pytest.param("single", "target", marks=SLOW),
        pytest.param("batch", "source", marks=SLOW),
    ],
)
def test_a_second_signal_ends_it_though_a_server_is_silent(site, begun, how, silent):
    """The first one waits for the call that is under way, which nobody answers."""
    machine = site.add("web01", 4 * MIB, power="poweredOff")
    faults = site.vcenter.faults if silent == "source" else site.bench.pool.faults
    drafted(site, *pins(site))
    plan = site.bench.folder / "plan.csv"
    plan.write_bytes(plan.read_bytes().replace(b",warm,", b",cold,"))
    words = ("batch", "run", "plan.csv", *pins(site), "--quiet") if how == "batch" else single(site)
    # Far enough to be in the machine's steps.
    target = {"source": "soap", "target": "VM.add_to_other_config"}[silent]
    if silent == "source":
        site.bench.pool.settings.read_rate = 2 * MIB
        running = begun(*words)
        wait_for(lambda: uploads(site), 60)
        faults.arm("slow", target=target, seconds=60, times=-1)
        site.bench.pool.settings.read_rate = 0
        time.sleep(1.5)
    else:
        faults.arm("slow", target=target, seconds=60, times=-1)
        running = begun(*words)
        wait_for(lambda: site.bench.pool.ledger.calls_of("VM.create"), 60)
        time.sleep(1.0)
    assert running.poll() is None
    got, err, seconds = stopped(running, signal.SIGTERM, signal.SIGTERM)
    assert got in (130, 143), err
    assert "Traceback" not in err
    assert seconds < SECONDS
    faults.clear()
    site.vcenter.faults.clear()
    again = begun(*words)
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    site.identical("web01", machine)
    assert not site.bench.leftovers()
