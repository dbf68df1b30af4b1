# SPDX-License-Identifier: Apache-2.0
"""How many lines of a target's readers its corpus reaches: `python -m tests.fuzz.replay TARGET CORPUS`."""

import sys
from pathlib import Path

import coverage

ROOT = Path(__file__).parents[2] / "v2x"
READERS = {
    "vmdk": ["disks/vmdk/*", "disks/probe/vmdk.py", "disks/chain.py", "disks/flat.py"],
    "vhd": ["disks/vhd/*", "disks/probe/vhd.py", "disks/parents.py", "disks/chain.py"],
    "vhdx": ["disks/vhdx/*", "disks/probe/vhdx.py", "disks/parents.py", "disks/chain.py"],
    "vmcx": ["sources/hyperv/config_vmcx.py", "sources/hyperv/config_machine.py", "sources/hyperv/settings.py"],
    "ovf": ["sources/ovf*.py", "sources/manifest.py", "sources/images.py"],
    "csv": ["plan/csvfile.py", "plan/cells.py", "plan/columns.py"],
    "xmlrpc": ["target/xapi/client.py", "target/xapi/connection.py", "target/xapi/facts.py", "target/xapi/listing.py",
               "target/xapi/load.py", "target/xapi/mirror.py"],
}  # fmt: skip


def covered(name: str, corpus: Path) -> float:
    """Percent of the lines of the target's readers."""
    measure = coverage.Coverage(data_file=None, include=[str(ROOT / part) for part in READERS[name]])
    measure.start()
    from tests.fuzz.targets import TARGETS

    for path in sorted(corpus.iterdir()):
        TARGETS[name].read(path.read_bytes())
    measure.stop()
    with open("/dev/null", "w") as nowhere:
        return measure.report(file=nowhere)


if __name__ == "__main__":
    print(f"{covered(sys.argv[1], Path(sys.argv[2])):.0f}")
