# SPDX-License-Identifier: Apache-2.0
"""Test cutovers under a writer: copies are the source at its last pass, and replication never hears of them."""

import json
import random
import signal
import time

import pytest

from tests.e2e.test_warm import drafted, process
from tests.warming import Guest
from v2x.model.units import MIB
from v2x.simulators.vsphere import NicSpec

pytestmark = pytest.mark.timeout(300)


def soon(condition, seconds=100):
    """Waits without taking the processor from what it waits for."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


class Replication:
    """A batch of warm machines that a process of its own keeps up to date."""

    def __init__(self, site, *names, sr="", sync="0.02"):
        self.site, self.bench, vcenter = site, site.bench, site.vcenter
        self.pins = ("--target-fingerprint", self.bench.pool.fingerprint)
        self.machines = {
            name: site.add(name, 6 * MIB, seed=n, pause=0.02, nics=(NicSpec(network="VM Network"),))
            for n, name in enumerate(names)
        }
        pins = ("--source-fingerprint", vcenter.fingerprint, *self.pins)
        drafted(site, *pins)
        plan = self.bench.folder / "plan.csv"
        if sr:
            plan.write_bytes(plan.read_bytes().replace(b"Local storage", sr.encode()))
        self.running = process(site, "batch", "run", "plan.csv", *pins, "--sync-every", sync, "--quiet")
        soon((self.bench.folder / "state" / "lock").exists)
        soon(lambda: self.v2x("status").code == 0)
        # One that is on its second attempt was ready before it.
        soon(lambda: all(row["migration"]["phase"] == "ready" or row["attempt"] > 1 for row in self.rows()))

    def v2x(self, command, *words):
        pins = self.pins if command == "test" else ()
        return self.bench.v2x("batch", command, *words, *pins, pool=False)

    def rows(self):
        return self.v2x("status", "--json").json["rows"]

    def passes(self, more=1):
        """Waits until each machine had more whole passes."""
        before = {row["migration"]["id"]: row["attempt"] for row in self.rows()}
        soon(
            lambda: all(
                row["attempt"] > before[row["migration"]["id"]] + more or row["state"] == "ended" for row in self.rows()
            )
        )

    def rest(self):
        """Nobody writes at the source any more, and the pool has all of it."""
        for guest in self.site.guests:
            guest.ended.set()
            guest.join()
        self.passes()

    def wake(self):
        for number, machine in enumerate(self.machines.values()):
            guest = Guest(self.site.vcenter, machine, 100 + number, 0.02)
            self.site.guests.append(guest)
            guest.start()

    def copy(self, name):
        return self.bench.vm(f"[test] {name}")

    def source(self, name):
        (disk,) = self.site.vcenter.disks(self.machines[name]).values()
        return disk.read(0, disk.size_bytes)

    def tests(self):
        """All that carries a tag of test cutovers, or its name."""
        return [
            one["name_label"]
            for cls in ("VM", "VDI", "network")
            for one in self.bench.pool.records(cls).values()
            if "v2x-test" in one["other_config"] or one["name_label"].startswith("[test]")
        ]

    def ends(self):
        """Cuts over, and waits until the batch is through."""
        assert self.v2x("cutover", "--all").code == 0
        _, err = self.running.communicate(timeout=150)
        assert self.running.returncode == 0, err + self.v2x("report").out
        for name, machine in self.machines.items():
            self.site.identical(name, machine)
        assert not self.bench.leftovers() and not self.tests()


@pytest.fixture
def replication(site):
    made = []

    def begin(*names, **options):
        made.append(Replication(site, *names, **options))
        return made[-1]

    yield begin
    for one in made:
        one.running.kill()
        one.running.communicate()


def test_copies_run_apart_while_replication_goes_on(replication):
    world = replication("web01", "db01")
    bench, pool = world.bench, world.bench.pool
    pool.settings.guest_agent = True
    world.rest()
    ran = world.v2x("test", "--all", "--json")
    assert ran.code == 0, ran.err
    assert {one["state"] for one in ran.json["copies"]} == {"running"}
    vifs, networks = pool.records("VIF"), pool.records("network")
    seen = set()
    for name, machine in world.machines.items():
        copy, (path,) = world.copy(name), bench.vdis_of(world.copy(name))
        content = world.source(name)
        assert path.read_bytes()[: len(content)] == content
        (vif,) = [vifs[one] for one in copy["VIFs"]]
        assert (
            vif["MAC"]
            == next(d for d in machine.values["config"].hardware.device if hasattr(d, "macAddress")).macAddress
        )
        assert networks[vif["network"]]["PIFs"] == [] and "v2x-test" in networks[vif["network"]]["other_config"]
        seen.add((vif["network"], copy["resident_on"]))
        path.write_bytes(b"\xee" * len(content))
    assert len(seen) == 1, "one network, one host"
    world.wake()
    world.passes()
    for name in world.machines:
        (path,) = bench.vdis_of(world.copy(name))
        assert set(path.read_bytes()[: 6 * MIB]) == {0xEE}, "no pass writes into a copy"
    said = world.v2x("status").out
    assert "[test] web01" in said and "192.0.2.100" in said and max(map(len, said.splitlines())) <= 80
    world.ends()
    report = world.v2x("report", "--json").json
    for migration in report["migrations"]:
        (test,) = migration["tests"]
        assert test["ended"] and any("was discarded" in one for one in migration["warnings"])
    kinds = [
        json.loads(json.loads(one)["body"])["kind"]
        for one in world.v2x("report", "--format", "events").out.splitlines()
    ]
    assert kinds.count("test") == 4


def test_what_cannot_be_tested_is_refused_with_its_reason(replication, site):
    world = replication("web01", sync="60")
    for words, code in (
        (("--machine", "nobody"), "USAGE"),
        (("--all", "--wave", "1"), "USAGE"),
        (("--all", "--vlan", "10"), "USAGE"),
        (("--all", "--vlan", "10", "--uplink", "eth0"), "TEST-VLAN-USED"),
        (("--all", "--vlan", "901", "--uplink", "eth9"), "TARGET"),
        (("--all", "--vlan", "9010", "--uplink", "eth0"), "USAGE"),
        (("--all", "--host", "nowhere"), "NO-HOST"),
        (("--wave", "7"), "USAGE"),
    ):
        ran = world.v2x("test", *words)
        assert ran.code and f"[{code}]" in ran.err, (words, ran.err)
        assert "try:" in ran.err
    assert not world.tests()
    assert world.v2x("test").out == "no test copy runs\n"
    assert world.v2x("test", "--end").out == "there was no test copy\n"
    world.ends()
    ran = world.v2x("test", "--machine", "web01")
    assert ran.code == 4 and "[TEST-NOT-READY]" in ran.err and "is through" in ran.err


def test_thick_storage_without_room_is_refused_and_replication_goes_on(replication):
    world = replication("web01", sr="LVM storage")
    pool = world.bench.pool
    ref = pool.ref_by_name("SR", "LVM storage")
    space = pool.state.volumes.spaces[pool.records("SR")[ref]["uuid"]]
    space.physical_size = space.used_bytes + 9 * MIB
    with pool.state.store.lock:
        pool.state.store.set("SR", ref, physical_size=space.physical_size)
    ran = world.v2x("test", "--all")
    assert ran.code == 4 and "[TEST-NO-SPACE]" in ran.err, ran.err
    assert "LVM storage has 9 MiB free; the test copy of web01 needs 10.01 MiB" in ran.err
    assert not world.tests()
    world.passes()
    world.ends()


def test_a_copy_ends_when_its_time_is_over_and_by_cleanup(replication):
    world = replication("web01", sync="60")
    bench = world.bench
    for how in ("look", "cleanup"):
        assert world.v2x("test", "--all").code == 0
        clean = bench.v2x("cleanup", "--target", bench.target)
        assert "test copy" not in clean.out, "its time is not over"
        uuid = world.copy("web01")["uuid"]
        ref = bench.pool.ref_by_name("VM", "[test] web01")
        with bench.pool.state.store.lock:
            own = dict(bench.pool.state.store.get("VM", ref, "other_config"))
            own["v2x-test-until"] = "2026-01-01T00:00:00+00:00"
            bench.pool.state.store.set("VM", ref, other_config=own)
        if how == "look":
            assert world.v2x("test").out == "no test copy runs\n"
        else:
            listed = bench.v2x("cleanup", "--target", bench.target)
            assert "left over: [test] web01" in listed.out and "its time was over at 2026-01-01 00:00 UTC" in listed.out
            # The claim is alive, so only the copy is asked for: the whole list would take the replication's disks too.
            assert world.v2x("test", "--end").out == "removed [test] web01\n"
        assert uuid not in {one["uuid"] for one in bench.pool.records("VM").values()}
        assert not world.tests()
    world.ends()


@pytest.mark.parametrize("wanted", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_killed_again_and_again_nothing_is_left_and_users_things_stay(replication, site, wanted):
    """kill -9 at random moments: the same command continues, --end removes all, and replication goes on."""
    world = replication("web01", "db01")
    pool, chance = world.bench.pool, random.Random(3)
    kills = 0
    for _ in range(2 * wanted):
        before = len(pool.state.store.refs("VM"))
        running = process(site, "batch", "test", "--all", *world.pins, "--quiet")
        while len(pool.state.store.refs("VM")) <= before and running.poll() is None:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.4))
        if running.poll() is None:
            kills += 1
        running.send_signal(signal.SIGKILL)
        running.communicate()
        if kills == wanted:
            break
    assert kills >= 1
    ran = world.v2x("test", "--all")
    assert ran.code == 0, ran.err
    machines = [one for one in pool.records("VM").values() if one["name_label"].startswith("[test]")]
    assert sorted(one["name_label"] for one in machines) == ["[test] db01", "[test] web01"]
    mine = _clone(pool, "[test] web01", "mine")
    assert world.v2x("test", "--end").code == 0
    names = {one["name_label"] for one in pool.records("VM").values()}
    assert "mine" in names and not {one for one in names if "test" in one}
    assert len(world.bench.vdis_of(pool.records("VM")[mine])) == 1
    world.passes()
    assert world.v2x("cutover", "--all").code == 0
    _, err = world.running.communicate(timeout=150)
    assert world.running.returncode == 0, err
    for name, machine in world.machines.items():
        site.identical(name, machine)
    assert world.bench.vdis_of(pool.records("VM")[mine])[0].exists()


def _clone(pool, name, new):
    """What an administrator does in another client: stops a machine, clones it, and never asks v2x."""
    import ssl
    import xmlrpc.client

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    server = xmlrpc.client.ServerProxy(f"https://{pool.address}/", context=context)
    session = server.session.login_with_password(pool.user, pool.password)["Value"]
    ref = pool.ref_by_name("VM", name)
    assert server.VM.hard_shutdown(session, ref)["Status"] == "Success"
    answer = server.VM.clone(session, ref, new)
    assert answer["Status"] == "Success", answer
    return answer["Value"]


def test_cancelled_and_its_copy_goes_first(replication):
    world = replication("web01", "db01", sync="60")
    assert world.v2x("test", "--all", "--hours", "1").code == 0
    assert world.v2x("cancel", "--machine", "web01").code == 0
    soon(lambda: not any("web01" in one["name_label"] for one in world.bench.pool.records("VM").values()))
    assert world.copy("db01")["power_state"] == "Running", "that of the other one stays"
    del world.machines["web01"]
    world.v2x("test", "--end", "--machine", "db01")
    assert not world.tests()
    world.ends()
