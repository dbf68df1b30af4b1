# SPDX-License-Identifier: Apache-2.0
"""VMware's own simulator with real bytes on its datastore: listed, stamped, read over /folder, and tagged."""

import base64
import http.client
import json
import os
import ssl

import pytest
from pyVmomi import vim

from tests.vsphere_estate import patterned
from v2x.errors import SourceError
from v2x.model.address import parse_address
from v2x.model.machine import DiskBus, NicModel, PowerState
from v2x.model.units import MIB
from v2x.secrets import Secret
from v2x.sources.vsphere.source import VsphereSource
from v2x.tls import Trust

TAG = "v2x-0123456789abcdef01234567"
DESCRIPTOR = """# Disk DescriptorFile
version=1
CID=fffffffe
parentCID=ffffffff
createType="vmfs"

# Extent description
RW {sectors} VMFS "disk-flat.vmdk"

ddb.adapterType = "lsilogic"
ddb.virtualHWVersion = "14"
"""


def device(kind, **fields):
    return vim.vm.device.VirtualDeviceSpec(operation="add", device=kind(**fields))


def machine_spec(name, size_bytes):
    """A machine with one flat disk on SCSI 0:3 and a vmxnet3 of a MAC of its own."""
    controller = device(vim.vm.device.ParaVirtualSCSIController, key=1000, busNumber=0, sharedBus="noSharing")
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        fileName=f"[real] {name}/disk.vmdk", diskMode="persistent", thinProvisioned=True
    )
    disk = device(
        vim.vm.device.VirtualDisk,
        key=2003, controllerKey=1000, unitNumber=3, capacityInKB=size_bytes // 1024, backing=backing,
    )  # fmt: skip
    card = device(
        vim.vm.device.VirtualVmxnet3,
        key=4000, addressType="manual", macAddress="00:50:56:AB:00:01",
        backing=vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network"),
    )  # fmt: skip
    return vim.vm.ConfigSpec(
        name=name, guestId="debian11_64Guest", numCPUs=3, memoryMB=1024, firmware="efi", annotation="from the test",
        files=vim.vm.FileInfo(vmPathName="[real]"), deviceChange=[controller, disk, card],
    )  # fmt: skip


@pytest.fixture(params=["vcenter", "esx"])
def real(request, tmp_path, vcsim):
    """A simulator whose datastore `real` is a folder of ours, with the machine web01 on it."""
    store = tmp_path / "real"
    (store / "web01").mkdir(parents=True)
    image = patterned(store / "web01" / "disk-flat.vmdk", 3 * MIB, every=3)
    (store / "web01" / "disk.vmdk").write_text(DESCRIPTOR.format(sectors=3 * MIB // 512))
    with vcsim.running(tmp_path / "sim", flavour=request.param, machines=1) as running:
        service = running.client()
        vcsim.add_datastore(service, "real", store)
        vcsim.add_machine(service, machine_spec("web01", 3 * MIB))
        trust = Trust(fingerprint=running.fingerprint, option="source")
        with VsphereSource.open(parse_address(running.address), password=Secret(vcsim.PASSWORD), trust=trust) as source:
            yield source, image, running


def web01(source):
    (found,) = source.inventory(lambda name: name == "web01").machines
    return found


def test_the_machine_as_it_was_made(real):
    source, _, _ = real
    found = web01(source)
    (disk,) = found.disks
    assert (disk.id, disk.bus, disk.controller, disk.unit) == ("2003", DiskBus.SCSI, 0, 3)
    assert disk.capacity_bytes == 3 * MIB and disk.files == ("[real] web01/disk.vmdk",) and disk.datastore == "real"
    (card,) = found.nics
    assert (card.model, card.mac, card.mac_is_static) == (NicModel.VMXNET3, "00:50:56:ab:00:01", True)
    assert (found.cpu.count, found.notes, found.power_state) == (3, "from the test", PowerState.OFF)


def test_its_bytes_over_folder(real):
    source, image, _ = real
    machine = web01(source)
    at = source.checkpoint(machine, TAG)
    reader = source.reader(machine, machine.disks[0], at)
    held = bytearray(reader.size)
    reader.read_into(0, held)
    reader.close()
    assert bytes(held) == image.read_bytes()
    source.confirm(machine, at)


def test_a_write_to_its_files_is_found_out(real):
    source, image, _ = real
    machine = web01(source)
    at = source.checkpoint(machine, TAG)
    seen = image.stat()
    os.utime(image, (seen.st_atime, seen.st_mtime + 5))
    with pytest.raises(SourceError) as caught:
        source.confirm(machine, at)
    assert caught.value.code == "SOURCE-CHANGED"
    assert source.checkpoint(machine, TAG).points != at.points


def test_tags_of_a_vcenter(real, vcsim):
    source, _, running = real
    if not source.session.about.is_vcenter:
        assert web01(source).tags == ()
        return
    rest = Rest(running, vcsim)
    category = rest.post("/rest/com/vmware/cis/tagging/category", {"create_spec": {
        "name": "Env", "description": "", "cardinality": "MULTIPLE", "associable_types": []}})  # fmt: skip
    tags = [
        rest.post("/rest/com/vmware/cis/tagging/tag", {"create_spec": {
            "name": name, "description": "", "category_id": category}})
        for name in ("prod", "gold")
    ]  # fmt: skip
    for tag in tags:
        rest.post(
            f"/rest/com/vmware/cis/tagging/tag-association/id:{tag}?~action=attach",
            {"object_id": {"type": "VirtualMachine", "id": web01(source).reference}},
        )
    assert sorted(web01(source).tags) == ["Env/gold", "Env/prod"]


class Rest:
    """The test's own hand on the REST interface."""

    def __init__(self, running, vcsim):
        context = ssl.create_default_context(cadata=running.certificate)
        context.check_hostname = False
        self.connection = http.client.HTTPSConnection("127.0.0.1", running.port, context=context)
        pair = base64.b64encode(f"{vcsim.USER}:{vcsim.PASSWORD}".encode()).decode()
        self.headers = {"Authorization": f"Basic {pair}"}
        token = self.post("/rest/com/vmware/cis/session", None)
        self.headers = {"vmware-api-session-id": token, "Content-Type": "application/json"}

    def post(self, path, content):
        self.connection.request("POST", path, None if content is None else json.dumps(content), self.headers)
        answer = self.connection.getresponse()
        data = answer.read()
        assert answer.status == 200, data
        return json.loads(data).get("value") if data else None
