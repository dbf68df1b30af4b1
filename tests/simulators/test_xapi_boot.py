# SPDX-License-Identifier: Apache-2.0
"""VMs that really run: what QEMU is told, and the demo guest seen booting after its migration."""

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from v2x.cli import run
from v2x.errors import UsageError
from v2x.model.machine import Firmware
from v2x.simulators import programs
from v2x.simulators.appliance import ApplianceSpec, DiskSpec, NicSpec, write_ova
from v2x.simulators.guest import build_guest
from v2x.simulators.guest.build import MARKER
from v2x.simulators.xapi import Pool
from v2x.simulators.xapi.machines import Drive, Machine, Machines

MIB = 1024 * 1024
BOOT_SECONDS = 240


def machine(**more: object) -> Machine:
    values: dict[str, object] = {
        "uuid": "00000000-0000-4000-8000-000000000001",
        "uefi": False,
        "secure_boot": False,
        "memory_bytes": 4096 * MIB,
        "cpus": 64,
        "order": "cd",
        "drives": (),
        "macs": (),
        "bios_strings": {},
        "timeoffset": 0,
    }
    return Machine(**(values | more))


def disk(position: int, **more: object) -> Drive:
    return Drive(**({"position": position, "path": Path(f"/d{position}"), "writable": True, "cd": False} | more))


def devices(arguments: list[str]) -> list[str]:
    return [value for option, value in itertools.pairwise(arguments) if option == "-device"]


def test_never_kvm_and_never_more_than_a_share_of_this_machine(tmp_path):
    told = Machines(tmp_path)._arguments(machine())
    assert told[told.index("-accel") + 1] == "tcg,thread=multi"
    assert (told[told.index("-m") + 1], told[told.index("-smp") + 1]) == ("1024", "4")


def test_bios_has_ide_and_rtl8139_in_the_order_of_the_record(tmp_path):
    drives = (disk(0), disk(1), disk(3, cd=True, writable=False), disk(4))
    told = devices(Machines(tmp_path)._arguments(machine(drives=drives, macs=("00:01",) * 9, order="dcn")))
    assert told[:4] == [
        "ide-hd,bus=ide.0,unit=0,drive=disk0,bootindex=1",
        "ide-hd,bus=ide.0,unit=1,drive=disk1,bootindex=2",
        "ide-cd,bus=ide.1,unit=1,drive=disk2,bootindex=0",
        "virtio-blk-pci,drive=disk3,bootindex=3",
    ]
    assert len(told) == 4 + 8
    assert all(one.startswith("rtl8139,") for one in told[4:])


def test_uefi_has_nvme_and_two_e1000_and_its_own_variables(tmp_path):
    drives = (disk(0), disk(3, cd=True, writable=False))
    arguments = Machines(tmp_path)._arguments(machine(uefi=True, drives=drives, macs=("00:01",) * 3, order="c"))
    told = devices(arguments)
    assert told[0] == "nvme,serial=xen0,drive=disk0,bootindex=0"
    assert told[1] == "ide-cd,bus=ide.1,drive=disk1"
    assert [one.split(",")[0] for one in told[2:]] == ["e1000", "e1000"]
    assert (tmp_path / "00000000-0000-4000-8000-000000000001.vars").exists()
    assert "smm=off" in arguments[arguments.index("-machine") + 1]


def test_smbios_strings_and_clock_are_those_of_the_vm(tmp_path):
    strings = {"system-manufacturer": "Acme, Inc.", "bios-vendor": "Phoenix"}
    arguments = Machines(tmp_path)._arguments(machine(bios_strings=strings, timeoffset=3600))
    assert [v for o, v in itertools.pairwise(arguments) if o == "-smbios"] == [
        "type=0,vendor=Phoenix",
        "type=1,manufacturer=Acme,, Inc.",
    ]
    assert re.fullmatch(r"base=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", arguments[arguments.index("-rtc") + 1])


def test_missing_qemu_is_told_when_the_pool_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "PATH", str(tmp_path))
    with pytest.raises(UsageError, match="qemu-system-x86_64") as failed:
        Pool(tmp_path / "pool", boot=True).start()
    assert failed.value.code == "MISSING-TOOL"
    assert "apt-get install" in failed.value.hint


def test_a_pool_without_boot_has_no_consoles(pool):
    with pytest.raises(UsageError):
        pool.console("any")
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen(f"{pool.panel_url}/_console?vm=any", timeout=10)
    assert failed.value.code == 404


def hello_disk() -> bytes:
    """A boot sector that says HELLO on the first serial port and halts."""
    code = bytearray()
    for char in b"HELLO\n":
        code += b"\xba\xf8\x03" + b"\xb0" + bytes([char]) + b"\xee"  # mov dx, 0x3f8; mov al, char; out dx, al
    code += b"\xf4\xeb\xfd"  # hlt; jmp back
    return bytes(code).ljust(510, b"\0") + b"\x55\xaa"


