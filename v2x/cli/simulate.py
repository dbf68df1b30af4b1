# SPDX-License-Identifier: Apache-2.0
"""`v2x simulate`: stand-ins for servers, on loopback, for trying things out."""

from pathlib import Path
from typing import Annotated

import typer

from v2x.cli.options import Given, shared

_PROFILES = ("xcp-ng-8.3", "xcp-ng-8.3-2025", "xcp-ng-8.3-2025-06", "xcp-ng-8.3-2024", "xcp-ng-8.2", "xenserver-9")
_WINDOWS = ("2012r2", "2016", "2019", "2022", "2025")
"""The names of the simulators' PROFILES, which `--help` shows without loading a simulator."""

_VSPHERE_PROFILES = (
    *("vcenter-8.0", "vcenter-7.0", "vcenter-6.7", "vcenter-6.5"),
    *("esxi-8.0", "esxi-7.0", "esxi-6.7", "esxi-6.5", "esxi-free"),
)
"""The names of v2x.simulators.vsphere.PROFILES."""


def _check_port(port: int) -> None:
    """UsageError for a port that cannot be listened on."""
    import socket

    from v2x.errors import UsageError

    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as problem:
        raise UsageError(f"port {port} cannot be used: {problem.strerror}", hint="choose another --port") from None


app = typer.Typer(help="Starts a simulator on loopback.", no_args_is_help=True, rich_markup_mode=None)


@app.command("xapi")
@shared()
def xapi(
    given: Given,
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0 takes a free one")] = 0,
    state: Annotated[Path | None, typer.Option(help="folder that keeps the pool between runs")] = None,
    profile: Annotated[
        str, typer.Option(metavar="NAME", help="which product and version to be: " + ", ".join(_PROFILES))
    ] = _PROFILES[0],
    hosts: Annotated[int, typer.Option(min=1, max=8, help="hosts in the pool")] = 1,
    nics: Annotated[int, typer.Option(min=1, max=8, help="network interfaces of each host")] = 1,
    vms: Annotated[int, typer.Option(min=0, max=100_000, help="empty halted VMs that a fresh pool is filled with")] = 0,
    boot: Annotated[
        bool, typer.Option("--boot", help="really run started VMs in QEMU (slow, no KVM); consoles on the panel")
    ] = False,
) -> None:
    """A simulated XCP-ng pool that keeps real disk bytes; runs until Ctrl-C or SIGTERM."""
    import json
    import signal
    import tempfile
    import threading

    from v2x.cli import show
    from v2x.simulators.xapi import Layout, serve

    _check_port(port)
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    with tempfile.TemporaryDirectory(prefix="v2x-pool-") as temporary:
        layout = Layout(hosts=hosts, nics=nics)
        pool = serve(port=port, state_dir=state or Path(temporary), profile=profile, layout=layout, boot=boot)
        try:
            if vms and not pool.resumed:
                pool.populate(vms)
            if given.json:
                ready = {
                    "address": f"xapi://{pool.user}@{pool.address}",
                    "user": pool.user,
                    "password": pool.password,
                    "fingerprint": pool.fingerprint,
                    "fault_panel": pool.panel_url,
                    "profile": pool.profile.name,
                    "boot": boot,
                }
                show.result(json.dumps(ready))
            else:
                address = f"xapi://{pool.user}@{pool.address}"
                consoles = f"consoles     {pool.panel_url}/_console?vm=UUID\n" if boot else ""
                show.result(
                    f"address      {address}\npassword     {pool.password}\n"
                    f"fingerprint  {pool.fingerprint}\nfault panel  {pool.panel_url}\n{consoles}\n"
                    f"try: V2X_TARGET_PASSWORD={pool.password} \\\n"
                    f"       v2x doctor --target {address} \\\n"
                    f"       --target-fingerprint {pool.fingerprint}\n\nCtrl-C ends it."
                )
            done.wait()
        finally:
            pool.stop()


