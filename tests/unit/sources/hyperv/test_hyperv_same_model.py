# SPDX-License-Identifier: Apache-2.0
"""One machine taken three ways, live, collected to a file and exported with its XML: one model.

What an export cannot tell is listed here by name, and is untold there, never something else.
"""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from tests.hyperv_estates import ID, estate, virtual_machine
from tests.hyperv_exports import Stored, export
from tests.hyperv_images import Vhdx
from v2x.model.address import parse_address
from v2x.model.machine import Machine
from v2x.secrets import Secret
from v2x.simulators.hyperv.described import Dvd, Estate, HardDisk, Image
from v2x.simulators.hyperv.service import HyperV
from v2x.sources import open_source
from v2x.sources.hyperv.opening import open_hyperv

MIB = 1 << 20
DISKS = {"web.vhdx": 8 * MIB, "data.vhdx": 4 * MIB}
ROOT = "D:\\VMs\\web\\"

UNTOLD: dict[str, Any] = {
    "host": "",
    "start_delay_seconds": None,
    "change_tracking_supported": None,
    "shielded": None,
    "encrypted": None,
}
UNTOLD_OF_DISKS: dict[str, Any] = {"physical_sector_bytes": None, "uuid": ""}
UNTOLD_OF_ADAPTERS: dict[str, Any] = {"mac_spoofing": None, "teaming": None}


@pytest.fixture
def machine() -> Estate:
    vm = virtual_machine(
        generation=1,
        startup=1024 * MIB,
        bios_serial="7449-6769",
        asset_tag="A-1",
        disks=[HardDisk(path=f"{ROOT}data.vhdx", location=1), HardDisk(path=f"{ROOT}web.vhdx", controller="IDE")],
        dvds=[Dvd(controller="IDE", number=1, location=0, path="D:\\tools.iso")],
    )
    images = [Image(path=ROOT + name, size=size) for name, size in DISKS.items()]
    return estate(vm, profile="2012r2", images=images)


@pytest.fixture
def served(machine: Estate, tmp_path: Path) -> Any:
    with HyperV(tmp_path / "host", estate=machine, profile="2012r2", smb=False) as running:
        for name, size in DISKS.items():
            place = running.place(ROOT + name)
            place.parent.mkdir(parents=True, exist_ok=True)
            Vhdx(raw=bytes(range(256)) * (size // 256)).write(place)
        yield running


def live(served: HyperV) -> Machine:
    with open_hyperv(parse_address(served.address), Secret(served.password), fingerprint=served.fingerprint) as source:
        (found,) = source.inventory().machines
    return found


def collected(served: HyperV, tmp_path: Path) -> Machine:
    path = tmp_path / "host.json"
    path.write_text("".join(served.collected(served.estate.hosts[0], [])), encoding="utf-16")
    with open_source(path) as source:
        (found,) = source.inventory().machines
    return found


def exported(tmp_path: Path) -> Machine:
    stored = Stored(
        id=ID,
        name="web",
        memory_mib=1024,
        ide={(0, 0): f"{ROOT}web.vhdx", (1, 0): "D:\\tools.iso"},
        scsi={(0, 1): f"{ROOT}data.vhdx"},
    )
    images = {name: Vhdx(raw=bytes(range(256)) * (size // 256)).packed() for name, size in DISKS.items()}
    with open_source(export(tmp_path / "web", stored, images)) as source:
        (found,) = source.inventory().machines
    return found


def untold(record: Any, names: dict[str, Any]) -> Any:
    return replace(record, **names)


def test_live_and_collected_are_one(served: HyperV, tmp_path: Path) -> None:
    assert live(served) == collected(served, tmp_path)


def test_an_export_is_the_same_but_for_what_it_cannot_tell(served: HyperV, tmp_path: Path) -> None:
    stored, told = exported(tmp_path), collected(served, tmp_path)
    for field in fields(Machine):
        if field.name in {"disks", "nics", "guest", "attributes"}:
            continue
        expected = UNTOLD.get(field.name, getattr(told, field.name))
        assert getattr(stored, field.name) == expected, field.name
    assert stored.nics == tuple(untold(one, UNTOLD_OF_ADAPTERS) for one in told.nics)
    assert stored.guest == replace(told.guest, time_sync=None)
    assert set(stored.attributes) == {"created"} < set(told.attributes)
    for here, there in zip(stored.disks, told.disks, strict=True):
        # A file of the export instead of the host's path; its tables count what is stored, not what the file takes.
        assert here.files == tuple(file.rpartition("\\")[2] for file in there.files)
        named = untold(there, UNTOLD_OF_DISKS | {"files": here.files, "allocated_bytes": here.allocated_bytes})
        assert here == named


def test_disk_identifiers_do_not_depend_on_the_way(served: HyperV, tmp_path: Path) -> None:
    """A plan that was drafted from one of them fits the others."""
    ways = [live(served), collected(served, tmp_path), exported(tmp_path)]
    assert {one.id for one in ways} == {ID}
    assert {tuple(disk.id for disk in one.disks) for one in ways} == {("ide0:0", "scsi0:1")}
