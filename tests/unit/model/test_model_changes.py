# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from v2x.model.changes import differences
from v2x.model.machine import (
    Cpu,
    Disk,
    DiskBus,
    DiskFormat,
    Firmware,
    Guest,
    GuestIdKind,
    Machine,
    Memory,
    Nic,
    NicModel,
    PowerState,
)

GIB = 2**30


def disk(key, size):
    return Disk(
        id=key, label=f"disk {key}", position=0, bus=DiskBus.SCSI, controller=0, unit=0, capacity_bytes=size,
        format=DiskFormat.VMDK,
    )  # fmt: skip


def nic(position, network="LAN", mac="00:50:56:00:00:01"):
    return Nic(position=position, label=f"nic {position}", model=NicModel.VMXNET3, network=network, mac=mac)


MACHINE = Machine(
    id="u1", name="web01", cpu=Cpu(count=2), memory=Memory(size_bytes=4 * GIB), firmware=Firmware.UEFI,
    guest=Guest(os_id="x", os_id_kind=GuestIdKind.VMWARE), disks=(disk("scsi0:0", 60 * GIB),), nics=(nic(0),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"cpu": Cpu(count=4)}, ["2 vCPUs then, 4 now"]),
        ({"memory": Memory(size_bytes=8 * GIB)}, ["4 GiB of memory then, 8 GiB now"]),
        ({"firmware": Firmware.BIOS}, ["firmware uefi then, bios now"]),
        ({"disks": (disk("scsi0:0", 61 * GIB),)},
         ["disk scsi0:0 (disk scsi0:0) had 64,424,509,440 bytes, now 65,498,251,264"]),
        ({"disks": (disk("scsi0:1", GIB),)},
         ["disk scsi0:0 (disk scsi0:0) is gone", "disk scsi0:1 (disk scsi0:1, 1 GiB) is new"]),
        ({"nics": ()}, ["adapter 0 ('LAN') is gone"]),
        ({"nics": (nic(0), nic(1, "DMZ"))}, ["adapter 1 ('DMZ') is new"]),
        ({"nics": (nic(0, "DMZ", ""),)},
         ["adapter 0 was on 'LAN', now on 'DMZ'", "adapter 0 had 00:50:56:00:00:01, now none"]),
        # What a running machine changes all the time, and what no row stands on.
        ({"power_state": PowerState.ON, "folder": "elsewhere", "host": "esx2"}, []),
        ({"disks": (replace(disk("scsi0:0", 60 * GIB), allocated_bytes=GIB),)}, []),
    ],
)  # fmt: skip
def test_what_a_plan_stands_on(changes, says):
    assert list(differences(MACHINE, replace(MACHINE, **changes))) == says


def test_an_export_and_the_live_source_are_compared_by_what_both_tell():
    live = replace(MACHINE, disks=(disk("2000", 60 * GIB + 2**19),), nics=(nic(3, "other", ""),))
    assert differences(MACHINE, live, same_source=False) == ()
    more = replace(live, disks=(*live.disks, disk("2001", GIB)), nics=())
    assert differences(MACHINE, more, same_source=False) == ("disks: 1 then, 2 now", "adapters: 1 then, 0 now")
    bigger = replace(live, disks=(disk("2000", 80 * GIB),))
    assert differences(MACHINE, bigger, same_source=False) == ("60 GiB of disks then, 80 GiB now",)
