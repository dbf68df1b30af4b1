# SPDX-License-Identifier: Apache-2.0
"""The appliance writers, read back with tarfile, ElementTree, hashlib and qemu-img."""

import gzip
import hashlib
import re
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from v2x.errors import V2xError
from v2x.model.machine import DiskBus, Firmware, NicModel
from v2x.model.units import GIB
from v2x.simulators.appliance import (
    ApplianceSpec,
    Change,
    CreateType,
    Digest,
    DiskSpec,
    Exporter,
    NicSpec,
    SnapshotSpec,
    write_ova,
    write_ovf_folder,
    write_vmx_folder,
)

RawDisk = Callable[..., Path]
Reader = Callable[..., bytes]

OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
RASD = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"
VMW = "{http://www.vmware.com/schema/ovf}"
FIRST_MAC, SECOND_MAC = "00:50:56:aa:bb:01", "00:50:56:aa:bb:02"


@pytest.fixture
def machine(raw_disk: RawDisk) -> ApplianceSpec:
    return ApplianceSpec(
        name="web01",
        disks=(
            DiskSpec(raw=raw_disk("one.raw")),
            DiskSpec(raw=raw_disk("two.raw", size=3 * 2**20 + 512, seed=2), unit=3),
        ),
        nics=(NicSpec(mac=FIRST_MAC), NicSpec(network="DMZ & Co", model=NicModel.E1000, connected=False)),
        firmware=Firmware.UEFI,
        secure_boot=True,
        cpus=4,
        cores_per_socket=2,
        memory_bytes=2 * GIB,
        cd_drives=1,
        annotation='first <line> & "quotes"\nsecond line',
    )


def members_of(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        found = {}
        for member in archive:
            assert member.isreg()
            assert member.offset_data % 512 == 0
            opened = archive.extractfile(member)
            assert opened is not None
            found[member.name] = opened.read()
        return found


def envelope_of(path: Path) -> ET.Element:
    members = members_of(path)
    name = next(iter(members))
    assert name.endswith(".ovf")
    return ET.fromstring(members[name])


def items(root: ET.Element, kind: int) -> list[dict[str, str]]:
    found = []
    for item in root.iter(f"{OVF}Item"):
        fields = {child.tag.replace(RASD, ""): child.text or "" for child in item}
        if fields.get("ResourceType") == str(kind):
            found.append(fields)
    return found


@pytest.mark.parametrize(
    ("exporter", "order"),
    [
        (Exporter.VMWARE, [".ovf", ".mf", ".vmdk", ".vmdk"]),
        (Exporter.VIRTUALBOX, [".ovf", ".vmdk", ".vmdk", ".mf"]),
        (Exporter.OVIRT, [".ovf", "", ""]),
        (Exporter.XENSERVER, [".ovf", ".mf", ".vhd", ".vhd"]),
    ],
)
def test_members_stand_in_the_exporters_order(
    exporter: Exporter, order: list[str], machine: ApplianceSpec, tmp_path: Path
):
    appliance = write_ova(tmp_path / "web.ova", machine, exporter=exporter)
    names = list(members_of(appliance.path))
    assert names == list(appliance.members)
    assert [Path(name).suffix for name in names] == order
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("exporter", "driver"),
    [
        (Exporter.VMWARE, "vmdk"),
        (Exporter.VIRTUALBOX, "vmdk"),
        (Exporter.OVIRT, "qcow2"),
        (Exporter.XENSERVER, "vpc"),
    ],
)
def test_disks_hold_the_raw_bytes(
    exporter: Exporter, driver: str, machine: ApplianceSpec, read_with_qemu: Reader, tmp_path: Path
):
    appliance = write_ova(tmp_path / "web.ova", machine, exporter=exporter)
    root = envelope_of(appliance.path)
    members = members_of(appliance.path)
    files = [file.attrib for file in root.iter(f"{OVF}File")]
    assert len(files) == 2
    for file, disk in zip(files, machine.disks, strict=True):
        image = tmp_path / "member"
        image.write_bytes(members[file[f"{OVF}href"]])
        assert read_with_qemu(image, driver) == disk.raw.read_bytes()
        if exporter is not Exporter.VIRTUALBOX:
            assert int(file[f"{OVF}size"]) == image.stat().st_size


