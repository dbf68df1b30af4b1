# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from v2x.errors import InputRefused, PlanError, Unsupported
from v2x.mapping.build import build_machine, clean_name, clean_text
from v2x.mapping.devices import lay_out
from v2x.model.machine import (
    CdDrive,
    Cpu,
    DiskBacking,
    DiskBus,
    DiskMode,
    Firmware,
    Guest,
    GuestIdKind,
    Memory,
    NicModel,
    Other,
)
from v2x.model.plan import MacPolicy
from v2x.model.target import ImageFormat, SecureBoot
from v2x.model.units import GIB, MIB, TIB

WINDOWS = Guest(os_id="windows2019srv_64Guest", os_id_kind=GuestIdKind.VMWARE)
VIRIDIAN = {
    "viridian", "viridian_time_ref_count", "viridian_reference_tsc", "viridian_apic_assist", "viridian_crash_ctl",
    "viridian_stimer",
}  # fmt: skip


def joined(made) -> str:
    return "\n".join(made.notes)


def test_a_plain_linux_machine(make_machine, make_row, facts, tables):
    made = build_machine(make_machine(), make_row(), facts, tables)
    assert (made.source_id, made.name, made.vcpus, made.memory_bytes) == ("4213-web01", "web01", 4, 8 * GIB)
    assert (made.firmware, made.secure_boot, made.vtpm) == (Firmware.UEFI, SecureBoot.FALSE, False)
    assert (made.template, made.template_name) == ("debian-12", "Debian Bookworm 12")
    assert made.recommendations == "<restrictions name='debian-12'/>"
    assert made.boot_order == "cd"
    assert made.cd_device == ""
    assert made.platform == {
        "acpi": "1", "apic": "true", "cores-per-socket": "2", "device_id": "0001", "hpet": "true", "nx": "true",
        "pae": "true", "secureboot": "false", "vga": "std", "videoram": "8", "viridian": "false",
    }  # fmt: skip
    disk, nic = made.disks[0], made.nics[0]
    assert (disk.source_disk, disk.name, disk.sr, disk.device) == ("scsi0:0", "web01 Hard disk 1", "sr-nfs", "0")
    assert (disk.size_bytes, disk.bootable, disk.image_format) == (16 * GIB, True, ImageFormat.VHD)
    assert (nic.network, nic.network_name, nic.mac, nic.device) == ("net-lan", "LAN", "00:50:56:00:00:00", "0")
    assert {"vmware-debian-12", "firmware-uefi", "platform-linux", "bus-scsi", "nic-vmxnet3"} <= set(made.rows)
    assert not made.auto_start
    assert made.bios_strings == {}


def test_the_description_keeps_the_notes_and_tells_the_origin(make_machine, make_row, facts, tables):
    machine = make_machine(
        notes="Owner: Ada\r\nRack 4\x07", uuid="4213-uuid", tags=("prod", " prod ", "\x1b[31mred", "")
    )
    made = build_machine(machine, make_row(), facts, tables)
    assert made.description == "Owner: Ada\nRack 4\nMoved by v2x from vcenter: web01, 4213-uuid"
    assert made.tags == ("prod", "[31mred")
    assert made.other_config["base_template_name"] == "Debian Bookworm 12"
    assert made.other_config["v2x-source-uuid"] == "4213-uuid"


def test_bios_and_uefi_never_contradict_the_device_model(make_machine, make_row, facts, tables):
    for template in facts.templates:
        for firmware in Firmware:
            row = make_row(template=template.reference_label)
            made = build_machine(make_machine(firmware=firmware), row, facts, tables)
            assert made.firmware is firmware
            model = made.platform.get("device-model")
            assert model in ((None,) if firmware is Firmware.UEFI else ("qemu-upstream-compat",)), (
                template.reference_label
            )
            assert made.platform["secureboot"] == "false"
            assert "vtpm" not in made.platform


def test_every_row_of_the_guest_table_builds_with_both_firmwares(make_machine, make_row, facts, tables):
    for guest_row in tables.guests.order:
        if guest_row.kind is GuestIdKind.TEXT:
            continue
        guest = Guest(os_id=guest_row.matches[0].rstrip("*"), os_id_kind=guest_row.kind)
        for firmware in Firmware:
            made = build_machine(make_machine(guest=guest, firmware=firmware), make_row(), facts, tables)
            assert made.template, guest_row.id
            assert ("device-model" in made.platform) is (firmware is Firmware.BIOS), guest_row.id
            assert {"acpi", "apic", "nx", "pae", "hpet", "vga"} <= set(made.platform), guest_row.id


