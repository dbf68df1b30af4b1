# SPDX-License-Identifier: Apache-2.0
"""Fixtures that start simulated vCenters and ESXi hosts, for all rooms."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pyVim.connect import SmartConnect
from pyVmomi import vim, vmodl

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


def pinned(simulator: VsphereSimulator, host: str = "") -> ssl.SSLContext:
    """A context that trusts the certificate of the API, or of one host, and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=simulator.certificates[host])
    return context


def service_of(simulator: VsphereSimulator, user: str = "", password: str = "") -> Any:
    """A logged-in pyVmomi service instance, over a connection that is really pinned."""
    return SmartConnect(
        host="127.1",
        port=simulator.port,
        user=user or simulator.user,
        pwd=password or simulator.password,
        sslContext=pinned(simulator),
    )


def finished(task: Any) -> Any:
    """The task's result; raises its fault."""
    while task.info.state in ("queued", "running"):
        time.sleep(0.01)
    if task.info.error is not None:
        raise task.info.error
    return task.info.result


def everything(service: Any, kind: type, *paths: str, page: int = 0) -> list[tuple[Any, dict[str, Any]]]:
    """(object, path → value) for every object of a type, by one traversal and as many pages as it takes."""
    collector = vmodl.query.PropertyCollector
    view = service.content.viewManager.CreateContainerView(service.content.rootFolder, [kind], True)
    walk = collector.TraversalSpec(name="v", path="view", skip=False, type=vim.view.ContainerView)
    spec = collector.FilterSpec(
        propSet=[collector.PropertySpec(type=kind, pathSet=list(paths), all=not paths)],
        objectSet=[collector.ObjectSpec(obj=view, skip=True, selectSet=[walk])],
    )
    options = collector.RetrieveOptions(maxObjects=page or None)
    told = service.content.propertyCollector.RetrievePropertiesEx([spec], options)
    found = []
    while told is not None:
        found += [(o.obj, {p.name: p.val for p in o.propSet}) for o in told.objects]
        told = service.content.propertyCollector.ContinueRetrievePropertiesEx(told.token) if told.token else None
    view.DestroyView()
    return found


def disks_in(config: Any) -> list[Any]:
    return [d for d in config.hardware.device if isinstance(d, vim.vm.device.VirtualDisk)]