@pytest.mark.parametrize("digest", [Digest.SHA1, Digest.SHA256, Digest.SHA512])
@pytest.mark.parametrize("exporter", [Exporter.VMWARE, Exporter.VIRTUALBOX])
def test_the_manifest_holds_every_other_file(
    digest: Digest, exporter: Exporter, machine: ApplianceSpec, tmp_path: Path
):
    members = members_of(write_ova(tmp_path / "web.ova", machine, exporter=exporter, digest=digest).path)
    manifest = members.pop("web.mf").decode()
    lines = re.findall(r"^(SHA\d+) ?\(([^)]+)\) ?= ([0-9a-f]+)$", manifest, re.MULTILINE)
    assert lines == [
        (digest.value, name, hashlib.new(digest.value.lower(), data).hexdigest()) for name, data in members.items()
    ]


def test_no_manifest_on_request(machine: ApplianceSpec, tmp_path: Path):
    appliance = write_ova(tmp_path / "web.ova", machine, digest=Digest.NONE)
    assert not any(name.endswith(".mf") for name in appliance.members)


def test_the_same_input_gives_the_same_bytes(machine: ApplianceSpec, tmp_path: Path):
    for exporter in (Exporter.VMWARE, Exporter.VIRTUALBOX):
        (tmp_path / "again").mkdir(exist_ok=True)
        first = write_ova(tmp_path / "web.ova", machine, exporter=exporter).path
        second = write_ova(tmp_path / "again" / "web.ova", machine, exporter=exporter).path
        assert first.read_bytes() == second.read_bytes()


def test_vmware_envelope(machine: ApplianceSpec, tmp_path: Path):
    root = envelope_of(write_ova(tmp_path / "web.ova", machine).path)
    guest = root.find(f".//{OVF}OperatingSystemSection")
    assert guest is not None
    assert guest.attrib == {f"{OVF}id": "96", f"{VMW}osType": "debian12_64Guest"}
    settings = {c.get(f"{VMW}key"): c.get(f"{VMW}value") for c in root.iter(f"{VMW}Config")}
    assert settings["firmware"] == "efi"
    assert settings["bootOptions.efiSecureBootEnabled"] == "true"
    assert root.findtext(f".//{OVF}Annotation") == machine.annotation
    assert items(root, 3)[0]["VirtualQuantity"] == "4"
    assert items(root, 3)[0][f"{VMW}CoresPerSocket"] == "2"
    assert items(root, 4)[0]["VirtualQuantity"] == "2048"
    assert [item["ResourceSubType"] for item in items(root, 6)] == ["VirtualSCSI"]
    assert [item["AddressOnParent"] for item in items(root, 17)] == ["0", "3"]
    assert items(root, 15)[0]["Parent"] == items(root, 5)[0]["InstanceID"]
    first, second = items(root, 10)
    assert (first["Address"], first["Connection"], first["ResourceSubType"]) == (FIRST_MAC, "VM Network", "VmxNet3")
    assert "Address" not in second
    assert (second["Connection"], second["AutomaticAllocation"]) == ("DMZ & Co", "false")
    numbers = [item.findtext(f"{RASD}InstanceID") for item in root.iter(f"{OVF}Item")]
    assert len(numbers) == len(set(numbers))


def test_vmware_writes_capacity_in_its_units(machine: ApplianceSpec, tmp_path: Path):
    root = envelope_of(write_ova(tmp_path / "web.ova", machine).path)
    units = {"byte": 1, "byte * 2^10": 2**10, "byte * 2^20": 2**20, "byte * 2^30": 2**30}
    for disk, spec in zip(root.iter(f"{OVF}Disk"), machine.disks, strict=True):
        capacity = int(disk.attrib[f"{OVF}capacity"]) * units[disk.attrib[f"{OVF}capacityAllocationUnits"]]
        assert capacity == spec.raw.stat().st_size


