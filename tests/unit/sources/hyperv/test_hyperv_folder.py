# SPDX-License-Identifier: Apache-2.0
"""Folders of exported Hyper-V machines: layouts, what a configuration tells, checkpoints, and disks alone."""

import random
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hyperv_exports import MACHINE, TPM, Stored, export
from tests.hyperv_images import ABSENT, FULL, Vhd, Vhdx, linkage
from tests.hyperv_samples import sample
from v2x.disks.smb.paths import parse_rule
from v2x.errors import InputRefused, SourceError, Unsupported
from v2x.model.inventory import Inventory
from v2x.model.machine import CdDrive, Device, DiskBacking, Machine, NicModel, PowerState
from v2x.secrets import Secret
from v2x.simulators.hyperv.share import Share
from v2x.sources import open_source
from v2x.sources.folder import FolderSource
from v2x.sources.hyperv.access import ShareOptions
from v2x.sources.hyperv.folder import HypervFolderSource
from v2x.sources.interface import Confirms

MIB = 1 << 20
IDE0 = {(0, 0): r"D:\VMs\web.vhdx"}


def inventory(folder: Path, **options: Any) -> Inventory:
    with open_source(folder, **options) as source:
        return source.inventory()


def machine(folder: Path, **options: Any) -> Machine:
    (found,) = inventory(folder, **options).machines
    return found


def codes(folder: Path) -> list[str]:
    return [problem.code for problem in inventory(folder).problems]


def content(folder: Path, name: str | None = None) -> list[bytes]:
    """All disks of the machine as its source reads them."""
    with open_source(folder) as source:
        found = next(one for one in source.inventory().machines if name in {None, one.name})
        at = source.checkpoint(found, "t")
        read = []
        for disk in found.disks:
            reader = source.reader(found, disk, at)
            buffer = bytearray(reader.size)
            reader.read_into(0, buffer)
            reader.close()
            read.append(bytes(buffer))
        return read


@pytest.fixture
def raw() -> bytes:
    return random.Random(1).randbytes(3 * MIB)


@pytest.mark.parametrize("binary", [False, True])
def test_what_a_configuration_of_generation_1_tells(tmp_path: Path, raw: bytes, binary: bool) -> None:
    extra: dict[str, Any] = {
        "properties/notes": "two\nlines",
        "properties/highly_available": True,
        "settings/processors/limit": 50_000,
        "settings/processors/reservation": 10_000,
        "settings/processors/weight": 200,
        "settings/processors/nested_virtualization/enabled": True,
        "settings/memory/bank/dynamic_memory_enabled": True,
        "global_settings/disk_merge_pending": True,
        "global_settings/power/host_startup/action": 2,
        "global_settings/power/host_shutdown/action": 2,
        "manifest/vdev009/device": "2fcc454e-a36a-4c77-bb5e-a2d75a51f02c",
        "manifest/vdev009/instance": str(uuid.UUID(int=9)),
        "manifest/vdev009/name": "GPU",
    }
    stored = Stored(ide={**IDE0, (1, 0): r"C:\cd.iso"}, cpus=3, memory_mib=1536, extra=extra)
    found = machine(export(tmp_path, stored, {"web.vhdx": Vhdx(raw=raw).packed()}, binary=binary))
    assert (found.id, found.name, found.generation, found.firmware) == (MACHINE, "web", 1, "bios")
    assert (found.cpu.count, found.cpu.nested_virtualization) == (3, True)
    assert found.memory.size_bytes == 1536 * MIB
    assert (found.memory.dynamic_min_bytes, found.memory.dynamic_max_bytes) == (512 * MIB, 1 << 40)
    assert (found.uuid, found.serial_number, found.asset_tag) == (
        "967df1ba-2c00-4998-9f1b-d60bcc0c4b90",
        "7449-6769",
        "A-1",
    )
    assert (found.start_action, found.stop_action, found.cluster_role) == ("Start", "ShutDown", True)
    assert (found.consolidation_needed, found.locks) == (True, ("disks are being merged",))
    assert found.boot_order == ("cd", "hd", "network", "floppy")
    assert found.notes == "two\nlines"
    assert found.cd_drives == (CdDrive(position=0, bus=found.cd_drives[0].bus, image=r"C:\cd.iso", connected=True),)
    assert found.devices == (Device(kind="passthrough", label="GPU"),)
    assert found.attributes == {
        "created": "2021-10-15T00:00:00+00:00",
        "cpu.limit_percent": "50",
        "cpu.reserve_percent": "10",
        "cpu.weight": "200",
    }
    (nic,) = found.nics
    assert (nic.network, nic.mac, nic.mac_is_static, nic.connected) == ("LAN", "00:15:5d:01:02:03", False, True)
    assert found.hardware_version == ("9.0" if binary else "5.0")
    assert found.power_state is PowerState.OFF


