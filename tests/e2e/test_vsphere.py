# SPDX-License-Identifier: Apache-2.0
"""vSphere to a pool, both simulated: one machine in every state, and a batch of 50 that is stopped and goes on."""

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.vsphere_estate import patterned
from v2x.model.units import MIB
from v2x.simulators.vsphere import Account, DiskSpec, MachineSpec
from v2x.simulators.vsphere.sessions import MIGRATION

NETWORK = "Pool-wide network associated with eth0"


@pytest.fixture
def site(bench, simulated_vsphere, monkeypatch):
    """The pair: a vCenter without machines, and the pool of `bench`."""
    vcenter = simulated_vsphere(estate="empty", password="secret")
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "secret")
    return Site(bench, vcenter)


class Site:
    def __init__(self, bench, vcenter):
        self.bench, self.vcenter = bench, vcenter
        self.address = f"vsphere://{vcenter.user}@127.1:{vcenter.port}"
        self.pin = ("--source-fingerprint", vcenter.fingerprint)

    def add(self, name, *disks, power="poweredOff", **more):
        images = [patterned(self.bench.folder / f"{name}-{n}.raw", size, seed=n + 7) for n, size in enumerate(disks)]
        specs = tuple(DiskSpec(image=image, size_bytes=512) for image in images)
        self.vcenter.add_vm(MachineSpec(name=name, disks=specs, power=power, **more))
        return images

    def v2x(self, *words, **options):
        return self.bench.v2x(*words, *self.pin, **options)

    def migrate(self, name, *words):
        return self.bench.migrate(self.address, name, *self.pin, *words)

    def calls(self, method):
        return len(self.vcenter.ledger.calls_of(method))

    def power(self, name):
        return self.v2x("inventory", self.address, "--json", "--select", name, pool=False).json["machines"][0][
            "power_state"
        ]

    def snapshots(self):
        ran = self.v2x("cleanup", "--source", self.address, "--json", pool=False)
        assert ran.code == 0, ran.err
        return ran.json["leftovers"]


def same(bench, name, images, same_bytes):
    for image, held in zip(images, bench.vdis_of(bench.vm(name)), strict=True):
        same_bytes(held, image, "raw", bench.folder)


def test_a_machine_that_is_off(site, same_bytes):
    images = site.add("web01", 9 * MIB, 5 * MIB)
    ran = site.migrate("web01")
    assert ran.code == 0, ran.err
    same(site.bench, "web01", images, same_bytes)
    assert not site.bench.leftovers()
    assert site.calls("CreateSnapshot_Task") == 0, "nothing changes at the source"


def test_a_machine_that_runs_is_refused_with_the_choices(site):
    site.add("web01", 4 * MIB, power="poweredOn")
    ran = site.migrate("web01")
    assert ran.code == 4
    assert "[POWERED-ON]" in ran.err and "--running shutdown" in ran.err and "--running snapshot" in ran.err
    assert not site.bench.leftovers() and site.calls("CreateSnapshot_Task") == 0


def test_a_running_machine_through_our_snapshot(site, same_bytes):
    images = site.add("web01", 6 * MIB, power="poweredOn")
    ran = site.migrate("web01", "--running", "snapshot", "--quiesce")
    assert ran.code == 0, ran.err
    assert "through a snapshot named" in ran.err
    same(site.bench, "web01", images, same_bytes)
    assert site.snapshots() == []
    assert site.calls("CreateSnapshot_Task") == site.calls("RemoveSnapshot_Task") == 1
    assert site.power("web01") == "on"


def test_a_running_machine_is_shut_down_first(site, same_bytes):
    images = site.add("web01", 4 * MIB, power="poweredOn")
    ran = site.migrate("web01", "--running", "shutdown")
    assert ran.code == 0, ran.err
    same(site.bench, "web01", images, same_bytes)
    assert site.calls("ShutdownGuest") == 1 and site.calls("CreateSnapshot_Task") == 0
    assert site.power("web01") == "off"