def test_windows_gets_the_enlightenments_whatever_the_template(make_machine, make_row, facts, tables):
    for os_id in ("windows2019srv_64Guest", "windows8Server64Guest", "windows7_64Guest", "windows9Guest"):
        guest = Guest(os_id=os_id, os_id_kind=GuestIdKind.VMWARE)
        made = build_machine(make_machine(guest=guest, firmware=Firmware.BIOS), make_row(), facts, tables)
        assert {key: made.platform[key] for key in VIRIDIAN} == dict.fromkeys(VIRIDIAN, "true"), os_id
        assert made.platform["device_id"] == "0002"
        assert made.platform["vga"] == "std"


def test_windows_before_vista_gets_none(make_machine, make_row, facts, tables):
    guest = Guest(os_id="winNetStandardGuest", os_id_kind=GuestIdKind.VMWARE)
    made = build_machine(make_machine(guest=guest, firmware=Firmware.BIOS), make_row(), facts, tables)
    assert made.template == "other-install-media"
    assert {made.platform[key] for key in VIRIDIAN} == {"false"}


def test_linux_on_the_any_template_has_viridian_off(make_machine, make_row, facts, tables):
    bare = replace(facts, templates=tuple(t for t in facts.templates if t.reference_label == "other-install-media"))
    made = build_machine(make_machine(), make_row(), bare, tables)
    assert made.template == "other-install-media"
    assert (made.platform["viridian"], made.platform["device_id"]) == ("false", "0001")


def test_an_older_pool_gets_the_generic_template(make_machine, make_row, facts, tables):
    old = replace(facts, templates=tuple(t for t in facts.templates if not t.reference_label.startswith("debian")))
    assert build_machine(make_machine(), make_row(), old, tables).template == "generic-linux-uefi"
    bios = build_machine(make_machine(firmware=Firmware.BIOS), make_row(), old, tables)
    assert bios.template == "generic-linux-bios"
    assert bios.platform["device-model"] == "qemu-upstream-compat"


def test_a_pool_without_templates_gets_the_platform_of_the_tables(make_machine, make_row, facts, tables):
    made = build_machine(make_machine(guest=WINDOWS), make_row(), replace(facts, templates=()), tables)
    assert (made.template, made.template_name, made.recommendations) == ("", "", "")
    assert made.platform["viridian"] == "true"
    assert made.platform["acpi"] == "1"


def test_an_unknown_guest_is_noted(make_machine, make_row, facts, tables):
    made = build_machine(make_machine(guest=Guest(os_name="Plan 9")), make_row(), facts, tables)
    assert made.template == "other-install-media"
    assert "Plan 9 is not in the mapping tables" in joined(made)


def test_the_plan_may_name_a_template_by_label_name_or_uuid(make_machine, make_row, facts, tables):
    wanted = next(t for t in facts.templates if t.reference_label == "rocky-9")
    for word in (wanted.reference_label, wanted.name, wanted.uuid):
        assert build_machine(make_machine(), make_row(template=word), facts, tables).template == "rocky-9"


def test_a_template_named_against_the_guest_keeps_its_own_platform(make_machine, make_row, facts, tables):
    made = build_machine(make_machine(), make_row(template="windows-11"), facts, tables)
    assert made.platform["device_id"] == "0002"
    assert made.platform["viridian"] == "true"


def test_an_unknown_template_is_refused_with_the_valid_ones(make_machine, make_row, facts, tables):
    with pytest.raises(PlanError, match="no template is named 'debian-99'") as caught:
        build_machine(make_machine(), make_row(template="debian-99"), facts, tables)
    assert "almalinux-10" in caught.value.hint


@pytest.mark.parametrize(
    ("source_on", "asked", "certificates", "becomes", "noted"),
    [
        (False, None, True, SecureBoot.FALSE, False),
        (True, None, True, SecureBoot.TRUE, False),
        (True, None, False, SecureBoot.AUTO, True),
        (True, SecureBoot.FALSE, True, SecureBoot.FALSE, False),
        (False, SecureBoot.AUTO, True, SecureBoot.AUTO, False),
    ],
)
def test_secure_boot(make_machine, make_row, facts, tables, source_on, asked, certificates, becomes, noted):
    pool = replace(facts, secure_boot_certificates=certificates)
    made = build_machine(make_machine(secure_boot=source_on), make_row(secure_boot=asked), pool, tables)
    assert made.secure_boot is becomes
    assert made.platform["secureboot"] == becomes.value
    assert ("Secure Boot: on → auto" in joined(made)) is noted