@pytest.mark.parametrize(
    ("bus", "kind", "subtype"),
    [
        (DiskBus.SCSI, 6, "VirtualSCSI"),
        (DiskBus.IDE, 5, None),
        (DiskBus.SATA, 20, "vmware.sata.ahci"),
        (DiskBus.NVME, 20, "vmware.nvme.controller"),
    ],
)
def test_vmware_controllers(bus: DiskBus, kind: int, subtype: str | None, raw_disk: RawDisk, tmp_path: Path):
    disk = DiskSpec(raw=raw_disk(size=2**20), bus=bus, controller=1, unit=2)
    root = envelope_of(write_ova(tmp_path / "web.ova", ApplianceSpec(name="a", disks=(disk,))).path)
    (controller,) = items(root, kind)
    assert controller.get("ResourceSubType") == subtype
    assert controller["Address"] == "1"
    assert items(root, 17)[0]["Parent"] == controller["InstanceID"]


def test_bios_and_tpm(machine: ApplianceSpec, tmp_path: Path):
    root = envelope_of(write_ova(tmp_path / "a.ova", ApplianceSpec(name="a", vtpm=True)).path)
    settings = {c.get(f"{VMW}key"): c.get(f"{VMW}value") for c in root.iter(f"{VMW}Config")}
    assert settings["firmware"] == "bios"
    assert "bootOptions.efiSecureBootEnabled" not in settings
    assert items(root, 1)[0]["ResourceSubType"] == "vmware.vtpm"


def test_several_machines_in_one_envelope(machine: ApplianceSpec, raw_disk: RawDisk, tmp_path: Path):
    other = ApplianceSpec(name="db01", disks=(DiskSpec(raw=raw_disk("db.raw", size=2**20)),))
    for exporter in (Exporter.VMWARE, Exporter.VIRTUALBOX):
        appliance = write_ova(tmp_path / "two.ova", [machine, other], exporter=exporter)
        root = envelope_of(appliance.path)
        assert [vm.get(f"{OVF}id") for vm in root.iter(f"{OVF}VirtualSystem")] == ["web01", "db01"]
        ids = [disk.get(f"{OVF}diskId") for disk in root.iter(f"{OVF}Disk")]
        assert len(set(ids)) == 3
    with pytest.raises(V2xError, match="one machine at a time"):
        write_ova(tmp_path / "two.ova", [machine, other], exporter=Exporter.OVIRT)


def test_virtualbox_says_firmware_and_mac_in_its_own_record(machine: ApplianceSpec, tmp_path: Path):
    root = envelope_of(write_ova(tmp_path / "web.ova", machine, exporter=Exporter.VIRTUALBOX).path)
    record = root.find(".//{http://www.virtualbox.org/ovf/machine}Machine")
    assert record is not None
    assert [firmware.attrib for firmware in record.iter(f"{OVF}Firmware")] == [{"type": "EFI64"}]
    adapters = [adapter.attrib for adapter in record.iter(f"{OVF}Adapter")]
    assert adapters[0]["MACAddress"] == "005056AABB01"
    assert "MACAddress" not in adapters[1]
    assert all("Address" not in item for item in items(root, 10))
    assert items(root, 15)[0]["Parent"] == items(root, 5)[0]["InstanceID"]


def test_virtualbox_in_ovf_2(machine: ApplianceSpec, tmp_path: Path):
    appliance = write_ova(tmp_path / "web.ova", machine, exporter=Exporter.VIRTUALBOX, ovf_version="2.0")
    root = envelope_of(appliance.path)
    modern = "{http://schemas.dmtf.org/ovf/envelope/2}"
    assert root.tag == f"{modern}Envelope"
    assert len(list(root.iter(f"{modern}EthernetPortItem"))) == 2
    assert len(list(root.iter(f"{modern}StorageItem"))) == 3
    with pytest.raises(V2xError, match=r"does not write OVF 2\.0"):
        write_ova(tmp_path / "web.ova", machine, ovf_version="2.0")


