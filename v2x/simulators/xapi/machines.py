# SPDX-License-Identifier: Apache-2.0
"""Guests that really run: QEMU without KVM on the disks of a started VM, its serial console in a file.

A host gives a guest without PV drivers emulated devices: IDE and rtl8139 with BIOS, NVMe and e1000 with UEFI, disks at
the positions 0 to 3 only (xapi: xenopsd device.ml). So does this; disks further up get virtio, in the place of the
PV disks that a guest with drivers would see. There is no Xen under it: a kernel finds no xen-blkfront devices.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from v2x.errors import UsageError
from v2x.simulators import programs
from v2x.simulators.xapi.failure import internal

QEMU = "qemu-system-x86_64"
MEMORY_LIMIT_BYTES = 1024**3
CPU_LIMIT = 4
_FIRMWARE = Path("/usr/share/OVMF")
_START_SECONDS = 0.3
_END_SECONDS = 10.0
_IDE_POSITIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """A disk or CD at a position (VBD.userdevice) of a VM."""

    position: int
    path: Path
    writable: bool
    cd: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a domain is made of. `order` are the letters of HVM_boot_params: c disk, d CD, n network."""

    uuid: str
    uefi: bool
    secure_boot: bool
    memory_bytes: int
    cpus: int
    order: str
    drives: tuple[Drive, ...]
    macs: tuple[str, ...]
    bios_strings: dict[str, str]
    timeoffset: int


class Machines:
    """The running guests by VM uuid. UsageError at once when QEMU or the UEFI firmware is missing."""

    def __init__(self, folder: Path) -> None:
        program = programs.find(QEMU)
        if program is None:
            raise UsageError(
                f"a simulated pool that boots its VMs needs {QEMU}, which is not installed",
                code="MISSING-TOOL",
                hint="sudo apt-get install qemu-system-x86",
            )
        for name in ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"):
            if not (_FIRMWARE / name).is_file():
                raise UsageError(
                    f"a simulated pool that boots its VMs needs {_FIRMWARE / name}, which is not there",
                    code="MISSING-TOOL",
                    hint="sudo apt-get install ovmf",
                )
        self._program = program
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._end_strays()

    def _end_strays(self) -> None:
        """Guests of a pool that was killed; the number alone would not do, it may be another's by now."""
        for note in self._folder.glob("*.pid"):
            with contextlib.suppress(OSError, ValueError):
                number = int(note.read_text(encoding="ascii"))
                told = Path(f"/proc/{number}/cmdline").read_bytes()
                if os.fsencode(str(self._folder)) in told:
                    os.kill(number, signal.SIGKILL)
            note.unlink(missing_ok=True)

    def log(self, uuid: str) -> Path:
        """Where the serial console of a VM goes, over all its starts."""
        return self._folder / f"{uuid}.log"

    def console(self, uuid: str) -> str:
        """What the serial console has said so far; empty before the first start."""
        try:
            return self.log(uuid).read_bytes().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def start(self, machine: Machine, on_end: Callable[[], None], *, paused: bool = False) -> None:
        """Starts the guest; `on_end` is called from another thread when it ends by itself.

        INTERNAL_ERROR with QEMU's words when QEMU does not run.
        """
        complaint = self._folder / f"{machine.uuid}.stderr"
        with complaint.open("wb") as file:
            process = subprocess.Popen(
                [self._program, *self._arguments(machine)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                env={"PATH": programs.PATH, "LC_ALL": "C", "HOME": str(self._folder)},
                start_new_session=True,
            )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_START_SECONDS)
            said = complaint.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise internal(f"xenopsd: {QEMU} ended with {process.returncode}: {said[-1] if said else 'no message'}")
        (self._folder / f"{machine.uuid}.pid").write_text(str(process.pid), encoding="ascii")
        self._running[machine.uuid] = process
        if paused:
            self.pause(machine.uuid)
        threading.Thread(target=self._watch, args=(machine.uuid, process, on_end), daemon=True).start()

    def _watch(self, uuid: str, process: "subprocess.Popen[bytes]", on_end: Callable[[], None]) -> None:
        process.wait()
        if self._running.get(uuid) is process:
            on_end()

    def pause(self, uuid: str) -> None:
        if uuid in self._running:
            self._running[uuid].send_signal(signal.SIGSTOP)

    def unpause(self, uuid: str) -> None:
        if uuid in self._running:
            self._running[uuid].send_signal(signal.SIGCONT)

    def stop(self, uuid: str) -> None:
        """Ends the guest as pulling the plug does; nothing when it does not run."""
        process = self._running.pop(uuid, None)
        if process is not None:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
            (self._folder / f"{uuid}.pid").unlink(missing_ok=True)

    def forget(self, uuid: str) -> None:
        """The VM is gone, and with it its firmware variables and its console."""
        self.stop(uuid)
        for suffix in ("log", "stderr", "vars"):
            (self._folder / f"{uuid}.{suffix}").unlink(missing_ok=True)

    def close(self) -> None:
        for uuid in list(self._running):
            self.stop(uuid)

    def _arguments(self, machine: Machine) -> list[str]:
        log = str(self.log(machine.uuid)).replace(",", ",,")
        clock = datetime.now(UTC) + timedelta(seconds=machine.timeoffset)
        arguments = [
            *("-accel", "tcg,thread=multi", "-nodefaults", "-display", "none", "-monitor", "none", "-vga", "std"),
            *("-m", str(min(machine.memory_bytes, MEMORY_LIMIT_BYTES) >> 20), "-uuid", machine.uuid),
            *("-smp", str(min(machine.cpus, CPU_LIMIT)), "-rtc", f"base={clock:%Y-%m-%dT%H:%M:%S}"),
            *("-chardev", f"file,id=serial,path={log},append=on", "-serial", "chardev:serial"),
            *_smbios(machine.bios_strings),
            *self._firmware(machine),
        ]
        places = _boot_places(machine)
        for number, drive in enumerate(machine.drives):
            arguments += _drive(machine, number, drive, places.get(("drive", number)))
        model, limit = ("e1000", 2) if machine.uefi else ("rtl8139", 8)
        for number, mac in enumerate(machine.macs[:limit]):
            place = places.get(("nic", number))
            boot = f",bootindex={place}" if place is not None else ",romfile="
            arguments += ["-netdev", f"user,id=net{number},restrict=on"]
            arguments += ["-device", f"{model},netdev=net{number},mac={mac}{boot}"]
        return arguments

    def _firmware(self, machine: Machine) -> list[str]:
        if not machine.uefi:
            return ["-machine", "pc"]
        kind = ".ms" if machine.secure_boot and (_FIRMWARE / "OVMF_CODE_4M.ms.fd").is_file() else ""
        variables = self._folder / f"{machine.uuid}.vars"
        if not variables.exists():
            shutil.copyfile(_FIRMWARE / f"OVMF_VARS_4M{kind}.fd", variables)
        code = {"driver": "file", "filename": str(_FIRMWARE / f"OVMF_CODE_4M{kind}.fd"), "read-only": True}
        store = {"driver": "file", "filename": str(variables)}
        secure = ["-global", "driver=cfi.pflash01,property=secure,value=on"] if kind else []
        return [
            *("-blockdev", json.dumps(code | {"node-name": "code"})),
            *("-blockdev", json.dumps(store | {"node-name": "variables"})),
            *("-machine", f"q35,smm={'on' if kind else 'off'},pflash0=code,pflash1=variables"),
            *secure,
        ]