def test_secure_boot_needs_uefi(make_machine, make_row, facts, tables):
    with pytest.raises(PlanError, match="the firmware is bios"):
        build_machine(make_machine(firmware=Firmware.BIOS), make_row(secure_boot=SecureBoot.TRUE), facts, tables)


def test_a_vtpm_is_made_new_and_said_to_be_empty(make_machine, make_row, facts, tables):
    made = build_machine(make_machine(vtpm=True), make_row(), facts, tables)
    assert made.vtpm
    assert made.platform["vtpm"] == "true"
    assert "recovery keys" in joined(made)


def test_a_vtpm_is_left_out_where_there_is_none(make_machine, make_row, facts, tables):
    old = replace(facts, vtpm_supported=False)
    for machine, pool in ((make_machine(vtpm=True), old), (make_machine(vtpm=True, firmware=Firmware.BIOS), facts)):
        made = build_machine(machine, make_row(), pool, tables)
        assert not made.vtpm
        assert "vtpm" not in made.platform
        assert "vTPM: present → none" in joined(made)
        with pytest.raises(PlanError, match="vtpm is yes but"):
            build_machine(machine, make_row(vtpm=True), pool, tables)


def test_the_vtpm_of_a_template_is_not_taken_over(make_machine, make_row, facts, tables):
    guest = Guest(os_id="windows11_64Guest", os_id_kind=GuestIdKind.VMWARE)
    made = build_machine(make_machine(guest=guest), make_row(), facts, tables)
    assert made.template == "windows-11"
    assert "vtpm" not in made.platform


def test_another_firmware_of_the_plan_is_noted(make_machine, make_row, facts, tables):
    made = build_machine(make_machine(), make_row(firmware=Firmware.BIOS), facts, tables)
    assert made.firmware is Firmware.BIOS
    assert "Firmware: UEFI → BIOS" in joined(made)
    guessed = build_machine(make_machine(firmware_stated=False), make_row(), facts, tables)
    assert "does not say which; UEFI is assumed" in joined(guessed)


@pytest.mark.parametrize(
    ("cpu", "vcpus", "guest", "cores", "noted"),
    [
        (Cpu(count=4, cores_per_socket=2), None, None, 2, False),
        (Cpu(count=4, cores_per_socket=3), None, None, None, True),
        (Cpu(count=4, cores_per_socket=4), 6, None, None, True),
        (Cpu(count=4, cores_per_socket=8), None, None, None, True),
        (Cpu(count=4, cores_per_socket=0), None, None, None, True),
        (Cpu(count=4), None, None, None, False),
        (Cpu(count=4), None, WINDOWS, 2, False),
        (Cpu(count=5), None, WINDOWS, 5, False),
        (Cpu(count=1), None, WINDOWS, None, False),
        (Cpu(count=6, cores_per_socket=4), None, WINDOWS, 3, True),
    ],
)
def test_cores_per_socket_divides_the_vcpus(make_machine, make_row, facts, tables, cpu, vcpus, guest, cores, noted):
    machine = make_machine(cpu=cpu, **({"guest": guest} if guest else {}))
    made = build_machine(machine, make_row(vcpus=vcpus), facts, tables)
    assert made.cores_per_socket == cores
    assert made.platform.get("cores-per-socket") == (str(cores) if cores else None)
    assert ("cores per socket → none set" in joined(made)) is noted
    assert made.vcpus == (vcpus or cpu.count)


def test_memory_of_the_plan_and_whole_mib(make_machine, make_row, facts, tables):
    made = build_machine(make_machine(), make_row(memory_bytes=4 * GIB), facts, tables)
    assert made.memory_bytes == 4 * GIB
    assert "Memory: 8 GiB → 4 GiB, as the plan says." in made.notes
    odd = build_machine(make_machine(memory=Memory(size_bytes=512 * MIB + 1)), make_row(), facts, tables)
    assert odd.memory_bytes == 513 * MIB
    dynamic = Memory(size_bytes=2 * GIB, dynamic_min_bytes=GIB, dynamic_max_bytes=TIB)
    assert "dynamic (1 GiB to 1 TiB) → fixed at 2 GiB" in joined(
        build_machine(make_machine(memory=dynamic), make_row(), facts, tables)
    )


