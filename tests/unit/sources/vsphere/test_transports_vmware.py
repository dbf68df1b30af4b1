# SPDX-License-Identifier: Apache-2.0
"""The https transport against VMware's own simulator, which serves real bytes over /folder and knows no leases."""

import pytest
from pyVmomi import vim

from tests.images import ImageWriter, patterned
from tests.places import content
from v2x.errors import V2xError
from v2x.model.address import parse_address
from v2x.secrets import Secret
from v2x.sources.vsphere.options import VsphereOptions
from v2x.sources.vsphere.source import VsphereSource
from v2x.sources.vsphere.transports import opening
from v2x.sources.vsphere.transports.options import TransportChoice, TransportOptions
from v2x.sources.vsphere.transports.place import place_of
from v2x.tls import Trust

MIB = 1 << 20
RAW = patterned(6 * MIB, [(0, 70_000), (3 * MIB, MIB), (6 * MIB - 512, 512)])


def machine_spec():
    disk = vim.vm.device.VirtualDisk(
        key=-2,
        controllerKey=-1,
        unitNumber=0,
        capacityInKB=len(RAW) // 1024,
        backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            fileName="[real ds] web 01/disk 1.vmdk", diskMode="persistent", thinProvisioned=True
        ),
    )
    controller = vim.vm.device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus="noSharing")
    add = vim.vm.device.VirtualDeviceSpec
    return vim.vm.ConfigSpec(
        name="web 01",
        guestId="ubuntu64Guest",
        memoryMB=64,
        numCPUs=1,
        files=vim.vm.FileInfo(vmPathName="[real ds]"),
        deviceChange=[add(operation="add", device=controller), add(operation="add", device=disk)],
    )


@pytest.fixture
def source(tmp_path, vcsim):
    """A source over VMware's simulator, with its datacenter in a folder and one machine whose disk holds RAW."""
    store = tmp_path / "real"
    (store / "web 01").mkdir(parents=True)
    ImageWriter(store / "web 01").flat("disk 1.vmdk", RAW)
    with vcsim.running(tmp_path / "sim", folders=1) as running:
        service = running.client()
        vcsim.add_datastore(service, "real ds", store)
        vcsim.add_machine(service, machine_spec())
        with VsphereSource.open(
            parse_address(running.address),
            password=Secret(vcsim.PASSWORD),
            trust=Trust(fingerprint=running.fingerprint, option="source"),
            options=VsphereOptions(),
        ) as opened:
            yield opened


def test_a_flat_disk_byte_for_byte_from_a_datacenter_in_a_folder(source):
    (machine,) = source.inventory(lambda name: name == "web 01").machines
    at = source.checkpoint(machine, "v2x-test")
    place = place_of(source.session, machine, machine.disks[0], at)
    assert place.datacenter == "F0/DC0"
    assert place.capacity_bytes == len(RAW)
    options = TransportOptions(transport=TransportChoice.HTTPS)
    reader = opening.open_disk(source.session, machine, machine.disks[0], at, options)
    assert content(reader) == RAW
    reader.close()


def test_where_there_are_no_leases_that_is_said(source):
    (machine,) = source.inventory(lambda name: name == "web 01").machines
    at = source.checkpoint(machine, "v2x-test")
    options = TransportOptions(transport=TransportChoice.NFC)
    with pytest.raises(V2xError, match="does not know this call"):
        opening.open_disk(source.session, machine, machine.disks[0], at, options)