def test_xml_and_vmcx_give_the_same_machine(tmp_path: Path, raw: bytes) -> None:
    for generation in (1, 2):
        stored = Stored(generation=generation, scsi={(0, 0): r"D:\web.vhdx", (1, 63): r"D:\b.vhdx"})
        stored.extra = {"properties/version": 0x900}
        disks = {name: Vhdx(raw=raw).packed() for name in ("web.vhdx", "b.vhdx")}
        first = export(tmp_path / f"xml{generation}", stored, disks)
        second = export(tmp_path / f"vmcx{generation}", stored, disks, binary=True)
        assert machine(first) == machine(second, experimental=True)


def test_generation_2_in_a_vmcx_is_told_only_when_asked_for(tmp_path: Path) -> None:
    extra: dict[str, Any] = {
        "manifest/vdev008/device": TPM,
        "manifest/vdev008/instance": TPM,
        "_00000000-1111-4222-8333-444444444444_/secure_boot_template_id": "1734C6E8-3154-4DDA-BA5F-A874CC483422",
    }
    folder = export(tmp_path, Stored(generation=2, extra=extra), {}, binary=True)
    found = machine(folder)
    assert (found.firmware, found.generation) == ("uefi", 2)
    assert (found.secure_boot, found.secure_boot_template, found.boot_order) == (False, "", ())
    assert found.vtpm, "a key protector that is lost unnoticed locks the guest's disk"
    assert found.attributes["unknown"] == "secure boot, its template, boot order"
    assert codes(folder) == ["GENERATION-2"]
    found = machine(folder, experimental=True)
    assert (found.secure_boot, found.secure_boot_template) == (True, "1734c6e8-3154-4dda-ba5f-a874cc483422")
    assert "unknown" not in found.attributes


def test_what_is_not_decoded_is_named(tmp_path: Path) -> None:
    nic = str(uuid.UUID(int=0x1C))
    extra = {f"_{nic}_/Connection/Feature_952C5004-4465-451C-8CB8-FA9AB382B773/Flags": 0}
    extra |= {"manifest/vdev007/device": str(uuid.UUID(int=5)), "manifest/vdev007/instance": str(uuid.UUID(int=5))}
    folder = export(tmp_path, Stored(extra=extra | {"manifest/vdev007/name": "Microsoft Emulated Ethernet Port"}), {})
    found = machine(folder)
    assert found.attributes["unknown"] == "VLAN of Network Adapter, MAC address of Microsoft Emulated Ethernet Port"
    assert [nic.model for nic in found.nics] == [NicModel.SYNTHETIC, NicModel.LEGACY]
    assert found.nics[0].vlan is None
    assert codes(folder) == ["NOT-DECODED"]


def test_disks_in_boot_order_with_their_kinds(tmp_path: Path, raw: bytes) -> None:
    stored = Stored(
        ide={(1, 1): r"D:\d.vhd", (0, 1): r"D:\b.vhdx", (0, 0): r"D:\a.vhdx"},
        scsi={(1, 5): r"D:\f.vhdx", (0, 9): r"D:\e.vhdx", (0, 1): "physical:Disk 3 Harddisk", (2, 0): r"D:\s.vhds"},
    )
    disks: dict[str, bytes | bytearray] = {f"{name}.vhdx": Vhdx(raw=raw[: 512 * 3]).packed() for name in "abef"}
    disks["d.vhd"] = Vhd(raw=raw[: 2 * MIB], sectors={0: None}).packed()
    folder = export(tmp_path, stored, disks)
    found = machine(folder).disks
    places = ["ide0:0", "ide0:1", "ide1:1", "scsi0:1", "scsi0:9", "scsi1:5", "scsi2:0"]
    assert [disk.id for disk in found] == places
    assert [disk.position for disk in found] == list(range(7))
    assert [str(disk.format) for disk in found[:3]] == ["vhdx", "vhdx", "vhd"]
    assert found[3].backing is DiskBacking.RAW_DEVICE
    assert (found[6].shared, found[6].backing) == (True, DiskBacking.MISSING)
    assert found[2].capacity_bytes == 2 * MIB
    with open_source(folder) as source:
        one = source.inventory().machines[0]
        with pytest.raises(Unsupported):
            source.reader(one, found[3], source.checkpoint(one, "t"))