def test_dynamic_memory_gives_what_the_guest_asked_for_never_its_maximum(make_machine, make_row, facts, tables):
    busy = Memory(size_bytes=GIB, dynamic_min_bytes=GIB, dynamic_max_bytes=TIB, demand_bytes=3 * GIB + 1)
    made = build_machine(make_machine(memory=busy), make_row(), facts, tables)
    assert made.memory_bytes == 3 * GIB + MIB
    assert any(one.startswith("Memory: 1 GiB → 3") and "what it uses at the source" in one for one in made.notes)
    idle = Memory(size_bytes=2 * GIB, dynamic_min_bytes=GIB, dynamic_max_bytes=TIB, demand_bytes=GIB)
    assert build_machine(make_machine(memory=idle), make_row(), facts, tables).memory_bytes == 2 * GIB
    chosen = build_machine(make_machine(memory=busy), make_row(memory_bytes=8 * GIB), facts, tables)
    assert chosen.memory_bytes == 8 * GIB


@pytest.mark.parametrize("change", [{"vcpus": 0}, {"memory_bytes": 0}])
def test_nothing_is_not_a_size(make_machine, make_row, facts, tables, change):
    with pytest.raises(PlanError):
        build_machine(make_machine(), make_row(**change), facts, tables)


@pytest.mark.parametrize(
    ("words", "order"),
    [
        ((), "cd"),
        (("disk", "cdrom", "network"), "cdn"),
        (("network", "disk"), "nc"),
        (("cdrom",), "dc"),
        (("scsi0:1", "ethernet0", "floppy"), "cn"),
        (("HardDisk", "CD", "unheard"), "cd"),
        (("floppy",), "cd"),
    ],
)
def test_boot_order(make_machine, make_row, facts, tables, words, order):
    made = build_machine(make_machine(boot_order=words), make_row(), facts, tables)
    assert made.boot_order == order
    assert ("left out" in joined(made)) is bool({"floppy", "unheard"} & set(words))


@pytest.mark.parametrize(
    ("disks", "cd", "slots", "cd_slot"),
    [
        (0, True, (), "3"),
        (1, False, ("0",), ""),
        (1, True, ("0",), "3"),
        (3, True, ("0", "1", "2"), "3"),
        (4, False, ("0", "1", "2", "3"), ""),
        (5, True, ("0", "1", "2", "4", "5"), "3"),
    ],
)
def test_device_slots(disks, cd, slots, cd_slot):
    layout = lay_out(disks, cd)
    assert (layout.disks, layout.cd) == (slots, cd_slot)


def test_disks_keep_their_order_and_hidden_ones_are_noted(make_machine, make_row, make_disk, facts, tables):
    disks = tuple(make_disk(position) for position in (4, 2, 0, 1, 3))
    drives = (CdDrive(position=0, bus=DiskBus.IDE), CdDrive(position=1, bus=DiskBus.IDE))
    made = build_machine(make_machine(disks=disks, cd_drives=drives), make_row(), facts, tables)
    assert [(disk.source_disk, disk.device) for disk in made.disks] == [
        ("scsi0:0", "0"), ("scsi0:1", "1"), ("scsi0:2", "2"), ("scsi0:3", "4"), ("scsi0:4", "5"),
    ]  # fmt: skip
    assert [disk.bootable for disk in made.disks] == [True, False, False, False, False]
    assert made.cd_device == "3"
    assert "only once its Xen drivers are loaded: scsi0:3, scsi0:4." in joined(made)
    assert "CD drives: 2 → 1" in joined(made)


def test_each_disk_goes_where_the_plan_says(make_machine, make_row, make_disk, facts, tables):
    machine = make_machine(disks=(make_disk(0), make_disk(1), make_disk(2)))
    row = make_row(storage={"*": "NFS", "scsi0:1": "SAN", "scsi0:2": "sr-local2"})
    made = build_machine(machine, row, facts, tables)
    assert [disk.sr for disk in made.disks] == ["sr-nfs", "sr-lvm", "sr-local2"]


@pytest.mark.parametrize(
    ("wanted", "says", "hint"),
    [
        ("Nowhere", "no storage repository is named 'Nowhere'", "NFS, SAN, sr-local1, sr-local2"),
        ("Local storage", "is borne by 2 of them", "sr-local1, sr-local2"),
        ("ISOs", "holds iso content", "NFS"),
        ("Unplugged", "is not plugged on any host", "NFS"),
    ],
)
def test_storage_that_does_not_resolve(make_machine, make_row, facts, tables, wanted, says, hint):
    with pytest.raises(PlanError, match=says) as caught:
        build_machine(make_machine(), make_row(storage={"*": wanted}), facts, tables)
    assert hint in caught.value.hint


