# SPDX-License-Identifier: Apache-2.0
"""State on disk: a killed pool comes back, many VMs are quick, events cost what changed."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from v2x.errors import UsageError
from v2x.simulators.xapi import Layout, Pool
from v2x.simulators.xapi.datamodel import load
from v2x.simulators.xapi.keeping import DELAY_SECONDS
from v2x.simulators.xapi.store import Store

MIB = 1024 * 1024


class Killable:
    """`v2x simulate xapi` in another process."""

    def __init__(self, folder: Path) -> None:
        words = [sys.executable, "-m", "v2x", "simulate", "xapi", "--state", str(folder), "--json"]
        root = str(Path(__file__).parents[2])
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root})
        assert self.process.stdout is not None
        self.told = json.loads(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def killable(tmp_path):
    made: list[Killable] = []

    def start() -> Killable:
        made.append(Killable(tmp_path / "state"))
        return made[-1]

    yield start
    for one in made:
        one.process.kill()
        one.process.communicate()


def test_a_pool_killed_in_the_middle_of_its_work_comes_back_whole(killable, client_of, simulated_pool, tmp_path):
    class At:
        def __init__(self, told):
            self.address, self.user, self.password = told["address"].partition("@")[2], "root", told["password"]

    server = killable()
    client = client_of(At(server.told))
    content = os.urandom(6 * MIB)
    vm = client.vm(name_label="kept", tags=["one", "two"])
    vdi = client.vdi(6 * MIB)
    assert client.upload(vdi, content)["status"] == "success"
    vbd = client.vbd(vm, vdi, userdevice="0")
    client.rpc("VDI.destroy", client.vdi(2 * MIB))
    time.sleep(DELAY_SECONDS * 6)
    for number in range(200):  # whatever of these was under way when it was killed
        client.rpc("VM.add_to_other_config", vm, f"key{number}", "x")
        if number == 150:
            client.vdi(2 * MIB, name_label="late")
    server.kill()

    pool = simulated_pool(tmp_path / "state")
    again = client_of(pool)
    assert again.rpc("task.get_all") == []
    record = again.rpc("VM.get_record", vm)
    assert (record["name_label"], record["tags"], record["VBDs"]) == ("kept", ["one", "two"], [vbd])
    keys = [k for k in record["other_config"] if k.startswith("key")]
    assert keys == [f"key{n}" for n in range(len(keys))]
    assert again.export(vdi) == content
    assert int(again.rpc("VDI.get_physical_utilisation", vdi)) == 6 * MIB
    known = {one["uuid"] for one in pool.records("VDI").values()}
    assert {path.stem for path in (tmp_path / "state" / "vdi").glob("*.raw")} <= known
    late = again.rpc("VDI.get_by_name_label", "late")
    assert [again.export(one) for one in late] == [bytes(2 * MIB)] * len(late)


def test_changes_are_on_disk_a_moment_later(simulated_pool, client_of, tmp_path):
    pool = simulated_pool(tmp_path / "state")
    vm = client_of(pool).vm(name_label="soon")

    def kept() -> int:
        with contextlib.closing(sqlite3.connect(tmp_path / "state" / "pool.sqlite")) as base:
            return base.execute("select count(*) from record where ref = ?", (vm,)).fetchone()[0]

    deadline = time.monotonic() + 10
    while not kept() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert kept() == 1


def test_what_was_under_way_ends_with_the_pool(simulated_pool, client_of, tmp_path):
    pool = simulated_pool(tmp_path / "state")
    client = client_of(pool)
    vm, task = client.vm(), client.task()
    pool.state.store.set("VM", vm, current_operations={task: "import"})
    pool.stop()
    pool.start()
    client = client_of(pool)
    assert client.rpc("VM.get_current_operations", vm) == {}
    client.rpc("VM.destroy", vm)


def test_all_that_a_pool_can_hold_comes_back(simulated_pool, client_of, tmp_path):
    """Bonds, tunnels, appliances, checkpoints, vTPMs, blocked operations: every record as it was."""
    pool = simulated_pool(tmp_path / "state", layout=Layout(hosts=2, nics=3), guest_agent=True)
    client = client_of(pool)
    vm = client.vm(HVM_boot_params={"firmware": "uefi"}, tags=["t"])
    client.rpc("VTPM.create", vm, False)
    client.vbd(vm, client.vdi(2 * MIB))
    client.vif(vm, client.rpc("network.get_all")[0])
    client.rpc("VM.set_appliance", vm, client.rpc("VM_appliance.create", {"name_label": "a", "name_description": ""}))
    client.rpc("VM.start", vm, False, False)
    client.rpc("VM.checkpoint", vm, "c")
    client.rpc("VM.add_to_blocked_operations", vm, "destroy", "kept")
    pifs = client.rpc("PIF.get_all_records")
    host = client.rpc("host.get_all")[1]
    pair = [r for r, p in pifs.items() if p["host"] == host and p["device"] in ("eth1", "eth2")]
    client.rpc("Bond.create", client.rpc("network.create", {"other_config": {}}), pair, "", "lacp", {})
    client.rpc("tunnel.create", next(iter(pifs)), client.rpc("network.create", {"other_config": {}}), "gre")
    classes = [c for c in load("26.1").classes if c not in ("session", "task", "event", "message")]
    before = {c: pool.records(c) for c in classes}
    pool.stop()
    pool.start()
    for cls, records in before.items():
        assert pool.records(cls) == records, cls


def test_what_disks_share_is_still_paid_for_once_after_a_restart(simulated_pool, client_of, tmp_path):
    pool = simulated_pool(tmp_path / "pool")
    client = client_of(pool)
    sr, vdi = client.sr(), client.vdi(20 * MIB)
    client.upload(vdi, os.urandom(8 * MIB))
    snapshot = client.rpc("VDI.snapshot", vdi)
    client.rpc("VDI.clone", snapshot)
    pool.stop()
    again = client_of(simulated_pool(tmp_path / "pool"))
    assert again.rpc("SR.get_physical_utilisation", sr) == str(8 * MIB)
    again.rpc("VDI.destroy", snapshot)


def test_records_come_back_in_the_order_they_were_made_in(simulated_pool, client_of, tmp_path):
    pool = simulated_pool(tmp_path / "state", hosts=3)
    client = client_of(pool)
    vm = client.vm()
    vbds = [client.vbd(vm, client.vdi(MIB), userdevice=str(n)) for n in range(5)]
    client.rpc("VBD.add_to_other_config", vbds[0], "changed", "later")
    hosts, addresses = client.rpc("host.get_all"), pool.addresses
    pool.stop()
    pool.start()
    client = client_of(pool)
    assert client.rpc("VM.get_VBDs", vm) == vbds
    assert (client.rpc("host.get_all"), pool.addresses) == (hosts, addresses)


def test_a_disk_whose_file_is_gone_is_gone(simulated_pool, client_of, tmp_path):
    pool = simulated_pool(tmp_path / "state")
    client = client_of(pool)
    vm, vdi = client.vm(), client.vdi(MIB)
    client.vbd(vm, vdi)
    path = pool.vdi_path(client.rpc("VDI.get_uuid", vdi))
    pool.stop()
    path.unlink()
    path.with_name("00000000-0000-4000-8000-000000000000.raw").write_bytes(b"stray")
    pool.start()
    client = client_of(pool)
    assert (client.rpc("VM.get_VBDs", vm), client.answer("VDI.get_uuid", client.session, vdi)["Status"]) == (
        [],
        "Failure",
    )
    assert list(path.parent.glob("*.raw")) == []


def test_a_state_that_is_none_is_refused(tmp_path):
    (tmp_path / "pool.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(UsageError, match="no state of a simulated pool"):
        Pool(tmp_path).start()


def test_a_pool_that_is_not_to_be_kept_leaves_the_state_alone(simulated_pool, client_of, tmp_path):
    pool = simulated_pool(tmp_path / "state")
    pool.stop()
    other = Pool(tmp_path / "state", save=False, login_delay=0).start()
    try:
        vm = client_of(other).vm()
    finally:
        other.stop()
    pool.start()
    assert vm not in pool.records("VM")


# size


def test_ten_thousand_vms_are_held_and_told_quickly(simulated_pool, client_of):
    """Bounds in CPU seconds, as a test machine may be busy; five times what was measured on one slow core."""
    pool = simulated_pool(save=False)
    before = time.process_time()
    vms = pool.populate(vms=10_000)
    assert time.process_time() - before < 20
    assert len(set(vms)) == 10_000
    before = time.process_time()
    records = pool.records("VM")
    assert time.process_time() - before < 3
    assert len(records) > 10_000
    one = records[vms[1234]]
    assert (one["name_label"], len(one["VBDs"]), len(one["VIFs"])) == ("vm-01234", 1, 1)
    client = client_of(pool)
    assert client.rpc("VM.get_by_name_label", "vm-09999") == [vms[9999]]
    assert len(client.rpc("VM.get_all")) == len(records)


def test_events_cost_what_changed_and_not_what_exists():
    store = Store(load("26.1"))
    refs = [store.add("network", {"name_label": f"n{n}"}) for n in range(5000)]
    looked: list[object] = []

    class Counted(dict):
        def items(self):
            pairs = super().items()

            class View:
                def __reversed__(self):
                    for pair in reversed(pairs):
                        looked.append(pair)
                        yield pair

            return View()

    store._recent = Counted(store._recent)
    since = store.generation
    for ref in refs[:10]:
        store.touch("network", ref)
    assert [(o, r) for _g, o, _c, r in store.changes(since)] == [("mod", ref) for ref in refs[:10]]
    assert len(looked) == 11
