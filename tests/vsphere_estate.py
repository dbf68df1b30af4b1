# SPDX-License-Identifier: Apache-2.0
"""Fixtures that start simulated vCenters and ESXi hosts, for all rooms."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from v2x.simulators.vsphere import VsphereSimulator

MIB = 1024 * 1024

Factory = Callable[..., VsphereSimulator]


@pytest.fixture
def simulated_vsphere(tmp_path: Path) -> Iterator[Factory]:
    """A factory of running stand-ins: `simulated_vsphere(profile="esxi-7.0", estate="empty", task_delay=0.1)`.

    Everything is stopped at the end of the test. Connect to 127.1: pyVmomi checks no certificate of 127.0.0.1.
    """
    with ExitStack() as stack:
        made: list[VsphereSimulator] = []

        def make(folder: Path | None = None, **options: Any) -> VsphereSimulator:
            simulator = VsphereSimulator(folder or tmp_path / f"vsphere{len(made)}", **options)
            made.append(simulator)
            return stack.enter_context(simulator)

        yield make


@pytest.fixture
def vcenter(simulated_vsphere: Factory) -> VsphereSimulator:
    """A vCenter 8.0 with places and no machines."""
    return simulated_vsphere(estate="empty")


def patterned(path: Path, size_bytes: int, *, seed: int = 1, every: int = 4) -> Path:
    """A sparse raw image in which every `every`th block of 64 KiB holds bytes of its own."""
    block = 64 * 1024
    with path.open("wb") as file:
        file.truncate(size_bytes)
        for number in range(0, size_bytes // block, every):
            file.seek(number * block)
            file.write((seed * 1_000_003 + number).to_bytes(8, "little") * (block // 8))
    return path