def test_a_guest_that_does_not_shut_down_is_switched_off_only_when_asked(site, same_bytes):
    site.vcenter.settings.guests_ignore_shutdown = True
    images = site.add("web01", 4 * MIB, power="poweredOn")
    ran = site.migrate("web01", "--running", "shutdown", "--shutdown-minutes", "0.002")
    assert ran.code == 4 and "[GUEST-STILL-ON]" in ran.err
    assert site.power("web01") == "on" and not site.calls("PowerOffVM_Task")
    ran = site.migrate("web01", "--running", "power-off", "--shutdown-minutes", "0.002")
    assert ran.code == 0, ran.err
    assert "is switched off" in ran.err
    same(site.bench, "web01", images, same_bytes)


def test_a_machine_that_was_brought_down_for_nothing_is_switched_on_again(site):
    site.add("web01", 4 * MIB, power="poweredOn")
    ran = site.migrate("web01", "--running", "shutdown", "--transport", "vddk")
    assert ran.code != 0
    assert "web01 was switched on again at the source" in ran.err
    assert site.power("web01") == "on"


def test_a_failed_run_says_that_its_snapshot_stays_and_cleanup_removes_it(site, same_bytes):
    images = site.add("web01", 4 * MIB, power="poweredOn")
    ran = site.migrate("web01", "--running", "snapshot", "--transport", "vddk")
    assert ran.code != 0
    assert "stays at the source" in ran.err and "v2x cleanup --source" in ran.err
    (left,) = site.snapshots()
    assert (left["where"], left["name"], left["removed"]) == ("source", "web01", False)
    again = site.migrate("web01", "--running", "snapshot")
    assert again.code == 0, again.err
    assert "goes on with the snapshot of an earlier run" in again.err
    same(site.bench, "web01", images, same_bytes)
    assert site.snapshots() == [] and site.calls("CreateSnapshot_Task") == 1


def test_leftovers_at_the_source_go_with_yes(site):
    site.add("web01", 4 * MIB, power="poweredOn")
    assert site.migrate("web01", "--running", "snapshot", "--transport", "vddk").code != 0
    ran = site.v2x("cleanup", "--source", site.address, "--yes", pool=False)
    assert ran.code == 0 and "removed: web01" in ran.out
    assert site.snapshots() == []


def test_disks_that_are_lent_stay_with_their_owner(site, same_bytes):
    """A backup proxy moves without the disks it has borrowed."""
    site.add("web01", 4 * MIB)
    (own,) = [patterned(site.bench.folder / "own.raw", 2 * MIB, seed=3)]
    borrowed = DiskSpec(borrowed="[vmfs6-ssd] web01/web01.vmdk", mode="independent_nonpersistent")
    site.vcenter.add_vm(MachineSpec(name="proxy", disks=(DiskSpec(image=own, size_bytes=512), borrowed)))
    ran = site.migrate("proxy")
    assert ran.code == 0, ran.err
    same(site.bench, "proxy", [own], same_bytes)


def test_a_session_that_ends_in_mid_copy_is_survived(site, same_bytes):
    images = site.add("web01", 8 * MIB, 6 * MIB)
    site.vcenter.faults.arm("lose_session", target="RetrievePropertiesEx", after=30)
    site.vcenter.settings.cookie_life = 0.5
    ran = site.migrate("web01", "--transport", "https")
    assert ran.code == 0, ran.err
    same(site.bench, "web01", images, same_bytes)


def test_a_refused_login_and_an_unknown_machine(site, monkeypatch):
    site.add("web01", MIB)
    ran = site.migrate("web99")
    assert ran.code == 2 and "web01" in ran.err
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "not-the-one")
    ran = site.migrate("web01")
    assert ran.code == 5 and "[LOGIN]" in ran.err and "not-the-one" not in ran.err


def test_an_account_without_the_privileges(site, monkeypatch):
    site.add("web01", MIB, power="poweredOn")
    ran = site.v2x("inventory", site.address, "--json", pool=False)
    assert ran.json["source"]["missing_privileges"] == []
    rights = MIGRATION - {"VirtualMachine.State.CreateSnapshot"}
    poor = site.vcenter.state.sessions
    poor._accounts["mover@vsphere.local"] = Account("mover@vsphere.local", "secret", frozenset(rights))
    site.address = f"vsphere://mover@vsphere.local@127.1:{site.vcenter.port}"
    ran = site.migrate("web01", "--running", "snapshot")
    assert ran.code == 5 and "VirtualMachine.State.CreateSnapshot" in ran.err and "[PERMISSION]" in ran.err


