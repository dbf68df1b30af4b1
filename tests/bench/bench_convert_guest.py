# SPDX-License-Identifier: Apache-2.0
"""`v2x convert --convert-guest` against its floor: the virtual machine's start and the guest's own update-initramfs.

Both are the work of an emulated processor where there is no KVM, so that only their ratio says something of v2x.
"""

import hashlib
import sys

from tests.bench.contest import Contender, Contest, python
from tests.bench.real_guest import real_guest

ROUNDS = 2
SYSTEM_PYTHON = "/usr/bin/python3"


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_a_guest_is_converted(folder):
    disk, version = real_guest(folder)
    before, out, overlay = digest(disk), folder / "out.qcow2", folder / "floor.qcow2"

    def cleared():
        for path in (out, overlay):
            path.unlink(missing_ok=True)

    floor = (SYSTEM_PYTHON, "-I", *python("guest_floor.py", disk, overlay, version)[1:])
    held = Contest(
        name="convert-guest",
        base_bytes=disk.stat().st_blocks * 512,
        sources=[disk],
        contenders=[
            Contender(
                name="v2x convert --convert-guest",
                steps=((sys.executable, "-m", "v2x", "convert", str(disk), str(out), "--convert-guest", "--quiet"),),
                before=cleared,
            ),
            Contender(name="start and update-initramfs", steps=(floor,), before=cleared),
        ],
        folder=folder,
        environment={
            "LIBGUESTFS_BACKEND": "direct",
            "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg",
            "LIBGUESTFS_CACHEDIR": "/var/tmp",
        },
        step_seconds=1800.0,
    ).held(pairs=ROUNDS)
    assert held.faster("v2x convert --convert-guest", "start and update-initramfs")[0] > 0.6
    assert digest(disk) == before, "the source is only read"
