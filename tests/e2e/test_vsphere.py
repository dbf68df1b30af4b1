# SPDX-License-Identifier: Apache-2.0
"""vSphere to a pool, both simulated: one machine in every state, and a batch of 50 that is stopped and goes on."""

import pytest

from tests.vsphere_estate import patterned
from v2x.model.units import MIB
from v2x.simulators.vsphere import DiskSpec, MachineSpec

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
