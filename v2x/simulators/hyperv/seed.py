# SPDX-License-Identifier: Apache-2.0
"""The machines of a stand-in that nobody described: few, small, and each of another kind, with real disks."""

import random
import uuid
from collections.abc import Callable
from pathlib import Path

from v2x.simulators.hyperv.described import (
    Adapter,
    Checkpoint,
    Dvd,
    Estate,
    HardDisk,
    Host,
    Image,
    Switch,
    VirtualMachine,
)
from v2x.simulators.hyperv.image import MIB, parent_entries, write_vhdx

_SPACE = uuid.UUID("0c4d6f0e-2d0b-4f0d-8f39-0f2a3a0d5b11")

Place = Callable[[str], Path]
"""From a path of the host to the file that stands for it."""


def _id(name: str) -> str:
    return str(uuid.uuid5(_SPACE, name))


class Disks:
    """Makes images and enters them into the estate. The content follows from the path, so that two runs are alike."""

    def __init__(self, estate: Estate, place: Place) -> None:
        self._estate = estate
        self._place = place
        self._written: dict[str, uuid.UUID] = {}

    def image(self, path: str, size: int, blocks: int, parent: str = "") -> str:
        """A dynamic disk of `size` bytes, or one that differs from `parent`, that holds `blocks` blocks of 1 MiB."""
        chance = random.Random(path)
        chosen = chance.sample(range(-(-size // MIB)), blocks)
        data_write, disk_id = uuid.UUID(int=chance.getrandbits(128)), uuid.UUID(int=chance.getrandbits(128))
        file = self._place(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_vhdx(
            file,
            size,
            {number: chance.randbytes(MIB) for number in chosen},
            data_write=data_write,
            disk_id=disk_id,
            parent=parent_entries(parent, self._written[parent]) if parent else None,
        )
        self._written[path] = data_write
        self._estate.images[path.lower()] = Image(
            path=path,
            type="Differencing" if parent else "Dynamic",
            size=size,
            parent=parent,
            identifier=str(disk_id),
        )
        return path


def seed(estate: Estate, place: Place, hosts: int) -> None:
    """Fills an empty estate: one host, or a cluster whose machines lie on a shared volume."""
    cluster = hosts > 1
    estate.cluster = "HVCLUSTER" if cluster else ""
    estate.hosts = [
        Host(
            name=f"HV{number + 1:02}",
            switches=[
                Switch(id=_id("LAN"), name="LAN", uplinks=["Intel(R) Ethernet Connection X722"]),
                Switch(id=_id("Backup"), name="Backup", type="Internal"),
            ],
        )
        for number in range(hosts)
    ]
    root = "C:\\ClusterStorage\\Volume1" if cluster else "D:\\VMs"
    disks = Disks(estate, place)
    estate.machines = [_web(disks, root), _old(disks, root), _database(disks, root)]
    for number, machine in enumerate(estate.machines):
        machine.host = estate.hosts[number % hosts].name
        if cluster:
            machine.role_priority = 2000


def _web(disks: Disks, root: str) -> VirtualMachine:
    """Generation 2, off, its disk three files deep."""
    base = disks.image(f"{root}\\web01\\web01.vhdx", 64 * MIB, 12)
    first = disks.image(f"{root}\\web01\\web01_1F0A.avhdx", 64 * MIB, 5, base)
    leaf = disks.image(f"{root}\\web01\\web01_2C7D.avhdx", 64 * MIB, 3, first)
    one, two = _id("web01 before update"), _id("web01 after update")
    return VirtualMachine(
        id=_id("web01"),
        name="web01",
        cpus=2,
        startup=512 * MIB,
        template="MicrosoftUEFICertificateAuthority",
        bios_guid=_id("web01 bios"),
        bios_serial="4567-8901-2345-6789-0123-4567-89",
        asset_tag="7783-7084-3265-9085-8269-3286-77",
        checkpoints=[
            Checkpoint(id=one, name="before update"),
            Checkpoint(id=two, name="after update", parent=one, created="2026-03-02T08:00:00.0000000Z"),
        ],
        current_checkpoint=two,
        disks=[HardDisk(path=leaf)],
        dvds=[Dvd()],
        adapters=[
            Adapter(mac="00155D010A01", dynamic_mac=False, vlan={"vlanMode": "Access", "accessVlan": 10}),
        ],
        notes="the shop's front",
    )


def _old(disks: Disks, root: str) -> VirtualMachine:
    """Generation 1 with two disks on two controllers and a legacy adapter that never had an address."""
    system = disks.image(f"{root}\\old01\\old01.vhdx", 32 * MIB, 6)
    data = disks.image(f"{root}\\old01\\data.vhdx", 48 * MIB, 4)
    return VirtualMachine(
        id=_id("old01"),
        name="old01",
        generation=1,
        cpus=1,
        startup=256 * MIB,
        bios_guid=_id("old01 bios"),
        start_action="Nothing",
        disks=[HardDisk(path=data, location=1), HardDisk(path=system, controller="IDE")],
        dvds=[Dvd(controller="IDE", number=1, location=0, path="C:\\ISO\\tools.iso")],
        adapters=[Adapter(name="Legacy Network Adapter", legacy=True)],
    )


def _database(disks: Disks, root: str) -> VirtualMachine:
    """Running Windows with dynamic memory, a vTPM and a guest that tells its addresses."""
    system = disks.image(f"{root}\\db01\\db01.vhdx", 64 * MIB, 10)
    return VirtualMachine(
        id=_id("db01"),
        name="db01",
        state="Running",
        cpus=4,
        startup=1024 * MIB,
        dynamic=True,
        minimum=512 * MIB,
        maximum=1 << 40,
        assigned=1536 * MIB,
        demand=1290 * MIB,
        tpm=True,
        bios_guid=_id("db01 bios"),
        start_action="Start",
        start_delay=30,
        stop_action="ShutDown",
        disks=[HardDisk(path=system)],
        adapters=[
            Adapter(
                mac="00155D010A02",
                addresses=["192.0.2.20", "fe80::215:5dff:fe01:a02"],
                guest={
                    "dhcp": False,
                    "addresses": ["192.0.2.20", "fe80::215:5dff:fe01:a02"],
                    "subnets": ["255.255.255.0", "64"],
                    "gateways": ["192.0.2.1"],
                    "dns": ["192.0.2.53", "198.51.100.53"],
                },
            )
        ],
        kvp={
            "OSName": "Windows Server 2019 Standard",
            "OSVersion": "10.0.17763",
            "FullyQualifiedDomainName": "db01.contoso.example",
            "IntegrationServicesVersion": "10.0.17763.1",
            "ProcessorArchitecture": "9",
            "NetworkAddressIPv4": "192.0.2.20",
        },
    )