def drafted(site, count, *words):
    """A plan of `count` machines of which every seventh runs; the images of their disks by name."""
    images = {}
    for number in range(count):
        name = f"vm{number:02}"
        running = number % 7 == 3
        sizes = (MIB, 512 * 1024) if number % 5 == 0 else (MIB,)
        images[name] = site.add(name, *sizes, power="poweredOn" if running else "poweredOff")
    network = ("--network", f"*={NETWORK}")
    ran = site.v2x("plan", "draft", site.address, "--target", site.bench.target, "-o", "plan.csv", *network, *words)
    assert ran.code == 0, ran.err
    rows = list(csv.DictReader(Path("plan.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert len(rows) == count
    for number, row in enumerate(sorted(rows, key=lambda row: row["machine_name"])):
        row["target_name"] = f"new-{row['machine_name']}"
        row["running"] = "snapshot" if number % 2 else "shutdown"
    with Path("plan.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return images


@pytest.mark.timeout(600)
def test_a_batch_of_fifty_that_is_killed_goes_on(site, same_bytes):
    images = drafted(site, 50)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    pins = ("--source-fingerprint", site.vcenter.fingerprint, "--target-fingerprint", site.bench.pool.fingerprint)
    words = ["batch", "run", "plan.csv", "--state", str(site.bench.folder / "state"), "--quiet"]
    killed = subprocess.Popen(
        [sys.executable, "-m", "v2x", *words, *pins], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 120
    while len(arrived(site)) < 10 and time.monotonic() < deadline and killed.poll() is None:
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    assert 10 <= len(arrived(site)) < 50
    ran = site.bench.v2x(*words, *pins, "--json", pool=False)
    assert ran.code == 0, ran.err
    document = ran.json
    assert {one["outcome"] for one in document["migrations"]} <= {"migrated", "already migrated"}
    assert sorted(arrived(site)) == sorted(f"new-{name}" for name in images)
    for name, disks in images.items():
        same(site.bench, f"new-{name}", disks, same_bytes)
    assert not site.bench.leftovers() and site.snapshots() == []


def arrived(site):
    """Machines on the pool that are sealed."""
    return [
        one["name_label"]
        for one in site.bench.pool.records("VM").values()
        if "v2x-sealed" in one["other_config"] and not one["is_a_snapshot"]
    ]


def test_a_batch_from_a_plan(site, same_bytes):
    images = drafted(site, 8)
    ran = site.v2x(
        "batch", "run", "plan.csv", "--target-fingerprint", site.bench.pool.fingerprint, "--json", pool=False
    )
    assert ran.code == 0, ran.err
    for name, disks in images.items():
        same(site.bench, f"new-{name}", disks, same_bytes)
    assert not site.bench.leftovers() and site.snapshots() == []
    assert site.calls("ShutdownGuest") + site.calls("CreateSnapshot_Task") == 1


def test_a_plan_says_what_becomes_of_running_machines(site):
    site.add("web01", MIB, power="poweredOn")
    words = ("--target", site.bench.target, "-o", "plan.csv", "--network", f"*={NETWORK}", "--running", "shutdown")
    assert site.v2x("plan", "draft", site.address, *words).code == 0
    (row,) = csv.DictReader(Path("plan.csv").read_text(encoding="utf-8-sig").splitlines())
    assert row["running"] == "shutdown"


def test_saved_inventories_assess_like_the_source(site):
    site.add("web01", MIB)
    assert site.v2x("inventory", site.address, "-o", "inventory.json", pool=False).code == 0
    live = site.v2x("assess", site.address, "--json", pool=False).json
    saved = site.bench.v2x("assess", "inventory.json", "--json", pool=False).json
    assert [one["name"] for one in live["machines"]] == [one["name"] for one in saved["machines"]] == ["web01"]


def test_doctor_says_how_each_disk_will_be_read(site):
    site.add("web01", MIB, MIB)
    ran = site.v2x("doctor", "--source", site.address, "--machine", "web01", "--json", pool=False)
    assert ran.code == 0, ran.err
    checks = {one["check"]: one for one in ran.json["checks"]}
    assert checks["Hard disk 1"]["found"].startswith("https: ")
    assert checks["snapshots"]["ok"] and checks["transport nfc"]["ok"]
