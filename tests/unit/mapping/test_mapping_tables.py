# SPDX-License-Identifier: Apache-2.0
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from v2x.errors import UsageError
from v2x.mapping import Family, Tables, load_tables
from v2x.mapping.rows import guest_key
from v2x.mapping.tables import LAYOUT, builtin_folder, version_key
from v2x.model.machine import DiskBus, Firmware, Guest, GuestIdKind, NicModel, Other

HEAD = "tables_version = 1\n"
NIC = {"id": "x", "source": "y", "model": "e1000"}
LIMIT = {"id": "x", "source": "y", "limit": "l", "value": 1, "unit": "u"}
GUEST = {"id": "x", "source": "y", "kind": "text", "match": "a", "name": "n", "family": "linux"}


def rows(*records: dict[str, object]) -> str:
    """A table file with these rows; JSON texts, numbers and lists are TOML too."""
    lines = ["[[row]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in row.items()) for row in records]
    return HEAD + "\n".join(lines)


def guest(kind: str, os_id: str, os_name: str = "") -> Guest:
    return Guest(os_id=os_id, os_id_kind=GuestIdKind(kind), os_name=os_name)


def load_with(folder: Path, name: str, text: str) -> Tables:
    (folder / name).write_text(text)
    return load_tables(folder, environ={"HOME": str(folder)})


def complaint(folder: Path, name: str, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        load_with(folder, name, text)
    assert caught.value.code == "MAPPING"
    assert caught.value.exit_code == 2
    return caught.value.message


def test_every_row_has_an_id_of_its_own_and_a_source(tables: Tables) -> None:
    indexes = (
        tables.guests, tables.nics, tables.buses, tables.firmwares, tables.boots, tables.limits, tables.platforms,
    )  # fmt: skip
    ids = [row.id for index in indexes for row in index.order]
    assert len(ids) == len(set(ids)) > 400
    assert all(len(row.source) > 10 for index in indexes for row in index.order)


def test_every_template_is_one_of_the_target_and_no_pv_guest(tables: Tables, template_records) -> None:
    known = {record["reference_label"] for record in template_records if not record["pv_package_only"]}
    named = {label for row in tables.guests.order for label in row.templates}
    for platform in tables.platforms.order:
        named |= {*platform.fallback_bios, *platform.fallback_uefi}
    assert named <= known
    assert len(named) > 25


def test_every_linux_and_windows_template_of_the_target_is_used(tables: Tables, template_records) -> None:
    known = {record["reference_label"] for record in template_records if not record["pv_package_only"]}
    named = {label for row in tables.guests.order for label in row.templates}
    for platform in tables.platforms.order:
        named |= {*platform.fallback_bios, *platform.fallback_uefi}
    assert known - named == set()


def test_every_guest_id_of_the_vsphere_api_has_a_row(tables: Tables) -> None:
    from pyVmomi import vim

    missing = [
        os_id
        for os_id in vim.vm.GuestOsDescriptor.GuestOsIdentifier.values
        if tables.guest_os(guest("vmware", os_id)) is None
    ]
    assert missing == []


def test_every_cim_code_has_a_row(tables: Tables) -> None:
    assert [code for code in range(121) if tables.guest_os(guest("cim", str(code))) is None] == []


@pytest.mark.parametrize("firmware", list(Firmware))
def test_no_guest_is_left_without_a_candidate(tables: Tables, firmware: Firmware) -> None:
    for row in (*tables.guests.order, None):
        assert tables.candidates(row, firmware)[-1] == "other-install-media"


@pytest.mark.parametrize(
    ("kind", "os_id", "os_name", "row_id"),
    [
        ("vmware", "debian12_64Guest", "", "vmware-debian-12"),
        ("vmware", "debian12-64", "", "vmware-debian-12"),
        ("vmware", "windows9srv-64", "", "vmware-windows-server-2016"),
        ("vmware", "windows9Server64Guest", "Microsoft Windows Server 2019 (64-bit)", "text-windows-server-2019"),
        ("vmware", "windows9Server64Guest", "Microsoft Windows Server 2016 or later", "text-windows-server-2016"),
        ("vmware", "windows2019srvNext_64Guest", "", "vmware-windows-server-2022"),
        ("vmware", "windows2022srvnext-64", "", "vmware-windows-server-2025"),
        ("vmware", "ubuntu64Guest", "", "vmware-ubuntu"),
        ("vmware", "ubuntu64Guest", "Ubuntu Linux (64-bit)", "vmware-ubuntu"),
        ("vmware", "ubuntu64Guest", "Ubuntu 22.04.3 LTS", "text-ubuntu-22.04"),
        ("vmware", "ubuntu-64", "Ubuntu 16.04.7 LTS", "text-ubuntu-old"),
        ("vmware", "centos64Guest", "CentOS 4/5 or later (64-bit)", "vmware-centos"),
        ("vmware", "centos64Guest", "CentOS Linux release 7.9.2009 (Core)", "text-centos-7"),
        ("vmware", "otherLinux64Guest", "Red Hat Enterprise Linux Server release 7.9 (Maipo)", "text-rhel-7"),
        ("vmware", "rhel8_64Guest", "anything at all", "vmware-rhel-8"),
        ("vmware", "longhorn-64", "", "vmware-windows-server-2008"),
        ("cim", "94", "", "cim-ubuntu"),
        ("cim", "101", "Oracle Linux 8 (64-bit)", "text-oracle-8"),
        ("cim", "80", "Red Hat Enterprise Linux 9.3 (Plow)", "text-rhel-9"),
        ("cim", "118", "", "cim-windows-server-2016"),
        ("libosinfo", "ubuntu22.04", "", "libosinfo-ubuntu-22.04"),
        ("libosinfo", "win2k19", "", "libosinfo-windows-server-2019"),
        ("libosinfo", "rhel9.4", "", "libosinfo-rhel-9"),
        ("libosinfo", "rhel10.0", "", "libosinfo-rhel-10"),
        ("libosinfo", "debian1.3", "", "libosinfo-debian-4"),
        ("libosinfo", "debian13", "", "libosinfo-debian-13"),
        ("libosinfo", "sles12sp5", "", "libosinfo-sle-12"),
        ("virtualbox", "Ubuntu_64", "", "virtualbox-ubuntu"),
        ("virtualbox", "Windows10_64", "", "virtualbox-windows-10"),
        ("virtualbox", "Debian12_64", "", "virtualbox-debian-12"),
        ("ovirt", "rhel_9x64", "", "ovirt-rhel-9"),
        ("ovirt", "31", "", "ovirt-windows-server-2019"),
        ("hyperv", "Windows Server 2022 Standard", "", "text-windows-server-2022"),
        ("hyperv", "", "Microsoft Windows Server 2012 R2 Datacenter", "text-windows-server-2012-r2"),
        ("none", "", "SUSE Linux Enterprise Server 15 SP5", "text-sle-15"),
        ("none", "", "TrueNAS SCALE", "text-derivative"),
        ("none", "", "TrueNAS CORE", "text-bsd-appliance"),
        ("vmware", "no-such-guest", "AlmaLinux 9.1 (Lime Lynx)", "text-alma-9"),
    ],
)  # fmt: skip
def test_finds_a_guest(tables: Tables, kind: str, os_id: str, os_name: str, row_id: str) -> None:
    row = tables.guest_os(guest(kind, os_id, os_name))
    assert row is not None
    assert row.id == row_id


@pytest.mark.parametrize(("kind", "os_id"), [("vmware", "plan9"), ("none", ""), ("cim", "9999"), ("text", "")])
def test_an_unknown_guest_is_none(tables: Tables, kind: str, os_id: str) -> None:
    assert tables.guest_os(guest(kind, os_id)) is None
    assert tables.candidates(None, Firmware.UEFI) == ("other-install-media",)


def test_a_newer_release_falls_back_to_an_older_template_then_to_the_generic_one(tables: Tables) -> None:
    row = tables.guest_os(guest("vmware", "debian13_64Guest"))
    assert tables.candidates(row, Firmware.UEFI) == (
        "debian-13", "debian-12", "debian-11", "generic-linux-uefi", "generic-linux-bios", "other-install-media",
    )  # fmt: skip
    assert tables.candidates(row, Firmware.BIOS)[3] == "generic-linux-bios"


def test_every_enum_of_the_model_has_its_row(tables: Tables) -> None:
    assert {tables.nic(model).model for model in NicModel} == set(NicModel)
    assert {tables.disk_bus(bus).bus for bus in DiskBus} == set(DiskBus)
    assert {tables.firmware(firmware).firmware for firmware in Firmware} == set(Firmware)
    assert {tables.platform(family).family for family in Family} == set(Family)
    assert tables.nic(Other("ne2000")).model is NicModel.UNKNOWN
    assert tables.disk_bus(Other("mmc")).bus is DiskBus.UNKNOWN


def test_limits_follow_the_version(tables: Tables) -> None:
    assert tables.limit("vhd_max_bytes") == 2040 * 2**30
    assert tables.limit("qcow2_max_bytes") == 16381 * 2**30
    assert tables.limit("vcpus_max") == tables.limit("vcpus_max", product="8.3.0") == 128
    assert tables.limit("vcpus_max", product="8.2.1") == 32
    assert tables.limit("memory_max_bytes", product="8.2.1") == 3 * 2**39
    assert [tables.limit("nics_max", xapi=xapi) for xapi in ("24.19.2", "25.33.1", "26.1.4-3.1", "")] == [7, 16, 16, 16]
    assert tables.limit_row("nics_max", xapi="1.249.41").id == "limit-nics-older"


def test_an_unknown_limit_is_named(tables: Tables) -> None:
    with pytest.raises(UsageError, match="no limit 'vcpus'"):
        tables.limit("vcpus")


@pytest.mark.parametrize(("text", "key"), [("8.3.0", (8, 3, 0)), ("26.1.4-3.1", (26, 1, 4)), ("", ()), ("beta", ())])
def test_version_key(text: str, key: tuple[int, ...]) -> None:
    assert version_key(text) == key


def test_vmware_ids_of_both_spellings_have_one_key() -> None:
    for api, vmx in (
        ("windows9Server64Guest", "windows9srv-64"),
        ("otherGuest64", "other-64"),
        ("rhel7_64Guest", "rhel7-64"),
    ):
        assert guest_key(GuestIdKind.VMWARE, api) == guest_key(GuestIdKind.VMWARE, vmx)


def test_text_patterns_stay_fast_on_long_names(tables: Tables) -> None:
    hostile = "windows " * 40 + "red hat enterprise linux" + " " * 100_000
    assert tables.guest_os(guest("none", "", hostile)) is not None


def test_a_row_with_the_same_id_is_replaced_with_all_its_matches(tmp_path: Path) -> None:
    loaded = load_with(
        tmp_path,
        "guest_os.toml",
        HEAD
        + '[[row]]\nid="vmware-debian-12"\nkind="vmware"\nmatch="debian12_64Guest"\nname="Debian"\nfamily="linux"\n'
        'templates=["our-debian"]\nsource="our standard"\n',
    )
    row = loaded.guest_os(guest("vmware", "debian12-64"))
    assert row is not None
    assert row.templates == ("our-debian",)
    assert loaded.guest_os(guest("vmware", "debian12Guest")) is None
    assert len(loaded.layers) == len(LAYOUT) + 1


def test_a_row_with_another_id_takes_over_a_match(tmp_path: Path) -> None:
    loaded = load_with(
        tmp_path,
        "guest_os.toml",
        HEAD + '[[row]]\nid="ours"\nkind="vmware"\nmatch="ubuntu64Guest"\nname="Ubuntu 22.04"\nfamily="linux"\n'
        'templates=["ubuntu-22.04"]\nsource="we run nothing else"\n',
    )
    first, second = (loaded.guest_os(guest("vmware", os_id)) for os_id in ("ubuntu64Guest", "ubuntuGuest"))
    assert first is not None and second is not None
    assert (first.id, second.id) == ("ours", "vmware-ubuntu")


def test_patterns_of_a_user_are_tried_first(tmp_path: Path) -> None:
    loaded = load_with(
        tmp_path,
        "guest_os.toml",
        HEAD
        + '[[row]]\nid="ours"\nkind="text"\nmatch=\'server 2019 core\'\nname="Core"\nfamily="windows"\nsource="ours"\n',
    )
    row = loaded.guest_os(guest("none", "", "Windows Server 2019 Core"))
    assert row is not None
    assert row.id == "ours"


def test_an_explicit_folder_lies_over_the_configuration_folder(tmp_path: Path) -> None:
    own, explicit = tmp_path / "xdg" / "v2x" / "mappings", tmp_path / "explicit"
    for folder, value in ((own, 100), (explicit, 200)):
        folder.mkdir(parents=True)
        (folder / "limits.toml").write_text(
            HEAD + f'[[row]]\nid="limit-usb"\nlimit="usb_devices_max"\nvalue={value}\nunit="devices"\nsource="ours"\n'
        )
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert load_tables(environ=environ).limit("usb_devices_max") == 100
    assert load_tables(explicit, environ=environ).limit("usb_devices_max") == 200
    assert load_tables(environ={"HOME": str(tmp_path)}).limit("usb_devices_max") == 6


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("nic.toml", "tables_version = 1\n[[row]\n", "is not TOML"),
        ("nic.toml", "", "tables_version is None, this v2x reads 1"),
        ("nic.toml", "tables_version = 2", "tables_version is 2"),
        ("nic.toml", HEAD + '[[rows]]\nid="x"', "unknown key 'rows'"),
        ("nic.toml", HEAD + "row = 3", "must be an array"),
        ("nic.toml", HEAD + "row = [3]", "row 1: Expected `object`"),
        ("nic.toml", rows(NIC | {"model": "ne2000"}), r"row 1 \(x\): Invalid enum value 'ne2000' - at `\$\.model`"),
        ("nic.toml", rows({"id": "x", "model": "e1000"}), "missing required field `source`"),
        ("nic.toml", rows(NIC | {"notes": "z"}), "unknown field `notes`"),
        ("nic.toml", rows(NIC | {"source": ""}), r"length >= 1 - at `\$\.source`"),
        ("nic.toml", rows(NIC, NIC | {"model": "e1000e"}), r"row 2 \(x\): repeats the id"),
        ("nic.toml", rows(NIC, NIC | {"id": "z"}), r"row 2 \(z\): repeats 'e1000' of row x"),
        ("limits.toml", rows(LIMIT | {"value": 0}), "key value: 0 is not above 0"),
        ("limits.toml", rows(LIMIT | {"from_version": "new"}), "key from_version: 'new' is not a version"),
        ("guest_os.toml", rows(GUEST | {"match": "("}), r"key match: '\(' is not a regular expression"),
        ("guest_os.toml", rows(GUEST | {"kind": "none"}), "key kind: 'none' cannot be matched"),
        ("guest_os.toml", rows(GUEST | {"match": []}), "key match: is empty"),
        ("firmware.toml", HEAD + '[[boot]]\nid="x"\nsource="y"\nmatch=["tape"]\nletter="t"', r"boot 1 \(x\): .*letter"),
        ("guests.toml", HEAD, "is not a mapping table; the tables are disk_bus.toml"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_with_its_place(tmp_path: Path, name: str, text: str, says: str) -> None:
    message = complaint(tmp_path, name, text)
    assert re.search(says, message), message
    assert f"{tmp_path}/{name}" in message


def test_an_override_cannot_take_away_a_needed_row(tmp_path: Path) -> None:
    message = complaint(tmp_path, "nic.toml", rows(NIC | {"id": "nic-unknown"}))
    assert message == "mapping table nic.toml: no row is left for unknown; a row with an old id took its place"


def test_a_table_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nic.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        load_tables(tmp_path, environ={})


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        load_tables(tmp_path / "absent", environ={})


def test_an_installed_package_finds_its_tables_inside_itself(tmp_path: Path) -> None:
    """As in a wheel: the folder mappings/ becomes v2x/mappings_data and there is no checkout around it."""
    root = Path(__file__).parents[3]
    package = tmp_path / "site"
    package.mkdir()
    subprocess.run(["cp", "-r", str(root / "v2x"), str(package / "v2x")], check=True)
    subprocess.run(["cp", "-r", str(root / "mappings"), str(package / "v2x" / "mappings_data")], check=True)
    code = (
        "from v2x.mapping.tables import builtin_folder, load_tables; load_tables(environ={}); print(builtin_folder())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert ran.stdout.strip() == str(package / "v2x" / "mappings_data")


def test_a_checkout_finds_its_tables_beside_the_package() -> None:
    assert {entry.name for entry in builtin_folder().iterdir()} >= set(LAYOUT)
