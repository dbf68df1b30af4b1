# SPDX-License-Identifier: Apache-2.0
"""The disks of the machine that v2x runs on are full: of its state, of its staging folder, of the folder of XVA files.

(architecture.md C3: state disk full, temp full.) On real small file systems: what was begun stops, nothing of it is
lost, and the same command continues once there is room.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.small_disk import SmallDisk
from tests.storm import oracle
from tests.warming import NETWORK
from v2x.model.units import MIB
from v2x.simulators.appliance import ApplianceSpec, DiskSpec, NicSpec, write_ova

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small(tmp_path):
    """A factory of small disks in the test's folder."""
    made = []

    def factory(name, size):
        made.append(SmallDisk(tmp_path / name, size))
        return made[-1]

    yield factory
    for one in made:
        one.close()


@pytest.fixture
def world(bench, tmp_path):
    """Two appliances, and a pool."""

    class World:
        pool, folder = bench.pool, tmp_path
        raws = {}  # noqa: RUF012

        def program(self, disk, *words):
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "V2X_TARGET_PASSWORD": self.pool.password}
            arguments = disk.words(sys.executable, "-m", "v2x", *words)
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            return subprocess.Popen(arguments, cwd=self.folder, env=environment, text=True, **pipes)

        def v2x(self, disk, *words):
            running = self.program(disk, *words)
            out, err = running.communicate(timeout=120)
            assert "Traceback" not in err and "V2X-BUG" not in err, err
            return running.returncode, out, err

        def target(self):
            return ("--target", bench.target, "--target-fingerprint", self.pool.fingerprint)

    (tmp_path / "exports").mkdir()
    for number, name in enumerate(("one", "two")):
        raw = tmp_path / f"{name}.raw"
        raw.write_bytes(random.Random(number).randbytes(12 * MIB))
        spec = ApplianceSpec(name=name, disks=(DiskSpec(raw=raw),), nics=(NicSpec(mac=f"00:50:56:00:03:0{number}"),))
        write_ova(tmp_path / "exports" / f"{name}.ova", spec)
        World.raws[name] = [raw.read_bytes()]
    return World()


def test_a_state_disk_that_fills_up_stops_the_batch_at_its_marks_and_the_same_command_continues(world, small):
    held = oracle.Ledgered(world.pool)
    disk = small("state", "400m")
    draft = ("plan", "draft", "exports", *world.target(), "-o", "plan.csv", "--network", f"*={NETWORK}")
    assert world.v2x(disk, *draft)[0] == 0
    words = ("batch", "run", "plan.csv", *world.target()[2:], "--state", disk.path, "--quiet")
    world.pool.settings.read_rate = 2 * MIB
    running = world.program(disk, *words)
    until = time.monotonic() + 60
    while not any(one.received_bytes for one in world.pool.ledger.imports):
        assert time.monotonic() < until and running.poll() is None, running.communicate()
        time.sleep(0.05)
    disk.fill()
    world.pool.settings.read_rate = 0
    _, err = running.communicate(timeout=120)
    assert running.returncode == 75, err
    assert "state" in err and "make room" in err and "Traceback" not in err
    code, _, err = world.v2x(disk, *words)
    assert code == 75 and "MiB free" in err, "it begins nothing without room"
    disk.free()
    code, _, err = world.v2x(disk, *words)
    assert code == 0, err
    held.holds(world.raws)


def test_a_state_disk_of_480_kib_begins_nothing(world, small):
    held = oracle.Ledgered(world.pool)
    disk = small("state", "480k")
    draft = ("plan", "draft", "exports", *world.target(), "-o", "plan.csv", "--network", f"*={NETWORK}")
    assert world.v2x(disk, *draft)[0] == 0
    words = ("batch", "run", "plan.csv", *world.target()[2:], "--state", disk.path, "--quiet")
    code, _, err = world.v2x(disk, *words)
    assert code == 75, err
    assert "try:" in err and str(disk.path) in err
    held.holds({})
    disk.resize("400m")
    code, _, err = world.v2x(disk, *words)
    assert code == 0, err
    held.holds(world.raws)


def staged_migration(world, disk):
    return (
        *("migrate", "exports/one.ova", *world.target(), "--network", f"*={NETWORK}"),
        *("--stage", disk.path, "--quiet"),
    )


def test_a_staging_folder_that_is_full_is_named_and_left_empty(world, small):
    held = oracle.Ledgered(world.pool)
    disk = small("stage", "4m")
    words = staged_migration(world, disk)
    code, _, err = world.v2x(disk, *words)
    assert code == 4 and "[NO-SPACE]" in err and str(disk.path) in err, err
    assert disk.names() == []
    disk.resize("40m")
    code, _, err = world.v2x(disk, *words)
    assert code == 0, err
    held.holds({"one": world.raws["one"]})
    assert disk.names() == []


def test_a_staged_file_of_a_run_that_was_killed_goes_with_the_next(world, small):
    held = oracle.Ledgered(world.pool)
    disk = small("stage", "40m")
    words = staged_migration(world, disk)
    world.pool.settings.read_rate = MIB
    running = world.program(disk, *words)
    until = time.monotonic() + 60
    while not any(one["status"] == "pending" for one in world.pool.records("task").values()):  # it is being sent
        assert time.monotonic() < until
        time.sleep(0.05)
    running.kill()
    running.communicate()
    assert disk.names(), "the staged disk is still there"
    world.pool.settings.read_rate = 0
    code, _, err = world.v2x(disk, *words)
    assert code == 0, err
    assert disk.names() == []
    held.holds({"one": world.raws["one"]})


def test_a_folder_of_xva_files_that_is_full_is_named_and_gone_on_with(world, small):
    disk = small("xva", "5m")
    words = ("migrate", "exports/one.ova", "--target", f"xva:{disk.path}", "--quiet")
    code, _, err = world.v2x(disk, *words)
    assert code == 4 and "[NO-SPACE]" in err and str(disk.path) in err, err
    disk.resize("40m")
    code, _, err = world.v2x(disk, *words)
    assert code == 0, err
    assert disk.names() == ["one.xva"]
    copied = world.folder / "copied.xva"
    copied.write_bytes(subprocess.run(disk.words("cat", disk.path / "one.xva"), capture_output=True, check=True).stdout)
    oracle.same(oracle.archived(copied), world.raws["one"], "one")