def test_ovirt_envelope(machine: ApplianceSpec, tmp_path: Path):
    appliance = write_ova(tmp_path / "web.ova", machine, exporter=Exporter.OVIRT)
    assert appliance.members[0] == "vm.ovf"
    root = envelope_of(appliance.path)
    assert root.findtext(f".//{OVF}BiosType") == "4"
    disks = [disk.attrib for disk in root.iter(f"{OVF}Disk")]
    assert [disk[f"{OVF}capacity"] for disk in disks] == ["1", "1"]
    assert {disk[f"{OVF}volume-format"] for disk in disks} == {"COW"}
    assert [nic["MACAddress"] for nic in items(root, 10)] == [FIRST_MAC, ""]
    assert items(root, 3)[0]["num_of_sockets"] == "2"


def test_xenserver_envelope(machine: ApplianceSpec, tmp_path: Path):
    root = envelope_of(write_ova(tmp_path / "web.ova", machine, exporter=Exporter.XENSERVER).path)
    citrix = "{http://schemas.citrix.com/ovf/envelope/1}"
    settings = {
        data.get("Name"): data.findtext(f"{citrix}Value")
        for data in root.iter(f"{citrix}VirtualSystemOtherConfigurationData")
    }
    assert settings["HVM_boot_params"] == "order=cdn;firmware=uefi"
    assert "secureboot=true" in str(settings["platform"])
    assert items(root, 17) == []
    disks = [disk.get(f"{OVF}diskId") for disk in root.iter(f"{OVF}Disk")]
    assert [item["InstanceID"] for item in items(root, 19)] == disks
    first, second = items(root, 10)
    assert (first["Address"], first["ElementName"]) == (FIRST_MAC, "VM Network")
    assert "Address" not in second
    networks = [network.get(f"{OVF}name") for network in root.iter(f"{OVF}Network")]
    assert [first["Connection"], second["Connection"]] == networks


def test_a_compressed_disk_says_so(raw_disk: RawDisk, read_with_qemu: Reader, tmp_path: Path):
    disk = DiskSpec(raw=raw_disk(size=2**20), compression="gzip")
    appliance = write_ova(tmp_path / "a.ova", ApplianceSpec(name="a", disks=(disk,)))
    (file,) = envelope_of(appliance.path).iter(f"{OVF}File")
    assert file.get(f"{OVF}compression") == "gzip"
    (tmp_path / "plain.vmdk").write_bytes(gzip.decompress(members_of(appliance.path)[str(file.get(f"{OVF}href"))]))
    assert read_with_qemu(tmp_path / "plain.vmdk") == disk.raw.read_bytes()


def test_a_folder_instead_of_an_archive(machine: ApplianceSpec, read_with_qemu: Reader, tmp_path: Path):
    appliance = write_ovf_folder(tmp_path / "web01", machine)
    assert appliance.path == tmp_path / "web01" / "web01.ovf"
    assert sorted(entry.name for entry in appliance.path.parent.iterdir()) == sorted(appliance.members)
    assert read_with_qemu(tmp_path / "web01" / "web01-disk1.vmdk") == machine.disks[0].raw.read_bytes()


def settings_of(path: Path) -> dict[str, str]:
    pairs = [re.fullmatch(r'([^ ]+) = "([^"]*)"', line) for line in path.read_text("utf-8").splitlines()]
    assert all(pairs)
    keys = [pair[1] for pair in pairs if pair]
    assert len(keys) == len(set(keys))
    return {pair[1]: pair[2] for pair in pairs if pair}