def test_a_chain_is_found_by_identity_wherever_it_lies(tmp_path: Path, raw: bytes) -> None:
    folder = export(tmp_path, Stored(ide={(0, 0): r"D:\gone\Web_1.avhdx"}), {})
    (folder / "Snapshots" / "deep").mkdir()
    base = Vhdx(raw=raw, data_write=uuid.UUID(int=1))
    base.write(folder / "Virtual Hard Disks" / "other name.vhdx")
    newer = random.Random(2).randbytes(3 * MIB)
    link = linkage(uuid.UUID(int=1))
    top = Vhdx(raw=newer, data_write=uuid.UUID(int=2), parent=link, states={0: FULL, 1: ABSENT, 2: ABSENT})
    top.write(folder / "Snapshots" / "deep" / "WEB_1.avhdx")
    assert content(folder) == [newer[:MIB] + raw[MIB:]]
    (disk,) = machine(folder).disks
    assert disk.files == ("WEB_1.avhdx", "other name.vhdx")
    assert disk.subformat == "differencing"


def test_files_of_one_name_are_not_chosen_between(tmp_path: Path, raw: bytes) -> None:
    folder = export(tmp_path, Stored(ide=IDE0), {"web.vhdx": Vhdx(raw=raw).packed()})
    (folder / "copy").mkdir()
    shutil.copyfile(folder / "Virtual Hard Disks" / "web.vhdx", folder / "copy" / "web.vhdx")
    assert codes(folder) == ["AMBIGUOUS-DISK"]
    assert machine(folder).disks[0].backing is DiskBacking.MISSING


def test_a_disk_that_is_not_there_or_not_readable_is_named(tmp_path: Path, raw: bytes) -> None:
    orphan = Vhdx(raw=raw, parent=linkage(uuid.UUID(int=77), "base.vhdx"), data_write=uuid.UUID(int=78))
    stored = Stored(ide=IDE0, scsi={(0, 0): r"D:\orphan.avhdx", (0, 1): r"D:\junk.vhdx", (0, 2): r"D:\4k.vhdx"})
    disks = {
        "orphan.avhdx": orphan.packed(),
        "junk.vhdx": b"junk" * 1000,
        "4k.vhdx": Vhdx(raw=raw, sector=4096).packed(),
    }
    folder = export(tmp_path, stored, disks)
    problems = {problem.text.partition(":")[2] for problem in inventory(folder).problems}
    assert len(problems) == 4
    found = machine(folder).disks
    assert [disk.backing.value for disk in found] == ["missing", "missing", "file", "file"]  # type: ignore[union-attr]
    assert found[3].logical_sector_bytes == 4096
    with open_source(folder) as source:
        one = source.inventory().machines[0]
        at = source.checkpoint(one, "t")
        for disk in one.disks:
            with pytest.raises(InputRefused) as refused:
                source.reader(one, disk, at)
            assert refused.value.message


def test_several_machines_and_their_checkpoints(tmp_path: Path, raw: bytes) -> None:
    other = "99999999-0000-4000-8000-000000000001"
    for id, name in ((MACHINE, "web"), (other, "db")):
        stored = Stored(id=id, name=name, ide=IDE0)
        folder = export(tmp_path / name, stored, {"web.vhdx": Vhdx(raw=raw).packed()})
        point = Stored(id=str(uuid.uuid5(uuid.UUID(id), "cp")), name=f"before {name}", checkpoint_of=id)
        (folder / "Snapshots" / f"{point.id.upper()}.xml").write_bytes(point.xml())
    found = inventory(tmp_path).machines
    assert [(one.name, one.folder, [cp.name for cp in one.snapshots]) for one in found] == [
        ("db", "db", ["before db"]),
        ("web", "web", ["before web"]),
    ]
    assert content(tmp_path, "db") == [raw]
    assert [one.name for one in open_source(tmp_path).inventory(lambda text: text == "web").machines] == ["web"]


