# SPDX-License-Identifier: Apache-2.0
"""Guests converted on every way to the pool, by the real libguestfs, and refused where they cannot be."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

from tests.guest_disks import KERNEL, MIB, UUID, debian_disk, in_guest
from v2x.simulators.appliance import ApplianceSpec, DiskSpec, write_ova
from v2x.simulators.vsphere import DiskSpec as LiveDisk
from v2x.simulators.vsphere import MachineSpec, NicSpec

ROOT = Path(__file__).parents[2]
NETWORK = "Pool-wide network associated with eth0"


@pytest.fixture(autouse=True)
def emulated(monkeypatch):
    monkeypatch.setenv("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    return debian_disk(tmp_path_factory.mktemp("guest"))


@pytest.fixture
def site(bench, simulated_vsphere, monkeypatch, guest):
    vcenter = simulated_vsphere(estate="empty", password="secret")
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "secret")

    class Site:
        address = f"vsphere://{vcenter.user}@127.1:{vcenter.port}"
        pins = ("--source-fingerprint", vcenter.fingerprint)

        def add(self, name, **more):
            image = bench.folder / f"{name}.raw"
            image.write_bytes(guest.read_bytes())
            disks = (LiveDisk(image=image, size_bytes=512),)
            return vcenter.add_vm(MachineSpec(name=name, disks=disks, nics=(NicSpec(network="VM Network"),), **more))

        def digest(self, machine):
            (disk,) = vcenter.disks(machine).values()
            return hashlib.sha256(disk.read(0, disk.size_bytes)).digest()

    made = Site()
    made.vcenter = vcenter
    return made


def is_put_right(bench, name):
    (path,) = bench.vdis_of(bench.vm(name))
    held = path.read_bytes()
    assert f"UUID={UUID}\t/ ext4" in in_guest(held, "/etc/fstab", bench.folder)
    assert "xen-blkfront" in in_guest(held, f"/boot/initrd.img-{KERNEL}", bench.folder)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_warm_it_is_tried_while_it_runs_and_done_in_the_outage(site, bench):
    machine = site.add("web01", power="poweredOn", tracking=True)
    before = site.digest(machine)
    ran = bench.migrate(site.address, "web01", "--warm", "--convert", "auto", "--outage", "5", *site.pins)
    assert ran.code == 0, ran.err
    is_put_right(bench, "web01")
    assert site.digest(machine) == before, "the source is only read"
    (migration,) = json.loads((bench.folder / "report.json").read_text())["migrations"]
    assert {one["kind"] for one in migration["changes"]} >= {"edit", "command"}
    assert migration["disks"][0]["verified"] == "full"
    assert "inside the guest" in (bench.folder / "report.html").read_text()
    assert not bench.leftovers()


PROGRAM = "import sys\nfrom v2x.cli import run\nsys.exit(run(sys.argv[1:]))\n"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_in_the_outage_the_same_command_goes_on(site, bench):
    """kill -9 as soon as the disk on the pool names the blocks that the conversion is about to write."""
    site.add("web01", power="poweredOn", tracking=True)
    words = (
        *("migrate", site.address, "web01", "--warm", "--convert", "auto", "--outage", "5", *site.pins, "--quiet"),
        *("--target", bench.target, "--target-fingerprint", bench.pool.fingerprint, "--network", f"*={NETWORK}"),
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    first = subprocess.Popen(command, env=environment, cwd=bench.folder, stderr=subprocess.DEVNULL)

    def marked():
        found = bench.pool.records("VDI").values()
        return any("+guest:" in text for one in found for text in one["other_config"].values())

    while not marked():
        assert first.poll() is None
        time.sleep(0.005)
    first.send_signal(signal.SIGKILL)
    first.wait()
    again = subprocess.run(command, env=environment, cwd=bench.folder, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    is_put_right(bench, "web01")
    assert not bench.leftovers()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_batch_converts_the_rows_that_say_so(site, bench):
    """One row warm, one cold, one not converted; one conversion after the other."""
    for name, more in (("cold01", {}), ("warm01", {"power": "poweredOn", "tracking": True}), ("plain01", {})):
        site.add(name, **more)
    pins = (*site.pins, "--target-fingerprint", bench.pool.fingerprint)
    words = ("--target", bench.target, "-o", "plan.csv", "--network", f"*={NETWORK}")
    assert bench.v2x("plan", "draft", site.address, *words, *pins, pool=False).code == 0
    plan = bench.folder / "plan.csv"
    lines = plan.read_text(encoding="utf-8-sig").splitlines()
    kept = [
        line if "plain01" in line else line.replace(",cold,off,", ",warm,auto," if "warm01" in line else ",cold,auto,")
        for line in lines
    ]
    plan.write_text("\n".join(kept))
    checked = bench.v2x("plan", "check", "plan.csv", *pins, pool=False)
    assert checked.code == 0 and "libguestfs" in checked.out
    assert bench.v2x("batch", "throttle", "conversions=1", pool=False).code == 0

    def cut_over():
        while bench.v2x_quietly("batch", "cutover", "--all") != 0:
            time.sleep(0.5)

    bench.v2x_quietly = lambda *words: subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], cwd=bench.folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, check=False,
    ).returncode  # fmt: skip
    thread = threading.Thread(target=cut_over)
    thread.start()
    ran = bench.v2x("batch", "run", "plan.csv", *pins, "--quiet", pool=False)
    thread.join()
    assert ran.code == 0, ran.err
    is_put_right(bench, "cold01")
    is_put_right(bench, "warm01")
    (path,) = bench.vdis_of(bench.vm("plain01"))
    assert "/dev/sda1" in in_guest(path.read_bytes(), "/etc/fstab", bench.folder)
    text = bench.v2x("batch", "report", pool=False).out
    assert text.count("edited /etc/fstab") == 2
    assert "+ UUID=" in text


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_appliance_becomes_an_xva_with_its_guest_put_right(bench, guest):
    before = guest.read_bytes()
    ova = write_ova(ApplianceSpec(name="web", disks=(DiskSpec(image=guest),)), bench.folder / "web.ova")
    ran = bench.v2x("convert", ova, bench.folder / "out.xva", "--convert-guest", "--json")
    assert ran.code == 0, ran.err
    assert "/etc/fstab" in {one["what"] for one in ran.json["changes"]}
    content = bytearray(34 * MIB)
    with tarfile.open(bench.folder / "out.xva") as archive:
        for member in archive:
            number, taken = member.name.rpartition("/")[2], archive.extractfile(member)
            if number.isdecimal() and taken is not None and member.size:
                content[int(number) * MIB : int(number) * MIB + member.size] = taken.read()
    assert f"UUID={UUID}\t/ ext4" in in_guest(bytes(content), "/etc/fstab", bench.folder)
    assert guest.read_bytes() == before


def test_an_export_that_only_flows_forward_is_refused_by_name(site, bench):
    site.add("web01")
    ran = bench.migrate(site.address, "web01", "--transport", "nfc", "--convert", "auto", *site.pins)
    assert ran.code == 2
    assert "[FORWARD-ONLY]" in ran.err and "web01" in ran.err and "--transport https" in ran.err
    assert not bench.leftovers()
    assert not site.vcenter.ledger.calls_of("ExportVm")


def test_without_libguestfs_nothing_is_written(site, bench, monkeypatch):
    site.add("web01")
    monkeypatch.setattr("v2x.convert.guestfs.PYTHON", "/nonexistent/python3")
    ran = bench.migrate(site.address, "web01", "--convert", "auto", *site.pins)
    assert ran.code == 2
    assert "[MISSING-TOOL]" in ran.err and "apt install python3-guestfs" in ran.err
    assert not bench.leftovers()
    pins = (*site.pins, "--target-fingerprint", bench.pool.fingerprint)
    words = ("--target", bench.target, "-o", "plan.csv", "--network", f"*={NETWORK}")
    assert bench.v2x("plan", "draft", site.address, *words, *pins, pool=False).code == 0
    plan = bench.folder / "plan.csv"
    plan.write_bytes(plan.read_bytes().replace(b",cold,off,", b",cold,auto,"))
    checked = bench.v2x("plan", "check", "plan.csv", *pins, pool=False)
    assert checked.code == 0 and "plan.convert-tools" in checked.out
    ran = bench.v2x("batch", "run", "plan.csv", *pins, pool=False)
    assert ran.code == 2 and "MISSING-TOOL" in ran.err
    assert not bench.leftovers()