def test_disk_formats_by_size(make_machine, make_row, make_disk, facts, tables):
    def format_of(size, sr, pool=facts):
        machine = make_machine(disks=(make_disk(0, capacity_bytes=size),))
        return build_machine(machine, make_row(storage={"*": sr}), pool, tables).disks[0].image_format

    assert format_of(2040 * GIB, "NFS") is ImageFormat.VHD
    assert format_of(2040 * GIB + 512, "NFS") is ImageFormat.QCOW2
    assert format_of(4 * TIB, "NFS") is ImageFormat.QCOW2
    for size, sr, pool, says in (
        (4 * TIB + 512, "NFS", facts, "larger than the 4 TiB that can be sent as QCOW2"),
        (2041 * GIB, "SAN", facts, "does not fit on SR 'SAN'"),
        (2041 * GIB, "NFS", replace(facts, qcow2_import=False), "does not fit on SR 'NFS'"),
    ):
        with pytest.raises(Unsupported, match=says):
            format_of(size, sr, pool)


def test_a_disk_without_content_or_size_is_refused(make_machine, make_row, make_disk, facts, tables):
    for change, says in (
        ({"backing": DiskBacking.MISSING}, "is missing"),
        ({"capacity_bytes": 0}, "has a size of 0 bytes"),
    ):
        with pytest.raises(InputRefused, match=says):
            build_machine(make_machine(disks=(make_disk(0, **change),)), make_row(), facts, tables)


def test_tiny_and_forgetful_disks_are_noted(make_machine, make_row, make_disk, facts, tables):
    disk = make_disk(0, capacity_bytes=512, mode=DiskMode.INDEPENDENT_NONPERSISTENT, bus=Other("mmc"))
    made = build_machine(make_machine(disks=(disk,)), make_row(), facts, tables)
    assert made.disks[0].size_bytes == 2 * MIB
    assert "512 bytes → 2 MiB" in joined(made)
    assert "forgot its writes" in joined(made)
    assert "bus-unknown" in made.rows


def test_adapters_follow_the_plan_then_their_names(make_machine, make_row, make_nic, facts, tables):
    nics = (
        make_nic(0),
        make_nic(1, network="DMZ", model=Other("ne2000")),
        make_nic(2, network="DMZ", vlan=20),
        make_nic(5),
    )
    made = build_machine(make_machine(nics=nics), make_row(networks={"5": "net-30"}), facts, tables)
    assert [(nic.source_position, nic.device, nic.network) for nic in made.nics] == [
        (0, "0", "net-lan"), (1, "1", "net-dmz"), (2, "2", "net-dmz"), (5, "3", "net-30"),
    ]  # fmt: skip
    assert [nic.mtu for nic in made.nics] == [1500, 9000, 9000, 1500]
    assert "Adapters seen by the guest only once its Xen drivers are loaded: 2, 3." in joined(made)
    assert "nic-unknown" in made.rows


def test_an_unknown_network_is_refused(make_machine, make_row, facts, tables):
    with pytest.raises(PlanError, match="no network is named 'WAN'") as caught:
        build_machine(make_machine(), make_row(networks={"*": "WAN"}), facts, tables)
    assert caught.value.hint == "valid: LAN, DMZ, Storage 30, Storage both"


@pytest.mark.parametrize(
    ("mac", "policy", "becomes", "says"),
    [
        ("00:50:56:AB:cd:01", MacPolicy.KEEP, "00:50:56:ab:cd:01", ""),
        ("00155D012345", MacPolicy.KEEP, "00:15:5d:01:23:45", ""),
        ("00-50-56-00-00-01", MacPolicy.KEEP, "00:50:56:00:00:01", ""),
        ("00:50:56:00:00:01", MacPolicy.NEW, "", "as the plan says"),
        ("01:00:5e:00:00:01", MacPolicy.KEEP, "", "is a multicast address"),
        ("ff:ff:ff:ff:ff:ff", MacPolicy.KEEP, "", "is a multicast address"),
        ("000000000000", MacPolicy.KEEP, "", "is all zeros"),
        ("00:50:56", MacPolicy.KEEP, "", "is not a MAC address"),
        ("", MacPolicy.KEEP, "", "tells no MAC"),
    ],
)
def test_mac_addresses(make_machine, make_row, make_nic, facts, tables, mac, policy, becomes, says):
    made = build_machine(make_machine(nics=(make_nic(0, mac=mac),)), make_row(mac=policy), facts, tables)
    assert made.nics[0].mac == becomes
    assert says in joined(made)