def test_a_machine_exported_twice_can_be_told_apart(tmp_path: Path) -> None:
    for name in ("monday", "tuesday"):
        export(tmp_path / name, Stored(), {})
    assert [one.id for one in inventory(tmp_path).machines] == [f"{MACHINE}@monday", f"{MACHINE}@tuesday"]


def test_machines_that_share_their_folders(tmp_path: Path, raw: bytes) -> None:
    """As they lie on a host: all configurations in one folder, all disks in another."""
    ids = {"web": MACHINE, "db": "99999999-0000-4000-8000-000000000001"}
    for name, id in ids.items():
        export(
            tmp_path,
            Stored(id=id, name=name, ide={(0, 0): rf"D:\{name}.vhdx"}),
            {f"{name}.vhdx": Vhdx(raw=raw).packed()},
        )
    found = inventory(tmp_path)
    assert {one.name: one.disks[0].files for one in found.machines} == {"web": ("web.vhdx",), "db": ("db.vhdx",)}
    assert found.problems == ()


@pytest.mark.parametrize("binary", [False, True])
def test_saved_memory_makes_a_machine_suspended(tmp_path: Path, binary: bool) -> None:
    folder = export(tmp_path, Stored(), {}, binary=binary)
    home = folder / "Virtual Machines"
    if binary:
        state = home / f"{MACHINE.upper()}.VMRS"
        state.write_bytes(b"\0" * 45_000)
        assert machine(folder).power_state is PowerState.OFF
        with state.open("wb") as file:
            file.truncate(64 * MIB)
    else:
        (home / MACHINE.upper()).mkdir()
        (home / MACHINE.upper() / f"{MACHINE.upper()}.vsv").write_bytes(b"state")
    assert machine(folder).power_state is PowerState.SUSPENDED


def test_one_damaged_configuration_does_not_hide_the_others(tmp_path: Path) -> None:
    export(tmp_path / "good", Stored(), {})
    bad = export(tmp_path / "bad", Stored(name="bad"), {}, binary=True)
    (path,) = (bad / "Virtual Machines").iterdir()
    path.write_bytes(path.read_bytes()[:5000])
    found = inventory(tmp_path)
    assert [one.name for one in found.machines] == ["web"]
    assert [problem.code for problem in found.problems] == ["BAD-IMAGE"]
    shutil.rmtree(tmp_path / "good")
    with pytest.raises(InputRefused, match=r"bad/Virtual Machines/.*damaged|truncated|lies outside"):
        inventory(tmp_path)


def test_what_holds_no_machine_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputRefused, match="holds no appliance or machine"):
        inventory(tmp_path)
    with pytest.raises(InputRefused, match="holds no Hyper-V machine"):
        HypervFolderSource.open(tmp_path)
    with pytest.raises(SourceError):
        HypervFolderSource.open(tmp_path / "absent")


def test_an_export_of_2008_r2_is_named_and_its_disks_are_read(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "Virtual Machines").mkdir()
    (tmp_path / "Virtual Machines" / f"{MACHINE.upper()}.exp").write_bytes("<DECLARATIONS/>".encode("utf-16"))
    (tmp_path / "Virtual Hard Disks").mkdir()
    Vhd(raw=raw[: 2 * MIB], sectors={0: None}).write(tmp_path / "Virtual Hard Disks" / "web.vhd")
    assert codes(tmp_path) == ["OLD-EXPORT", "HARDWARE-UNKNOWN"]
    assert content(tmp_path) == [raw[: 2 * MIB]]


