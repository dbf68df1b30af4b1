# SPDX-License-Identifier: Apache-2.0
"""A real Xen with its first domain, in QEMU without KVM: what boots on blkfront there is told on its console.

The guest's disk is what the first domain has as its second, and is handed on by its blkback. Nothing is written to it.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".setup-xen"
_MEMORY_MIB, _FIRST_DOMAIN_MIB = 2048, 1024
_START_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """What became of a guest booted in one way: `console` is what it said last, `backend` who served its disk."""

    seconds: int
    backend: str
    console: str


def boot_on_xen(disk: Path, ways: tuple[str, ...], *, patience: int) -> tuple[str, dict[str, Boot]]:
    """Xen's version, and each of the ways (pv, pvh) with what came of it after at most `patience` seconds."""
    log = disk.with_suffix(".xen.log")
    command = [
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "qemu64,+svm,+npt", "-smp", "1"),
        *("-m", str(_MEMORY_MIB), "-display", "none", "-nodefaults", "-no-reboot", "-serial", f"file:{log}"),
        *("-kernel", str(FOLDER / "xen")),
        *("-append", f"console=com1 com1=115200,8n1 dom0_mem={_FIRST_DOMAIN_MIB}M,max:{_FIRST_DOMAIN_MIB}M noreboot"),
        "-initrd",
        f"{FOLDER}/vmlinuz console=hvc0 root=/dev/vda rw init=/sbin/first-domain quiet "
        f"v2x.patience={patience} v2x.ways={'+'.join(ways)},{FOLDER}/initrd",
        *("-drive", f"file={FOLDER}/dom0.ext4,format=raw,if=virtio,snapshot=on"),
        *("-drive", f"file={disk},format=raw,if=virtio,snapshot=on"),
    ]
    most = _START_SECONDS + len(ways) * (patience + 60)
    subprocess.run(command, check=True, timeout=most, stdin=subprocess.DEVNULL)
    text = log.read_text(errors="replace").replace("\r", "")
    version = re.search(r"FIRST-DOMAIN up=.*xen=(\S+)", text)
    assert version is not None, text[-3000:]
    return version[1], {way: _boot(text, way) for way in ways}


def _boot(text: str, way: str) -> Boot:
    found = re.search(rf"FIRST-DOMAIN way={way} seconds=(\d+) backend=(\S*)", text)
    assert found is not None, text[-3000:]
    said = re.findall(rf"^{way}: (.*)$", text, re.MULTILINE)
    return Boot(seconds=int(found[1]), backend=found[2], console="\n".join(said))