def test_a_vmx_folder(raw_disk: RawDisk, read_with_qemu: Reader, tmp_path: Path):
    vm = ApplianceSpec(
        name="app",
        disks=(
            DiskSpec(raw=raw_disk("a.raw", size=2**20), unit=5),
            DiskSpec(raw=raw_disk("b.raw", size=2**20, seed=2), controller=2, unit=15, controller_model="lsisas1068"),
            DiskSpec(raw=raw_disk("c.raw", size=2**20, seed=3), bus=DiskBus.NVME, unit=1),
        ),
        nics=(NicSpec(mac=FIRST_MAC), NicSpec(mac=SECOND_MAC, generated=False), NicSpec(connected=False)),
        firmware=Firmware.UEFI,
        secure_boot=True,
        vtpm=True,
        annotation='a "b" | c\nd',
        cd_drives=1,
    )
    written = write_vmx_folder(tmp_path / "app", vm, expected=tmp_path / "expected", settings={"usb.present": "TRUE"})
    lines = settings_of(written.vmx)
    assert lines["scsi0:5.fileName"] == "app.vmdk"
    assert lines["scsi2.virtualDev"] == "lsisas1068"
    assert lines["scsi2:15.fileName"] == "app_1.vmdk"
    assert lines["nvme0:1.fileName"] == "app_2.vmdk"
    assert (lines["ethernet0.addressType"], lines["ethernet0.generatedAddress"]) == ("generated", FIRST_MAC)
    assert (lines["ethernet1.addressType"], lines["ethernet1.address"]) == ("static", SECOND_MAC)
    assert "ethernet2.generatedAddress" not in lines
    assert lines["ethernet2.startConnected"] == "FALSE"
    assert (lines["firmware"], lines["uefi.secureBoot.enabled"], lines["vtpm.present"]) == ("efi", "TRUE", "TRUE")
    assert lines["guestOS"] == "debian12-64"
    assert lines["annotation"] == "a |22b|22 |7C c|0Ad"
    assert lines["ide1:0.deviceType"] == "cdrom-raw"
    assert lines["usb.present"] == "TRUE"
    for chain, expected, disk in zip(written.chains, written.expected, vm.disks, strict=True):
        assert expected.read_bytes() == disk.raw.read_bytes() == read_with_qemu(chain.descriptors[-1])


@pytest.mark.parametrize("kind", [CreateType.VMFS_SPARSE, CreateType.SE_SPARSE, CreateType.MONOLITHIC_SPARSE])
def test_a_vmx_folder_with_snapshots(kind: CreateType, raw_disk: RawDisk, read_with_qemu: Reader, tmp_path: Path):
    vm = ApplianceSpec(
        name="app",
        disks=(DiskSpec(raw=raw_disk("a.raw", size=2**20)), DiskSpec(raw=raw_disk("b.raw", size=2**21), unit=1)),
    )
    snapshots = (
        SnapshotSpec(name="before", changes={0: [Change(5, b"first")]}, kind=kind),
        SnapshotSpec(
            name="after", description="two", changes={0: [Change(70_000, b"x")], 1: [Change(0, b"y")]}, kind=kind
        ),
    )
    written = write_vmx_folder(tmp_path / "app", vm, expected=tmp_path / "expected", snapshots=snapshots)
    lines = settings_of(written.vmx)
    assert (lines["scsi0:0.fileName"], lines["scsi0:1.fileName"]) == ("app-000002.vmdk", "app_1-000002.vmdk")
    record = settings_of(tmp_path / "app" / "app.vmsd")
    assert record["snapshot.numSnapshots"] == "2"
    assert (record["snapshot0.disk0.fileName"], record["snapshot1.disk0.fileName"]) == ("app.vmdk", "app-000001.vmdk")
    assert (record["snapshot1.parent"], record["snapshot1.disk1.node"]) == ("1", "scsi0:1")
    for chain, expected in zip(written.chains, written.expected, strict=True):
        assert read_with_qemu(chain.descriptors[-1]) == expected.read_bytes()
    assert written.expected[0].read_bytes()[5:10] == b"first"
