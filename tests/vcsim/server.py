# SPDX-License-Identifier: Apache-2.0
"""Runs VMware's own simulator, and gives it machines whose disks hold real bytes."""

import contextlib
import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyVmomi import SoapStubAdapter, vim, vmodl

from v2x.simulators.certificate import certificate_of
from v2x.tls import fingerprint_of

PROGRAM = Path(__file__).resolve().parents[2] / ".setup-vcsim" / "vcsim"
USER, PASSWORD = "administrator@vsphere.local", "secret"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A simulator that listens on 127.0.0.1; `datastores` is where its datastores' files lie."""

    port: int
    certificate: str
    datastores: Path

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(ssl.PEM_cert_to_DER_cert(self.certificate))

    @property
    def address(self) -> str:
        """By 127.1: pyvmomi is known to verify nothing for hosts that are spelled 127.0.0.1."""
        return f"vsphere://{USER}@127.1:{self.port}"

    def client(self) -> Any:
        """A vim.ServiceInstance of pyvmomi's own, logged in: the test's hand on the simulator, not v2x's."""
        context = ssl.create_default_context(cadata=self.certificate)
        context.check_hostname = False
        stub = SoapStubAdapter(host="127.1", port=self.port, version="vim.version.version11", sslContext=context)
        service = vim.ServiceInstance("ServiceInstance", stub)
        service.RetrieveContent().sessionManager.Login(USER, PASSWORD, None)
        return service


@contextlib.contextmanager
def running(folder: Path, **options: object) -> Iterator[Running]:
    """The simulator with the options of main.go, until the block ends; its datastores lie in `folder`."""
    if not PROGRAM.exists():
        raise RuntimeError("VMware's simulator is not built: make .setup-vcsim/.complete")
    folder.mkdir(parents=True, exist_ok=True)
    options.setdefault("tls", certificate_of(folder, "vcsim"))
    argv = [str(PROGRAM), *(f"-{name}={value}" for name, value in options.items())]
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(folder / "log").open("wb"),
        env={**os.environ, "TMPDIR": str(folder)},
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            line = process.stdout.readline()
            assert line, (folder / "log").read_text()
            ready = json.loads(line)
            yield Running(port=int(ready["port"]), certificate=ready["certificate"], datastores=folder)
        finally:
            process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def values(service: Any, kind: type, *paths: str) -> list[tuple[Any, dict[str, Any]]]:
    """Properties of all objects of `kind`; unset ones are left out (reading them as attributes ends the simulator)."""
    collector = vmodl.query.PropertyCollector
    content = service.RetrieveContent()
    view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
    way = collector.TraversalSpec(name="v", type=vim.view.ContainerView, path="view", skip=False)
    query = collector.FilterSpec(
        objectSet=[collector.ObjectSpec(obj=view, skip=True, selectSet=[way])],
        propSet=[collector.PropertySpec(type=kind, pathSet=list(paths) or ["name"])],
    )
    answer = content.propertyCollector.RetrieveContents([query])
    return [(one.obj, {prop.name: prop.val for prop in one.propSet}) for one in answer]


def finish(service: Any, task: Any) -> Any:
    """The result of a task, or its fault raised; read by PropertyCollector."""
    collector = vmodl.query.PropertyCollector
    query = collector.FilterSpec(
        objectSet=[collector.ObjectSpec(obj=task)],
        propSet=[collector.PropertySpec(type=vim.Task, pathSet=["info.state", "info.result", "info.error"])],
    )
    while True:
        (found,) = service.RetrieveContent().propertyCollector.RetrieveContents([query])
        seen = {one.name: one.val for one in found.propSet}
        if seen["info.state"] == "error":
            raise seen["info.error"]
        if seen["info.state"] == "success":
            return seen.get("info.result")


def add_datastore(service: Any, name: str, folder: Path) -> None:
    """A datastore whose files are those of `folder`, on every host."""
    for host, _ in values(service, vim.HostSystem):
        host.configManager.datastoreSystem.CreateLocalDatastore(name, str(folder))


def add_machine(service: Any, spec: Any) -> Any:
    """Makes a machine of `spec` in the first datacenter, on its first resource pool."""
    datacenter = values(service, vim.Datacenter)[0][0]
    folder = values(service, vim.Datacenter, "vmFolder")[0][1]["vmFolder"]
    del datacenter
    pool = values(service, vim.ResourcePool)[0][0]
    return finish(service, folder.CreateVM_Task(spec, pool, None))
