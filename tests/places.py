# SPDX-License-Identifier: Apache-2.0
"""Where a disk lies, made up for tests of one transport."""

import shlex
from pathlib import Path

from v2x.disks.interface import DiskReader
from v2x.sources.vsphere.transports.place import DatastoreFile, DiskPlace, Point

MIB = 1 << 20


def nbdkit_with(fake: Path, play: Path) -> Path:
    """A program that is nbdkit, but with nbdkit's python plugin running `fake` in place of the vddk plugin."""
    python = f"python {shlex.quote(str(fake))} play={shlex.quote(str(play))}"
    program = play.parent / "nbdkit"
    program.write_text(
        "#!/bin/sh\nfor word; do shift; case $word in\n"
        f'vddk) set -- "$@" {python} ;;\n*) set -- "$@" "$word" ;;\nesac; done\nexec nbdkit "$@"\n'
    )
    program.chmod(0o755)
    return program


class Reference:
    def __init__(self, moid):
        self._moid = moid

    def _GetMoId(self):
        return self._moid


def place_for(**changes):
    facts = {
        "machine": "web 01",
        "machine_ref": Reference("vm-12"),
        "snapshot_ref": Reference("snapshot-3"),
        "point": Point("snapshot-3", 2000, ""),
        "label": "Hard disk 1",
        "capacity_bytes": 8 * MIB,
        "files": (DatastoreFile("ssd 1", "web 01/web 01.vmdk"),),
        "backing": "FlatVer2BackingInfo",
        "datastores": {"ssd 1": "VMFS"},
        "datacenter": "DC",
        "powered_on": True,
        "host": "esx1",
        "address": "VirtualLsiLogicController0:0",
        "only_disk": True,
        "change_id": "",
        "encrypted": False,
        "committed_bytes": None,
        "tracked_before": False,
    }
    return DiskPlace(**{**facts, **changes})


def content(reader: DiskReader, step: int = 3 * MIB + 512) -> bytes:
    out = bytearray(reader.size)
    for at in range(0, reader.size, step):
        reader.read_into(at, memoryview(out)[at : at + min(step, reader.size - at)])
    return bytes(out)
