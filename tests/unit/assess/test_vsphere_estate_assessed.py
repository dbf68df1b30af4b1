# SPDX-License-Identifier: Apache-2.0
"""The stand-in's odd estate, listed over its interface as a vCenter is, and what the rules say of its oddities."""

import pytest

from v2x.assess.engine import assess
from v2x.model.address import parse_address
from v2x.model.finding import Severity, Verdict, verdict_of
from v2x.secrets import Secret
from v2x.simulators.vsphere import VsphereSimulator
from v2x.sources.vsphere.source import VsphereSource
from v2x.tls import Trust

SPOKEN = {
    "db-primary": "disk.iops-limit nic.bandwidth-limit cpu.numa-affinity machine.latency-sensitive hardware.hot-add "
    "together.affinity together.host-affinity",
    "web02": "together.anti-affinity machine.resource-pool guest.static-address",
    "dc01": "machine.encrypted disk.encrypted vtpm.content-not-moved identity.domain-controller",
    "template-ubuntu": "machine.template",
    "disk-modes": "disk.independent",
    "cluster-node-1": "disk.shared together.shared-disk",
    "rdm-physical": "disk.raw-device",
    "filtered": "disk.io-filters",
    "huge": "disk.too-large-for-vhd disk.on-vsan machine.long-copy",
    "odd-size": "disk.rounded-up",
    "no-disk": "disk.none",
    "snapshots-of-others": "backup.temporary-snapshot machine.snapshots machine.locked",
    "suspended": "machine.suspended",
    "gpu": "device.passthrough",
    "vgpu": "device.vgpu",
    "dongle": "device.usb",
    "old-ports": "device.port device.floppy nic.legacy nic.disconnected cd.image-not-moved guest.out-of-support",
    "networks": "nic.trunk nic.private-vlan nic.internal-switch nic.forged-transmits nic.sriov",
    "nested-hv": "cpu.nested-virtualization guest.hypervisor",
    "ft-primary": "machine.fault-tolerance",
    "mac-os": "guest.macos",
    "vcsa": "estate.appliance",
    "vCLS-00000001-0000-4000-8000-000000000001": "estate.cluster-service",
    "web01_replica": "estate.backup-replica backup.jobs",
    "mail-placeholder": "estate.placeholder",
    "backup-proxy": "estate.backup-proxy backup.borrowed-disk guest.many-windows-disks",
    "shop-db": "together.vapp machine.start-order machine.starts-again",
    "lost-orphaned": "machine.not-connected host.not-connected disk.datastore-unreachable",
}


@pytest.fixture(scope="module")
def assessed(tmp_path_factory, tables):
    """Findings by machine name, and those of the estate under an empty one."""
    with VsphereSimulator(tmp_path_factory.mktemp("estate")) as simulator:
        address = parse_address(f"vsphere://{simulator.user}@127.1:{simulator.port}")
        trust = Trust(fingerprint=simulator.fingerprint, option="source")
        with VsphereSource.open(address, password=Secret(simulator.password), trust=trust) as source:
            inventory = source.inventory()
    found = {}
    for one in assess(inventory, None, tables):
        found.setdefault(one.machine_name, []).append(one)
    return found


@pytest.mark.parametrize("name", SPOKEN)
def test_the_rules_speak_of_an_odd_machine(assessed, name):
    spoken = {one.rule for one in assessed[name] if one.severity is not Severity.UNKNOWN}
    assert set(SPOKEN[name].split()) <= spoken


def test_what_should_not_be_moved_is_blocked(assessed):
    for name in ("vcsa", "mail-placeholder", "web01_replica", "lost-orphaned", "suspended", "mac-os"):
        assert verdict_of(assessed[name]) is Verdict.BLOCKED, name


def test_the_estate_is_spoken_of_as_a_whole(assessed):
    assert {"source.drs", "source.dpm", "target.not-given"} <= {one.rule for one in assessed[""]}


def test_a_live_source_leaves_little_unknown_but_the_pool_and_the_insides_of_guests(assessed):
    lacking = [one for one in assessed[""] if one.severity is Severity.UNKNOWN and not one.machines]
    needs_pool = [one for one in lacking if "pool" in one.text.lower()]
    assert len(lacking) - len(needs_pool) <= 6
