# SPDX-License-Identifier: Apache-2.0
"""A batch that is killed again and again: every machine arrives exactly once, whole, and nothing is left behind.

(architecture.md C3: kill -9 at every step, worker lost, worker partitioned.)
"""

import csv
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.postgres import Postgres
from v2x.cli import run
from v2x.model.units import MIB
from v2x.simulators.appliance import ApplianceSpec, CreateType, DiskSpec, NicSpec, write_vmx_folder
from v2x.simulators.xapi import Pool

ROOT = Path(__file__).parents[2]
NETWORK = "Pool-wide network associated with eth0"
MACHINES = 60


class Storm:
    """Sixty machines in folders, a simulated pool, a plan; and worker processes."""

    def __init__(self, folder, pool, state, machines=MACHINES):
        self.folder, self.pool, self.state = folder, pool, state
        self.raws = {}
        self.troubles = []
        exports = folder / "exports"
        exports.mkdir()
        for number in range(machines):
            chance = random.Random(number)
            raw = folder / f"raw{number}"
            with raw.open("wb") as file:
                file.truncate(4 * MIB + 65536 * (number % 3))
                file.write(chance.randbytes(300_000))
                file.seek(2 * MIB + 512)
                file.write(chance.randbytes(MIB))
            name = f"m{number:02}"
            spec = ApplianceSpec(
                name=name, disks=(DiskSpec(raw=raw),),
                nics=(NicSpec(network=NETWORK, mac=f"00:50:56:00:01:{number:02x}"),),
            )  # fmt: skip
            write_vmx_folder(exports / name, spec, expected=folder / "e", disk_type=CreateType.MONOLITHIC_FLAT)
            self.raws[name] = raw
        self.sources = self.source_hash()
        self.plan = folder / "plan.csv"
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        target = f"xapi://{pool.user}@{pool.address}"
        code = run(
            ["plan", "draft", str(exports), "--target", target, "--target-fingerprint", pool.fingerprint,
             "-o", str(self.plan)]
        )  # fmt: skip
        assert code == 0
        assert len(list(csv.DictReader(self.plan.read_text(encoding="utf-8-sig").splitlines()))) == machines

    def source_hash(self):
        files = sorted(path for path in (self.folder / "exports").rglob("*") if path.is_file())
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def start(self, *words):
        arguments = [sys.executable, "-m", "v2x", *map(str, words), "--state", self.state, "--quiet"]
        return subprocess.Popen(
            arguments, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=self.folder,
        )  # fmt: skip

    def status(self):
        ran = subprocess.run(
            [sys.executable, "-m", "v2x", "batch", "status", "--state", self.state, "--json"],
            env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if ran.returncode:
            self.troubles.append(ran.stderr)
        return json.loads(ran.stdout) if ran.returncode == 0 else {"rows": []}

    def is_through(self):
        """Whether all rows have ended; a status that could not be had says nothing."""
        rows = self.status()["rows"]
        return bool(rows) and all(row["state"] == "ended" for row in rows)

    def all_arrived_once(self):
        names = sorted(vm["name_label"] for vm in self.pool.records("VM").values() if not vm["is_a_template"])
        arrived = [name for name in names if name in self.raws]
        assert arrived == sorted(self.raws), "each machine exactly once"
        assert not [name for name in names if "v2x" in name], "nothing unfinished"
        vms = {vm["name_label"]: vm for vm in self.pool.records("VM").values()}
        vbds, vdis = self.pool.records("VBD"), self.pool.records("VDI")
        for name, raw in self.raws.items():
            (disk,) = [vbds[ref] for ref in vms[name]["VBDs"] if vbds[ref]["type"] == "Disk"]
            held, wanted = self.pool.vdi_path(vdis[disk["VDI"]]["uuid"]).read_bytes(), raw.read_bytes()
            assert held[: len(wanted)] == wanted, name
            assert not any(held[len(wanted) :])
        ours = [one for one in vdis.values() if "v2x-disk" in one["other_config"]]
        assert len(ours) == len(self.raws), "no orphan disk"
        assert not any("v2x-migration" in one["other_config"] for one in (*vms.values(), *vdis.values()))
        assert self.source_hash() == self.sources, "the source is untouched"


def limits_held(store_url, most):
    """From the event log alone: never more machines between their first phase and their outcome than the limit."""
    from v2x.engine import journal
    from v2x.engine.store import Store

    store = Store.open(store_url)
    with store.reading() as connection:
        entries = list(journal.read(connection))
    store.close()
    assert not journal.broken(entries)
    running, peak = set(), 0
    for entry in entries:
        kind = entry.fields["kind"]
        if kind == "phase":
            running.add(entry.row)
        elif kind == "outcome":
            running.discard(entry.row)
        peak = max(peak, len(running))
    assert peak <= most, peak
    return entries


@pytest.fixture
def pool(tmp_path, monkeypatch):
    with Pool(tmp_path / "pool", save=False) as pool:
        pool.settings.login_delay = 0
        monkeypatch.setenv("V2X_TARGET_PASSWORD", pool.password)
        yield pool


@pytest.mark.timeout(600)
def test_thirty_kills_over_sixty_machines(tmp_path, pool):
    storm = Storm(tmp_path, pool, str(tmp_path / "state"))
    chance = random.Random(7)
    assert run(["batch", "throttle", "total=3", "--state", storm.state, "--quiet"]) == 0
    kills = 0
    while kills < 30:
        process = storm.start("batch", "run", storm.plan, "--target-fingerprint", pool.fingerprint)
        time.sleep(chance.uniform(1.2, 2.4))
        if process.poll() is not None:
            out, err = process.communicate()
            pytest.fail(f"ended after {kills} kills: {process.returncode} {err} {out[-500:]}")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
    process = storm.start("batch", "run", storm.plan, "--target-fingerprint", pool.fingerprint)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    storm.all_arrived_once()
    entries = limits_held(storm.state, 3)
    assert sum(entry.fields["kind"] == "outcome" for entry in entries) >= MACHINES


class Cable:
    """A loopback port that leads to another one until it is cut."""

    def __init__(self, port):
        self._port = port
        self._open = []
        self._cut = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while not self._cut.is_set():
            try:
                here, _ = self._listener.accept()
                there = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                return
            self._open += [here, there]
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        finally:
            # The other direction may sit in recv: closing alone would leave its connection open.
            end(one)
            end(other)

    def cut(self):
        self._cut.set()
        self._listener.close()
        for one in self._open:
            end(one)


def end(connection):
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@pytest.mark.timeout(600)
def test_workers_that_die_or_lose_the_database_are_replaced(tmp_path, pool):
    with Postgres(tmp_path / "pg") as server:
        storm = Storm(tmp_path, pool, server.url)
        assert run(["batch", "throttle", "total=4", "--state", server.url, "--quiet"]) == 0
        assert run(["batch", "throttle", "rate=6M", "--state", server.url, "--quiet"]) == 0
        cable = Cable(server.port)
        first = storm.start("batch", "run", storm.plan, "--target-fingerprint", pool.fingerprint, "--at-once", 2)
        storm.state = server.url.replace(str(server.port), str(cable.port))
        cut_off = storm.start("worker", "--at-once", 2)
        storm.state = server.url
        third = storm.start("worker", "--at-once", 2)
        survivor = storm.start("worker", "--at-once", 2)
        wait_until(lambda: len(storm.status().get("workers", [])) == 4)
        wait_until(lambda: sum(row["state"] == "ended" for row in storm.status()["rows"]) >= 5)
        first.send_signal(signal.SIGKILL)
        first.communicate()
        wait_until(lambda: sum(row["state"] == "ended" for row in storm.status()["rows"]) >= 15)
        cable.cut()
        assert cut_off.wait(20) == 70, cut_off.stderr.read()
        third.send_signal(signal.SIGKILL)
        third.communicate()
        assert run(["batch", "throttle", "rate=", "--state", server.url, "--quiet"]) == 0
        wait_until(storm.is_through, 240)
        assert {row["migration"]["outcome"] for row in storm.status()["rows"]} <= {"migrated", "already migrated"}
        survivor.send_signal(signal.SIGTERM)
        assert survivor.wait(30) == 143
        storm.all_arrived_once()
        limits_held(server.url, 4)


def wait_until(condition, seconds=90):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.3)