@app.command("vsphere")
@shared()
def vsphere(
    given: Given,
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0 takes a free one")] = 0,
    state: Annotated[Path | None, typer.Option(help="folder for datastores, certificates and the ledger")] = None,
    profile: Annotated[
        str, typer.Option(metavar="NAME", help="which product and version to be: " + ", ".join(_VSPHERE_PROFILES))
    ] = _VSPHERE_PROFILES[0],
    estate: Annotated[
        str, typer.Option(metavar="NAME", help="what is there from the start: standard, empty")
    ] = "standard",
    machines: Annotated[int, typer.Option(min=0, max=50_000, help="ordinary machines to add to the estate")] = 0,
    vm_disk: Annotated[
        list[Path] | None, typer.Option(help="disk image of a machine to add, which runs; may be given several times")
    ] = None,
) -> None:
    """A simulated vCenter or ESXi host that keeps real disk bytes; runs until Ctrl-C or SIGTERM."""
    import json
    import signal
    import tempfile
    import threading

    from v2x.cli import show
    from v2x.errors import UsageError
    from v2x.simulators.vsphere import VsphereSimulator

    for image in vm_disk or ():
        if not image.is_file():
            raise UsageError(f"{image} is not a file", hint="give a disk image: raw, QCOW2, VMDK, VHD or VHDX")
    _check_port(port)
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    with tempfile.TemporaryDirectory(prefix="v2x-vsphere-") as temporary:
        simulator = VsphereSimulator(
            state or Path(temporary), profile=profile, estate=estate, machines=machines, port=port
        )
        with simulator:
            for image in vm_disk or ():
                simulator.add_vm_from(image)
            address = f"vsphere://{simulator.user}@{simulator.address}"
            if given.json:
                ready = {
                    "address": address,
                    "user": simulator.user,
                    "password": simulator.password,
                    "fingerprint": simulator.fingerprint,
                    "fault_panel": simulator.panel_url,
                    "profile": simulator.profile.name,
                }
                show.result(json.dumps(ready))
            else:
                show.result(
                    f"address      {address}\npassword     {simulator.password}\n"
                    f"fingerprint  {simulator.fingerprint}\nfault panel  {simulator.panel_url}\n\nCtrl-C ends it."
                )
            done.wait()


@app.command("hyperv")
@shared()
def hyperv(
    given: Given,
    port: Annotated[int, typer.Option(min=0, max=65535, help="HTTPS port to listen on; 0 takes a free one")] = 0,
    state: Annotated[Path | None, typer.Option(help="folder that keeps the hosts and disks between runs")] = None,
    profile: Annotated[
        str, typer.Option(metavar="NAME", help="which Windows Server to be: " + ", ".join(_WINDOWS))
    ] = "2022",
    hosts: Annotated[int, typer.Option(min=1, max=8, help="hosts; more than one are nodes of a failover cluster")] = 1,
) -> None:
    """Simulated Hyper-V hosts: WinRM and SMB, with disks of real bytes; runs until Ctrl-C or SIGTERM."""
    import json
    import signal
    import tempfile
    import threading

    from v2x.cli import show
    from v2x.simulators.hyperv.service import HyperV

    _check_port(port)
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    with (
        tempfile.TemporaryDirectory(prefix="v2x-hyperv-") as temporary,
        HyperV(state or Path(temporary), profile=profile, hosts=hosts, port=port) as served,
    ):
        shares = " ".join(f"--share '{rule}'" for rule in served.rules)
        if given.json:
            ready = {
                "address": served.address,
                "user": served.user,
                "password": served.password,
                "fingerprint": served.fingerprint,
                "fault_panel": served.panel_url,
                "profile": served.profile.name,
                "http_address": served.http_address,
                "shares": served.rules,
            }
            show.result(json.dumps(ready))
        else:
            show.result(
                f"address      {served.address}\npassword     {served.password}\n"
                f"fingerprint  {served.fingerprint}\nfault panel  {served.panel_url}\n"
                f"without TLS  {served.http_address} --source-set transport=http\n\n"
                f"try: V2X_SOURCE_PASSWORD={served.password} \\\n"
                f"       v2x inventory {served.address} \\\n"
                f"       --source-fingerprint {served.fingerprint}\n\n"
                f"v2x migrate finds the disks with\n       {shares}\n\nCtrl-C ends it."
            )
        done.wait()
