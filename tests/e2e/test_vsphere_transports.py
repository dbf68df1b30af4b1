# SPDX-License-Identifier: Apache-2.0
"""The same machine to the pool over each transport: the same bytes, and as thin as the source is."""

import json
import threading
import time
from pathlib import Path

import pytest

from tests import sshd
from tests.places import nbdkit_with
from tests.vsphere_estate import patterned
from v2x.model.units import MIB
from v2x.simulators.vsphere import DiskSpec, MachineSpec
from v2x.simulators.vsphere.events import set_power

SIZE = 24 * MIB


@pytest.fixture
def estate(bench, simulated_vsphere, monkeypatch, tmp_path):
    """A vCenter with one machine that is off; (bench, vcenter, image of its disk)."""
    vcenter = simulated_vsphere(estate="empty", password="secret")
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "secret")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    image = patterned(bench.folder / "web.raw", SIZE, seed=3)
    # Twelve blocks of zeros in the middle, which nothing but reading tells.
    with image.open("r+b") as file:
        file.seek(MIB)
        file.write(bytes(20 * MIB))
    vcenter.add_vm(MachineSpec(name="web", disks=(DiskSpec(image=image, size_bytes=512),), tracking=True))
    return bench, vcenter, image


def migrated(estate, *words):
    bench, vcenter, _ = estate
    address = f"vsphere://{vcenter.user}@127.1:{vcenter.port}"
    ran = bench.migrate(address, "web", "--source-fingerprint", vcenter.fingerprint, *words)
    assert ran.code == 0, ran.err
    (held,) = bench.vdis_of(bench.vm("web"))
    return held


def check(estate, same_bytes, *words):
    bench, _, image = estate
    held = migrated(estate, *words)
    same_bytes(held, image, "raw", bench.folder)
    assert held.stat().st_blocks * 512 < 8 * MIB, "blocks of zeros take no room on the pool"


@pytest.mark.parametrize("transport", ["https", "nfc"])
@pytest.mark.parametrize("allocation", ["auto", "read-all", "cbt"])
def test_what_needs_nothing(estate, same_bytes, transport, allocation):
    check(estate, same_bytes, "--transport", transport, "--allocation", allocation)


def test_a_transport_that_does_not_open_is_told_in_the_report(estate, same_bytes):
    bench, vcenter, _ = estate
    vcenter.faults.arm("status", target="folder", at=403, times=50)
    check(estate, same_bytes)
    warnings = json.dumps(json.loads((bench.folder / "report.json").read_text()))
    assert "does not let this user read web.vmdk" in warnings
    assert "trying nfc" in warnings


def with_vddk(vcenter, disk, tmp_path, **expected):
    """The words that have v2x read `disk` through a VDDK of ours, which checks what it is given."""
    libdir = tmp_path / "vmware-vix-disklib-distrib"
    (libdir / "lib64").mkdir(parents=True)
    (libdir / "lib64" / "libvixDiskLib.so.8").touch()
    machine = vcenter.machine("web")
    play = {
        "disk": str(disk),
        "expect": {
            "libdir": str(libdir),
            "server": "127.1",
            "user": vcenter.user,
            "thumbprint": vcenter.thumbprint,
            "vm": f"moref={machine.moid}",
            "transports": "file:nbdssl:nbd",
            "file": "[vmfs6-ssd] web/web.vmdk",
            **expected,
        },
        "password": "secret",
        "log": str(tmp_path / "log"),
    }
    (tmp_path / "play.json").write_text(json.dumps(play))
    program = nbdkit_with(Path(__file__).parents[1] / "vddk_fake.py", tmp_path / "play.json")
    (tmp_path / "v2x.toml").write_text(f'[vddk]\nnbdkit = "{program}"\n')
    return ("--vddk-libdir", libdir, "--config", tmp_path / "v2x.toml")


def test_vddk(estate, same_bytes, tmp_path):
    _, vcenter, image = estate
    # Given, it is also what auto takes.
    check(estate, same_bytes, *with_vddk(vcenter, image, tmp_path))
    assert (tmp_path / "log").exists()


def test_vddk_reads_a_running_machine_as_our_snapshot_keeps_it(estate, same_bytes, tmp_path):
    """What the guest writes after the snapshot goes to a delta file; the frozen base is what VDDK is told to read."""
    _, vcenter, image = estate
    machine = vcenter.machine("web")
    set_power(vcenter.state, machine, "poweredOn", "the test")
    (base,) = Path(vcenter.folder, "datastores").glob("*/web/web-flat.vmdk")
    done = threading.Event()

    def write_on():
        while not vcenter.ledger.calls_of("CreateSnapshot_Task") and not done.wait(0.005):
            pass
        time.sleep(0.05)
        for disk in vcenter.disks(machine).values():
            disk.write(0, b"later" * 1024 + bytes(512 - 5 * 1024 % 512))

    guest = threading.Thread(target=write_on)
    guest.start()
    words = with_vddk(vcenter, base, tmp_path, snapshot="snapshot-*")
    try:
        held = migrated(estate, "--running", "snapshot", "--transport", "vddk", *words)
    finally:
        done.set()
        guest.join()
    same_bytes(held, image, "raw", estate[0].folder)
    assert vcenter.disks(machine)[2000].read(0, 5) == b"later", "the machine went on"


def test_ssh(estate, same_bytes, tmp_path, tmp_path_factory):
    _, vcenter, _ = estate
    volumes = tmp_path / "volumes"
    volumes.mkdir()
    for datastore in Path(vcenter.folder, "datastores").iterdir():
        if (datastore / "web").is_dir():
            (volumes / "vmfs6-ssd").symlink_to(datastore)
    with sshd.running(tmp_path_factory.mktemp("ssh") / "sshd") as server:
        (tmp_path / "v2x.toml").write_text(
            f'[ssh]\nknown_hosts = "{server.known}"\nidentity = "{server.identity}"\nuser = "{server.user}"\n'
            f'port = {server.port}\nhost = "127.0.0.1"\nvolumes = "{volumes}"\n'
        )
        check(estate, same_bytes, "--transport", "ssh", "--config", tmp_path / "v2x.toml")


@pytest.mark.parametrize("network", ["Backup", "vmk1", "127.0.0.1/32"])
def test_disks_leave_the_host_by_the_network_that_was_chosen(estate, same_bytes, network):
    check(estate, same_bytes, "--source-network", network)


def test_a_network_that_leads_nowhere_is_really_used(estate):
    """The proof that the chosen address is the one that is connected to: on this adapter nobody answers."""
    bench, vcenter, _ = estate
    address = f"vsphere://{vcenter.user}@127.1:{vcenter.port}"
    ran = bench.migrate(address, "web", "--source-fingerprint", vcenter.fingerprint, "--source-network", "vmk2")
    assert ran.code == 4, ran.err
    assert "from 127.0.0.9 failed: Connection refused" in ran.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--source-network", "Moon"), "has no adapter on Moon"),
        (("--source-network", "127.0.0.0/8"), "has 3 adapters on 127.0.0.0/8"),
        (("--source-network", "Backup", "--transport", "https"), "cannot be led over Backup"),
    ],
)
def test_networks_that_cannot_be(estate, words, text):
    bench, vcenter, _ = estate
    address = f"vsphere://{vcenter.user}@127.1:{vcenter.port}"
    ran = bench.migrate(address, "web", "--source-fingerprint", vcenter.fingerprint, *words)
    assert ran.code in {2, 6}, ran.err
    assert text in ran.err
    assert not bench.leftovers()