def test_disks_alone_are_machines_without_hardware(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "web" / "Virtual Hard Disks").mkdir(parents=True)
    (tmp_path / "db").mkdir()
    Vhdx(raw=raw, data_write=uuid.UUID(int=1)).write(tmp_path / "web" / "Virtual Hard Disks" / "base.vhdx")
    child = Vhdx(raw=raw, data_write=uuid.UUID(int=2), parent=linkage(uuid.UUID(int=1)), states={0: ABSENT})
    child.write(tmp_path / "web" / "Virtual Hard Disks" / "web.avhdx")
    Vhd(raw=raw[: 2 * MIB], sectors={0: None}).write(tmp_path / "db" / "db.vhd")
    Vhdx(raw=raw, data_write=uuid.UUID(int=3)).write(tmp_path / "db" / "data.vhdx")
    found = inventory(tmp_path)
    assert {one.name: [disk.label for disk in one.disks] for one in found.machines} == {
        "db": ["data.vhdx", "db.vhd"],
        "web": ["web.avhdx"],
    }
    for one in found.machines:
        assert (one.cpu.count, one.memory.size_bytes, one.firmware_stated) == (0, 0, False)
        assert one.attributes["unknown"] == "vcpus, memory, firmware"
    assert {problem.code for problem in found.problems} == {"HARDWARE-UNKNOWN"}
    assert content(tmp_path, "web") == [raw]
    assert inventory(tmp_path).machines == found.machines
    (tmp_path / "web" / "hv1.json").write_text("{}")
    texts = {problem.subject: problem.text for problem in inventory(tmp_path).problems}
    assert "web/hv1.json was collected" in texts["web"]
    assert "json" not in texts["db"]


@pytest.mark.parametrize(("label", "firmware"), [("gpt", "uefi"), ("dos", "bios"), ("gpt without", None)])
def test_the_firmware_of_disks_alone_is_told_by_their_partitions(
    tmp_path: Path, label: str, firmware: str | None
) -> None:
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as file:
        file.write(b"\xfa" * 400)
        file.truncate(16 * MIB)
    kind = "L" if label != "gpt" else "U"
    script = f"label: {label.split(maxsplit=1)[0]}\n,8M,{kind}\n" if label != "dos" else "label: dos\n,8M,7,*\n"
    subprocess.run(["/usr/sbin/sfdisk", "-q", disk], input=script.encode(), check=True, capture_output=True)
    folder = tmp_path / "web"
    folder.mkdir()
    Vhdx(raw=disk.read_bytes()).write(folder / "web.vhdx")
    found = machine(folder)
    assert found.firmware_stated is (firmware is not None)
    if firmware is not None:
        assert found.firmware == firmware


def test_beside_appliances_configurations_count_and_disks_alone_do_not(tmp_path: Path, raw: bytes, images: Any) -> None:
    export(tmp_path / "exported", Stored(ide=IDE0), {"web.vhdx": Vhdx(raw=raw).packed()})
    (tmp_path / "vmware").mkdir()
    (tmp_path / "vmware" / "old.vmx").write_text('config.version = "8"\ndisplayName = "old"\nmemsize = "512"\n')
    Vhdx(raw=raw).write(tmp_path / "vmware" / "alone.vhdx")
    with open_source(tmp_path) as source:
        assert isinstance(source, FolderSource)
        found = source.inventory()
        assert sorted(one.name for one in found.machines) == ["old", "web"]
        web = next(one for one in found.machines if one.name == "web")
        at = source.checkpoint(web, "t")
        assert isinstance(source, Confirms)
        source.confirm(web, at)
        assert source.reader(web, web.disks[0], at).size == len(raw)


def test_points_change_with_whatever_was_written(tmp_path: Path, raw: bytes) -> None:
    folder = export(tmp_path, Stored(ide=IDE0), {"web.vhdx": Vhdx(raw=raw, data_write=uuid.UUID(int=1)).packed()})
    path = folder / "Virtual Hard Disks" / "web.vhdx"
    with open_source(folder) as source:
        one = source.inventory().machines[0]
        (disk,) = one.disks
        at = source.checkpoint(one, "t")
        assert source.checkpoint(one, "t") == at
        assert " " not in at.points[disk.id].strip()
        assert isinstance(source, Confirms)
        source.confirm(one, at)
        with path.open("r+b") as file:
            file.seek(path.stat().st_size - 1)
            file.write(b"\1")
        with pytest.raises(SourceError, match="changed since the copy began"):
            source.confirm(one, at)
        with pytest.raises(SourceError):
            source.reader(one, disk, at)


