# SPDX-License-Identifier: Apache-2.0
"""Servers of the measurements, and a folder for what they write."""

import json
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bench.contest import BUILT, ROOT, python
from tests.bench.servers import NbdServer, nbd_server, running
from v2x.model.units import TIB


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Removed at the end: pytest would keep the gigabytes of three sessions."""
    BUILT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=BUILT) as made:
        yield Path(made)


@pytest.fixture(scope="session")
def sink() -> Iterator[int]:
    """The port of a receiver that throws everything away."""
    with running(python("sink.py")) as process:
        yield int(process.stdout.readline())


@pytest.fixture(scope="session")
def tls_sink(folder) -> Iterator[str]:
    """The same behind TLS 1.3, as senders take it."""
    with running(python("sink.py", folder)) as process:
        yield f"tls:{int(process.stdout.readline())}"


@pytest.fixture(scope="session")
def nbd_null() -> Iterator[NbdServer]:
    """An NBD server that throws everything away."""
    with nbd_server("nbdkit", "-f", "-i", "127.0.0.1", "-p", "{port}", "null", str(4 * TIB)) as server:
        yield server


@pytest.fixture(scope="session")
def peers() -> Path | None:
    """The folder of Xen Orchestra's packages, None where they are not installed (`make bench` installs them)."""
    found = ROOT / ".setup-peers"
    return found if (found / ".complete").exists() else None


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
        running((sys.executable, "-m", "v2x", "simulate", "xapi", "--json", "--state", state)) as process,
    ):
        ready = json.loads(process.stdout.readline())
        order = json.dumps({"settings": {"login_delay": 0}}).encode()
        urllib.request.urlopen(f"{ready['fault_panel']}/_faults", order, timeout=10).close()
        address = ready["address"].rpartition("@")[2]
        yield SimulatedPool(address, ready["user"], ready["password"], ready["fingerprint"])
