# SPDX-License-Identifier: Apache-2.0
"""A large thin disk costs its data: on the wire in both directions, on disk, and in memory."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from v2x.model.units import GIB, MIB
from v2x.simulators.appliance import ApplianceSpec, DiskSpec, NicSpec, write_ova
from v2x.simulators.xapi.transfer import export_vdi

ROOT = Path(__file__).parents[2]
CAPACITY = 200 * GIB
BLOCK = 2 * MIB
COUNT = 512
# Spread over the disk, its first and its last block among them.
ISLANDS = [number * (CAPACITY // BLOCK - 1) // (COUNT - 1) for number in range(COUNT)]
MEMORY_LIMIT = 100 * MIB

# The real program; at its end it tells its peak of resident memory and what it wrote to storage. (ru_maxrss would
# begin with that of the test's own process, which exec hands on.)
PROGRAM = """
import re, resource, sys
from v2x.cli import run
code = run(sys.argv[1:])
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
written = resource.getrusage(resource.RUSAGE_SELF).ru_oublock * 512
print("MEASURED", peak, written, file=sys.stderr)
sys.exit(code)
"""


@dataclass
class Measured:
    peak_bytes: int
    written_bytes: int
    temporary: set[str]


def thin_disk(path: Path) -> Path:
    """A sparse raw disk whose every island is a block of other bytes, quick to make and to compress."""
    with path.open("wb") as file:
        file.truncate(CAPACITY)
        for number in ISLANDS:
            file.seek(number * BLOCK)
            file.write(number.to_bytes(8, "little") * (BLOCK // 8) if number else b"\x01" * BLOCK)
    return path


def measured(bench, ova: Path, folder: Path) -> Measured:
    """Runs the program with an empty folder for temporary files, which is watched while it runs."""
    temporary = folder / "temporary"
    temporary.mkdir()
    arguments = [
        sys.executable, "-c", PROGRAM, "migrate", str(ova), "--target", bench.target,
        "--target-fingerprint", bench.pool.fingerprint, "--verify", "full", "--report", str(folder / "report.json"),
        "--network", "*=Pool-wide network associated with eth0",
    ]  # fmt: skip
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "V2X_TARGET_PASSWORD": bench.pool.password,
        "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    seen: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            seen.update(path.name for path in temporary.iterdir())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        ran = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=240, check=False)
    finally:
        ended.set()
        watcher.join()
    assert ran.returncode == 0, ran.stderr
    peak, written = next(line.split()[1:] for line in ran.stderr.splitlines() if line.startswith("MEASURED"))
    return Measured(int(peak), int(written), seen | {path.name for path in temporary.iterdir()})


def test_a_thin_disk_costs_its_data(bench, tmp_path, monkeypatch):
    raw = thin_disk(tmp_path / "thin.raw")
    spec = ApplianceSpec(name="thin", disks=(DiskSpec(raw=raw),), nics=(NicSpec(),))
    ova = write_ova(tmp_path / "thin.ova", spec).path
    exported: dict[str, int] = {}
    for form, sender in list(export_vdi._SENDERS.items()):

        def counted(volume, send, form=form, sender=sender):
            def counting(data):
                exported[form] = exported.get(form, 0) + len(data)
                send(data)

            sender(volume, counting)

        monkeypatch.setitem(export_vdi._SENDERS, form, counted)
    cost = measured(bench, ova, tmp_path)

    touched = COUNT * BLOCK
    assert touched < sum(one.received_bytes for one in bench.pool.ledger.imports) <= 1.01 * touched
    assert list(exported) == ["vhd"]
    assert touched < exported["vhd"] <= 1.01 * touched
    assert cost.temporary == set()
    assert cost.written_bytes < 4 * MIB
    assert cost.peak_bytes < MEMORY_LIMIT, f"{cost.peak_bytes / MIB:.1f} MiB"
    (vdi,) = bench.vdis_of(bench.vm("thin"))
    assert vdi.stat().st_size == CAPACITY
    with raw.open("rb") as wanted, vdi.open("rb") as held:
        for number in ISLANDS:
            wanted.seek(number * BLOCK)
            held.seek(number * BLOCK)
            assert held.read(BLOCK) == wanted.read(BLOCK), number
    assert vdi.stat().st_blocks * 512 <= 1.01 * touched
    assert bench.pool.ledger.blocks(vdi.stem) == dict.fromkeys(ISLANDS, 1)