def test_disks_that_stayed_on_the_hosts_shares(tmp_path: Path, raw: bytes, hyperv_share: Callable[..., Share]) -> None:
    """Local files go first; a parent in another folder is found where a share is given for it, by identity."""
    for name in ("vms", "templates"):
        (tmp_path / name).mkdir()
    share = hyperv_share(V=tmp_path / "vms", T=tmp_path / "templates")
    base = Vhdx(raw=raw, data_write=uuid.UUID(int=1))
    base.write(tmp_path / "templates" / "web.vhdx")
    top = Vhdx(
        raw=raw, data_write=uuid.UUID(int=2), parent=linkage(uuid.UUID(int=1)), states={0: FULL, 1: ABSENT, 2: ABSENT}
    )
    top.write(tmp_path / "vms" / "web.vhdx")
    for number in range(3):
        Vhdx(raw=raw, data_write=uuid.UUID(int=50 + number)).write(tmp_path / "vms" / f"other{number}.vhdx")
    stored = Stored(ide={(0, 0): r"V:\web.vhdx", (0, 1): r"V:\local.vhdx"})
    folder = export(tmp_path / "export", stored, {"local.vhdx": Vhdx(raw=raw[:MIB]).packed()})
    asked: list[int] = []

    def password() -> Secret:
        asked.append(1)
        return Secret(share.password)

    rules = tuple(parse_rule(text) for text in share.rules)
    options = ShareOptions(user=share.user, password=password, rules=rules)
    with open_source(folder, shares=options) as source:
        found = source.inventory().machines[0]
        assert found.disks[0].files == (r"V:\web.vhdx", r"T:\web.vhdx")
        assert found.disks[1].files == ("local.vhdx",)
        assert found.disks[0].capacity_bytes == len(raw)
        at = source.checkpoint(found, "t")
        for disk, wanted in zip(found.disks, (raw, raw[:MIB]), strict=True):
            reader = source.reader(found, disk, at)
            buffer = bytearray(reader.size)
            reader.read_into(0, buffer)
            assert buffer == wanted
            reader.close()
            assert isinstance(source, Confirms)
            source.confirm(found, at)
    assert asked == [1]
    with open_source(folder, shares=ShareOptions(user="u", rules=rules[:0])) as source:
        assert source.inventory().machines[0].disks[0].backing is DiskBacking.MISSING


def test_no_login_goes_to_a_server_that_only_a_file_names(tmp_path: Path) -> None:
    """Whoever sends an export could otherwise collect what a password is guessed from."""

    def password() -> Secret:
        raise AssertionError("nobody may be asked")

    folder = export(tmp_path, Stored(ide={(0, 0): r"\\evil.example\vms\web.vhdx"}), {})
    options = ShareOptions(user="me", password=password, rules=(parse_rule(r"D:\VMs=\\fs\vms"),))
    with open_source(folder, shares=options) as source:
        found = source.inventory()
        (disk,) = found.machines[0].disks
        (problem,) = found.problems
        assert "nobody but the configuration names" in problem.text
        with pytest.raises(InputRefused) as refused:
            source.checkpoint(found.machines[0], "t")
        assert refused.value.code == "SERVER-NOT-NAMED"
        assert r"--share '\\evil.example\vms=" in refused.value.hint
    assert disk.backing is DiskBacking.FILE


def test_real_disks_of_hyper_v_read_as_qemu_reads_them(tmp_path: Path) -> None:
    for name in ("dynamic.vhdx", "fixed.vhdx", "dynamic.vhd", "fixed.vhd"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_bytes(sample(f"{name}.gz"))
        driver = "vhdx" if name.endswith("x") else "vpc"
        subprocess.run(["qemu-img", "convert", "-f", driver, "-O", "raw", folder / name, tmp_path / "raw"], check=True)
        (read,) = content(folder)
        assert read == (tmp_path / "raw").read_bytes()
    (tmp_path / "delta").mkdir()
    (tmp_path / "delta" / "x.avhdx").write_bytes(sample("differencing.avhdx.gz"))
    assert codes(tmp_path / "delta") == ["BAD-DISK", "HARDWARE-UNKNOWN"]
    assert machine(tmp_path / "delta").disks[0].backing is DiskBacking.MISSING
