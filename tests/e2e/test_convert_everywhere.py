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
import uuid
from pathlib import Path

import pytest

from tests.guest_disks import KERNEL, MIB, UUID, debian_disk, in_guest
from tests.hyperv_exports import Stored, export
from tests.hyperv_images import Vhdx
from tests.pretended import PUT, WHERE, conversion
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
            subprocess.run(["cp", "--sparse=always", guest, image], check=True)
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
    ova = write_ova(bench.folder / "web.ova", ApplianceSpec(name="web", disks=(DiskSpec(raw=guest),))).path
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


@pytest.fixture
def pretended(monkeypatch):
    """A conversion without a virtual machine."""
    made = []
    monkeypatch.setattr("v2x.migrate.guest.converted_guest", conversion(made))
    return made


def is_patched(bench, name, content):
    (path,) = bench.vdis_of(bench.vm(name))
    held = path.read_bytes()
    wanted = bytearray(content)
    wanted[WHERE : WHERE + len(PUT)] = PUT
    assert held[: len(wanted)] == wanted
    assert not any(held[len(wanted) :])
    assert not bench.leftovers()


def test_each_transport_that_can_go_back_brings_the_same(site, bench, pretended, guest):
    for number, words in enumerate((("--transport", "https"), ("--transport", "nfc", "--stage", bench.folder / "s"))):
        site.add(f"web{number}")
        ran = bench.migrate(site.address, f"web{number}", "--convert", "auto", *words, *site.pins)
        assert ran.code == 0, ran.err
        is_patched(bench, f"web{number}", guest.read_bytes())
    assert len(pretended) == 2
    assert not list((bench.folder / "s").iterdir()), "no staged file stays"


def test_little_in_use_is_not_read_by_an_export_where_the_guest_is_converted(site, bench, pretended, guest):
    """An export is what such a disk is read by otherwise."""
    for name in ("web01", "web02"):
        site.add(name)
    ran = bench.migrate(site.address, "web01", "--convert", "auto", *site.pins)
    assert ran.code == 0, ran.err
    is_patched(bench, "web01", guest.read_bytes())
    assert not site.vcenter.ledger.calls_of("ExportVm")
    assert bench.migrate(site.address, "web02", *site.pins).code == 0
    assert site.vcenter.ledger.calls_of("ExportVm")


def test_warm_it_is_a_patch_on_the_pool_too(site, bench, pretended, guest):
    machine = site.add("web01", power="poweredOn", tracking=True)
    ran = bench.migrate(site.address, "web01", "--warm", "--convert", "auto", "--outage", "5", *site.pins)
    assert ran.code == 0, ran.err
    is_patched(bench, "web01", guest.read_bytes())
    assert len(pretended) == 2 and site.digest(machine) == hashlib.sha256(guest.read_bytes()).digest()


def test_an_appliance_and_a_folder_of_hyper_v_are_converted_alike(bench, pretended, guest):
    ova = write_ova(bench.folder / "web.ova", ApplianceSpec(name="web", disks=(DiskSpec(raw=guest),))).path
    ran = bench.migrate(ova, "--convert", "auto")
    assert ran.code == 0, ran.err
    is_patched(bench, "web", guest.read_bytes())
    stored = Stored(name="hv", ide={(0, 0): r"C:\x\sys.vhdx"})
    disk = Vhdx(raw=guest.read_bytes(), data_write=uuid.UUID(int=7)).packed()
    folder = export(bench.folder / "hv", stored, {"sys.vhdx": disk})
    ran = bench.migrate(folder, "hv", "--convert", "auto")
    assert ran.code == 0, ran.err
    is_patched(bench, "hv", guest.read_bytes())


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