def test_a_disconnected_adapter_is_noted(make_machine, make_row, make_nic, facts, tables):
    nic = make_nic(0, connected=False, model=NicModel.E1000)
    assert "Adapter 0: disconnected on the source" in joined(
        build_machine(make_machine(nics=(nic,)), make_row(), facts, tables)
    )


def test_an_xva_takes_names_for_networks_and_no_storage(make_machine, make_row, make_nic, facts, tables):
    offline = replace(facts, kind="xva", storage=(), networks=(), templates=())
    nics = (make_nic(0, network="Prod"), make_nic(1, network=""))
    made = build_machine(
        make_machine(nics=nics), make_row(networks={"0": "LAN"}, template="debian-12"), offline, tables
    )
    assert [nic.network for nic in made.nics] == ["LAN", "Pool-wide network associated with eth0"]
    assert made.disks[0].sr == ""
    assert made.template == "debian-12"
    assert made.platform["device_id"] == "0001"


def test_an_xva_refuses_what_a_vhd_cannot_hold(make_machine, make_row, make_disk, facts, tables):
    offline = replace(facts, kind="xva", storage=(), networks=(), templates=())
    machine = make_machine(disks=(make_disk(0, capacity_bytes=2041 * GIB),))
    with pytest.raises(Unsupported, match="that an XVA file can hold"):
        build_machine(machine, make_row(), offline, tables)


def test_a_pool_without_storage_or_networks_is_refused(make_machine, make_row, facts, tables):
    for pool, says in (
        (replace(facts, storage=()), "no storage repository for disks"),
        (replace(facts, networks=()), "'LAN': the pool has no networks"),
    ):
        with pytest.raises(PlanError, match=says):
            build_machine(make_machine(), make_row(), pool, tables)


def test_names_are_cleaned_and_the_change_is_noted(make_machine, make_row, facts, tables):
    made = build_machine(make_machine(name=" web\n01\x1b[2J "), make_row(), facts, tables)
    assert made.name == "web 01[2J"
    assert "Name: ' web\\n01" in joined(made)
    assert build_machine(make_machine(name="\x00"), make_row(), facts, tables).name == "4213-web01"
    renamed = build_machine(make_machine(), make_row(target_name="web-new"), facts, tables)
    assert renamed.name == "web-new"
    assert "Name: 'web01' → 'web-new'." in renamed.notes


def test_smbios_strings_only_when_asked_for(make_machine, make_row, facts, tables):
    attributes = {"system-serial-number": "VMware-42 13", "baseboard-version": "é", "owner": "Ada"}
    machine = make_machine(attributes=attributes)
    assert build_machine(machine, make_row(), facts, tables).bios_strings == {}
    made = build_machine(machine, make_row(), facts, tables, bios_strings=True, auto_start=True)
    assert made.bios_strings == {"system-serial-number": "VMware-42 13"}
    assert "SMBIOS string baseboard-version left out" in joined(made)
    assert made.auto_start


def test_clean_text_keeps_words_of_all_scripts():
    assert clean_text("Büro 東京\tx\r\ny\ud800\x85\uffff\u202e") == "Büro 東京\tx\ny"
    assert clean_text("\U0001f469\u200d\U0001f4bb") == "\U0001f469\u200d\U0001f4bb"
    assert clean_name("  a \n b ") == "a b"


def test_the_same_input_gives_the_same_machine(make_machine, make_row, facts, tables):
    assert build_machine(make_machine(), make_row(), facts, tables) == build_machine(
        make_machine(), make_row(), facts, tables
    )


def test_a_lent_disk_stays_with_its_owner(make_machine, make_row, facts, tables):
    machine = make_machine()
    own = machine.disks[0]
    lent = replace(own, id="scsi0:9", label="Hard disk 2", position=0, lent_by="another")
    machine = replace(machine, disks=(lent, replace(own, position=1)))
    made = build_machine(machine, make_row(), facts, tables)
    assert [disk.source_disk for disk in made.disks] == [own.id]
    assert made.disks[0].bootable and made.disks[0].device == "0"
    assert "Hard disk 2: left out, it belongs to another machine" in joined(made)
