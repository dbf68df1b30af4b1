# SPDX-License-Identifier: Apache-2.0
"""A stand-in for vCenter with one machine `bench`, whose disk holds the bytes of a raw image; runs until stdin ends."""

import json
import sys
import tempfile
from pathlib import Path

from v2x.simulators.vsphere import DiskSpec, MachineSpec, VsphereSimulator


def main() -> None:
    disk = DiskSpec(image=Path(sys.argv[1]), size_bytes=512)
    with (
        tempfile.TemporaryDirectory(prefix="v2x-bench-vsphere-") as folder,
        VsphereSimulator(Path(folder), profile="vcenter", estate="empty", password="secret") as simulator,
    ):
        simulator.add_vm(MachineSpec(name="bench", tracking=True, disks=(disk,)))
        facts = {"port": simulator.port, "user": simulator.user, "pin": simulator.fingerprint}
        print(json.dumps({**facts, "datastores": f"{folder}/datastores"}), flush=True)
        sys.stdin.read()


main()