def _boot_places(machine: Machine) -> dict[tuple[str, int], int]:
    """The bootindex of each drive and NIC that the order names."""
    kinds: dict[str, list[tuple[str, int]]] = {
        "c": [("drive", n) for n, d in enumerate(machine.drives) if not d.cd],
        "d": [("drive", n) for n, d in enumerate(machine.drives) if d.cd],
        "n": [("nic", n) for n in range(len(machine.macs))],
    }
    ordered = [device for letter in dict.fromkeys(machine.order) for device in kinds.get(letter, [])]
    return {device: place for place, device in enumerate(ordered)}


def _drive(machine: Machine, number: int, drive: Drive, place: int | None) -> list[str]:
    node: dict[str, Any] = {
        "driver": "raw",
        "node-name": f"disk{number}",
        "read-only": not drive.writable,
        "file": {"driver": "file", "filename": str(drive.path)},
    }
    if machine.uefi and drive.cd:
        device = f"ide-cd,bus=ide.{number % 6}"
    elif drive.cd or (not machine.uefi and drive.position < _IDE_POSITIONS):
        kind = "cd" if drive.cd else "hd"
        device = f"ide-{kind},bus=ide.{drive.position % _IDE_POSITIONS // 2},unit={drive.position % 2}"
    elif drive.position < _IDE_POSITIONS:
        device = f"nvme,serial=xen{drive.position}"
    else:
        device = "virtio-blk-pci"
    boot = f",bootindex={place}" if place is not None else ""
    return ["-blockdev", json.dumps(node), "-device", f"{device},drive=disk{number}{boot}"]


def _smbios(strings: dict[str, str]) -> list[str]:
    """Types 0, 1 and 2 from VM.bios_strings; what is not set stays QEMU's."""
    types = {
        0: {"vendor": "bios-vendor", "version": "bios-version"},
        1: {
            "manufacturer": "system-manufacturer",
            "product": "system-product-name",
            "version": "system-version",
            "serial": "system-serial-number",
        },
        2: {"manufacturer": "baseboard-manufacturer", "product": "baseboard-product-name"},
    }
    made = []
    for number, keys in types.items():
        given = {k: strings[name].replace(",", ",,") for k, name in keys.items() if strings.get(name)}
        if given:
            made += ["-smbios", ",".join([f"type={number}", *(f"{k}={v}" for k, v in given.items())])]
    return made
