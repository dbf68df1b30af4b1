# SPDX-License-Identifier: Apache-2.0
"""Described Hyper-V hosts for tests, and what a collector would write on them."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from v2x.model.inventory import Inventory
from v2x.model.machine import Machine
from v2x.simulators.hyperv.described import Adapter, Estate, HardDisk, Host, Image, Switch, VirtualMachine
from v2x.simulators.hyperv.profiles import profile_named
from v2x.simulators.hyperv.telling import Teller
from v2x.sources.hyperv.document import read_document
from v2x.sources.hyperv.estate import read_estate

ID = "11112222-3333-4444-8555-666677778888"
NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
GIB = 1 << 30
PATH = "D:\\VMs\\web\\web.vhdx"


def estate(*machines: VirtualMachine, profile: str = "2022", images: Iterable[Image] = (), hosts: int = 1) -> Estate:
    """An estate of these machines, all of them on the first host where they name none."""
    made = Estate(profile=profile)
    made.hosts = [
        Host(name=f"HV{number + 1:02}", switches=[Switch(id=f"s{number}", name="LAN", uplinks=["NIC 1"])])
        for number in range(hosts)
    ]
    made.machines = list(machines)
    for machine in machines:
        machine.host = machine.host or "HV01"
    made.images = {one.path.lower(): one for one in images}
    return made


def virtual_machine(**changes: Any) -> VirtualMachine:
    """A machine of generation 2 with one disk and one adapter."""
    defaults: dict[str, Any] = {
        "id": ID,
        "name": "web",
        "bios_guid": "967df1ba-2c00-4998-9f1b-d60bcc0c4b90",
        "disks": [HardDisk(path=PATH)],
        "adapters": [Adapter(mac="00155D010203")],
    }
    return VirtualMachine(**{**defaults, **changes})


def document(made: Estate, folder: Path, host: int = 0, **options: Any) -> str:
    """What the collector writes on a host. Images of the estate are there, as empty files."""
    names: dict[str, Path] = {}
    for number, image in enumerate(made.images.values()):
        names[image.path.lower()] = folder / f"{number}.image"
        names[image.path.lower()].write_bytes(bytes(4096))
    locate: Callable[[str], Path | None] = lambda path: names.get(path.lower())  # noqa: E731
    teller = Teller(made, made.hosts[host], profile_named(made.profile), locate, "CONTOSO\\admin", **options)
    return "".join(teller.pieces())


def inventory(*texts: str) -> Inventory:
    return read_estate([read_document(text, "test.json") for text in texts], "hyperv://a@b", NOW)


def read(machine: VirtualMachine, folder: Path, *, profile: str = "2022", images: Iterable[Image] = ()) -> Machine:
    """The machine as it arrives in the model."""
    given = list(images) or [Image(path=PATH, size=GIB, identifier="6f5e2a60-0000-4000-8000-000000000001")]
    (found,) = inventory(document(estate(machine, profile=profile, images=given), folder)).machines
    return found


def changed(text: str, change: Callable[[dict[str, Any]], None]) -> str:
    """The document after `change` was made to it."""
    content = json.loads(text)
    change(content)
    return json.dumps(content)