def heard(pool: Pool, uuid: str, word: str, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while word not in pool.console(uuid) and time.monotonic() < deadline:
        time.sleep(0.1)
    return pool.console(uuid)


@pytest.fixture
def started(simulated_pool, client_of):
    """A booting pool with a VM on a disk that says HELLO."""
    pool = simulated_pool(boot=True)
    client = client_of(pool)
    vm = client.vm(platform={})
    vdi = client.vdi(4 * MIB)
    assert client.upload(vdi, hello_disk())["status"] == "success"
    client.vbd(vm, vdi, userdevice="0")
    client.rpc("VM.start", vm, False, False)
    return pool, client, vm, client.rpc("VM.get_uuid", vm)


def test_a_started_vm_boots_from_its_disk_and_is_heard(started):
    pool, client, vm, uuid = started
    assert "HELLO" in heard(pool, uuid, "HELLO", 60)
    with urllib.request.urlopen(f"{pool.panel_url}/_console?vm={uuid}", timeout=10) as answer:
        assert "HELLO" in answer.read().decode()
    client.rpc("VM.hard_reboot", vm)
    deadline = time.monotonic() + 60
    while pool.console(uuid).count("HELLO") < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert pool.console(uuid).count("HELLO") == 2
    client.rpc("VM.hard_shutdown", vm)
    assert client.rpc("VM.get_power_state", vm) == "Halted"
    log = pool.folder / "guests" / f"{uuid}.log"
    assert log.exists()
    client.rpc("VM.destroy", vm)
    assert not log.exists()


def test_a_guest_that_ends_by_itself_is_halted(started):
    pool, client, vm, uuid = started
    number = int((pool.folder / "guests" / f"{uuid}.pid").read_text())
    os.kill(number, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while client.rpc("VM.get_power_state", vm) != "Halted" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.rpc("VM.get_power_state", vm) == "Halted"


def test_a_paused_guest_stands_still(started):
    pool, client, vm, uuid = started
    number = int((pool.folder / "guests" / f"{uuid}.pid").read_text())

    def becomes(states: str) -> bool:
        """A signal takes a moment to arrive."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] in states:
                return True
            time.sleep(0.02)
        return False

    client.rpc("VM.pause", vm)
    assert becomes("T")
    client.rpc("VM.unpause", vm)
    assert becomes("RS")


def test_guests_of_a_killed_pool_are_ended_when_it_comes_back(tmp_path):
    folder = tmp_path / "guests"
    folder.mkdir()
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", str(folder)])
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        (folder / "one.pid").write_text(str(sleeper.pid))
        (folder / "two.pid").write_text(str(stranger.pid))
        Machines(folder)
        assert sleeper.wait(10) == -signal.SIGKILL
        assert stranger.poll() is None
    finally:
        for process in (sleeper, stranger):
            with contextlib.suppress(OSError):
                process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.timeout(BOOT_SECONDS + 120)
@pytest.mark.parametrize("firmware", Firmware)
def test_a_migrated_guest_is_seen_booting(firmware, simulated_pool, tmp_path, monkeypatch, capfd):
    pool = simulated_pool(boot=True)
    monkeypatch.setenv("V2X_TARGET_PASSWORD", pool.password)
    monkeypatch.chdir(tmp_path)
    image = build_guest(tmp_path / "guest.raw", firmware=firmware)
    spec = ApplianceSpec(
        name="guest",
        disks=(DiskSpec(raw=image.path),),
        nics=(NicSpec(network="VM Network", mac="00:50:56:00:0d:01"),),
        firmware=firmware,
        cpus=1,
        memory_bytes=512 * MIB,
    )
    appliance = write_ova(tmp_path / "guest.ova", spec).path
    target = f"xapi://{pool.user}@{pool.address}"
    network = "VM Network=Pool-wide network associated with eth0"
    words = ["migrate", appliance, "--target", target, "--target-fingerprint", pool.fingerprint, "--start"]
    code = run([str(word) for word in [*words, "--report", tmp_path / "report.json", "--network", network]])
    told = capfd.readouterr()
    assert code in (0, 1), told
    found = [one for one in pool.records("VM").values() if one["name_label"] == "guest"]
    assert [one["power_state"] for one in found] == ["Running"], told
    text = heard(pool, found[0]["uuid"], MARKER, BOOT_SECONDS)
    line = next((line for line in text.splitlines() if MARKER in line), "")
    assert f"firmware={firmware.value}" in line, text[-2000:]
    assert f"payload={image.payload_md5}" in line
    assert "eth0=00:50:56:00:0d:01" in line
    assert json.loads((tmp_path / "report.json").read_text())
