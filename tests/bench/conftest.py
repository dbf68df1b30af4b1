# SPDX-License-Identifier: Apache-2.0
"""Inputs and servers of the measurements: built once, in a temporary folder of the session."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bench.contest import ROOT, python
from tests.bench.inputs import FilledDisk, filled_disk
from v2x.simulators.appliance import ApplianceSpec, CreateType, DiskSpec, write_ova, write_vmdk


@contextmanager
def _running(command: tuple[str, ...]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Removed at the end: pytest would keep the gigabytes of three sessions."""
    with tempfile.TemporaryDirectory(prefix="v2x-bench-") as made:
        yield Path(made)


@pytest.fixture(scope="session")
def disk(folder) -> FilledDisk:
    return filled_disk(folder / "disk.raw")


@pytest.fixture(scope="session")
def sparse_vmdk(folder, disk) -> Path:
    return write_vmdk(disk.raw, folder / "sparse.vmdk", CreateType.MONOLITHIC_SPARSE)[0]


@pytest.fixture(scope="session")
def flat_vmdk(folder, disk) -> list[Path]:
    """Descriptor and flat file."""
    return write_vmdk(disk.raw, folder / "flat.vmdk", CreateType.MONOLITHIC_FLAT)


@pytest.fixture(scope="session")
def ova(folder, disk) -> Path:
    return write_ova(folder / "machine.ova", ApplianceSpec(name="bench", disks=(DiskSpec(raw=disk.raw),))).path


@pytest.fixture(scope="session")
def stream_vmdk(folder, ova) -> Path:
    """The disk inside the appliance, as a file of its own."""
    with tarfile.open(ova) as archive:
        member = next(one for one in archive.getmembers() if one.name.endswith(".vmdk"))
        with archive.extractfile(member) as inside, (folder / "stream.vmdk").open("wb") as out:
            shutil.copyfileobj(inside, out, 1 << 20)
    return folder / "stream.vmdk"


@pytest.fixture(scope="session")
def sink() -> Iterator[int]:
    """The port of a receiver that throws everything away."""
    with _running(python("sink.py")) as process:
        yield int(process.stdout.readline())


@pytest.fixture(scope="session")
def nbd_null(disk) -> Iterator[int]:
    """The port of an NBD server that throws everything away."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    size = disk.raw.stat().st_size
    with _running(("nbdkit", "-f", "-i", "127.0.0.1", "-p", str(port), "null", str(size))):
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port


@dataclass(frozen=True)
class SimulatedPool:
    """A pool in a process of its own."""

    address: str
    user: str
    password: str
    fingerprint: str


@pytest.fixture(scope="session")
def pool() -> Iterator[SimulatedPool]:
    """Its disks lie in memory where there is /dev/shm, so that writing back to a disk disturbs no measurement."""
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(prefix="v2x-bench-pool-", dir=memory if memory.is_dir() else None) as state,
        _running((sys.executable, "-m", "v2x", "simulate", "xapi", "--json", "--state", state)) as process,
    ):
        ready = json.loads(process.stdout.readline())
        order = json.dumps({"settings": {"login_delay": 0}}).encode()
        urllib.request.urlopen(f"{ready['fault_panel']}/_faults", order, timeout=10).close()
        address = ready["address"].rpartition("@")[2]
        yield SimulatedPool(address, ready["user"], ready["password"], ready["fingerprint"])
