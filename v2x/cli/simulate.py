# SPDX-License-Identifier: Apache-2.0
"""`v2x simulate`: stand-ins for servers, on loopback, for trying things out."""

from pathlib import Path
from typing import Annotated

import typer

from v2x.cli.later import SETTINGS, later
from v2x.cli.options import Given, shared

_PROFILES = ("xcp-ng-8.3", "xcp-ng-8.3-2025", "xcp-ng-8.3-2025-06", "xcp-ng-8.3-2024", "xcp-ng-8.2", "xenserver-9")
"""The names of v2x.simulators.xapi.PROFILES, which `--help` shows without loading the simulator."""

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


for _name, _what in (("vsphere", "A simulated vCenter."), ("hyperv", "A simulated Hyper-V host.")):
    app.command(_name, **SETTINGS)(later(f"simulate {_name}", _what, "v2x simulate xapi is here already"))
