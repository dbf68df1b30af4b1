# SPDX-License-Identifier: Apache-2.0
"""A small guest on a real disk, for the real libguestfs: its programs run, and its initial RAM disk is a stub."""

import shutil
import subprocess
from pathlib import Path

from tests import guests

UUID = "3f1c0de5-0000-4000-8000-000000000001"
MIB = 1 << 20
KERNEL = "6.1.0-21-amd64"
FETCHED = Path(__file__).parents[1] / ".setup-guest"
UPDATE = """#!/bin/sh
test -f /etc/initramfs-tools/modules || exit 1
/bin/busybox cp /etc/initramfs-tools/modules "/boot/initrd.img-$3"
"""


def debian_disk(folder: Path) -> Path:
    """A partitioned disk of 34 MiB whose first partition holds a Debian 12 of files only."""
    tree = folder / "tree"
    files = {**guests.debian("12"), "/etc/debian_version": "12.5\n", "/var/lib/dpkg/status": ""}
    guests.lay(tree, {**files, "/usr/sbin/update-initramfs": UPDATE, "/bin/sh": "->busybox"})
    (tree / "usr/sbin/update-initramfs").chmod(0o755)
    shutil.copy(FETCHED / "bin" / "busybox", tree / "bin")  # linked statically, so that it runs in any guest
    for name in ("bin", "usr/share", "proc", "dev", "sys"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    part, whole = folder / "part.raw", folder / "disk.raw"
    for path, size in ((part, 32 * MIB), (whole, 34 * MIB)):
        with open(path, "wb") as out:
            out.truncate(size)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-F", "-U", UUID, "-d", tree, part], check=True)
    subprocess.run(["sfdisk", "-q", whole], input=f"start=2048, size={32 * 2048}, type=83\n", text=True, check=True)
    with open(whole, "r+b") as out:
        out.seek(MIB)
        out.write(part.read_bytes())
    return whole


def in_guest(disk: bytes, path: str, folder: Path) -> str:
    """A file of the first partition of a disk's bytes, read by e2fsprogs."""
    part = folder / "part.raw"
    part.write_bytes(disk[MIB : 33 * MIB])
    shown = subprocess.run(["debugfs", "-R", f"cat {path}", part], capture_output=True, text=True, check=True)
    return shown.stdout
