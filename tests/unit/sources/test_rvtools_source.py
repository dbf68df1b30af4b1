# SPDX-License-Identifier: Apache-2.0
"""RVTools exports of several releases, languages and forms, and what is told of what they lack."""

import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from v2x.errors import InputRefused, Unsupported
from v2x.model.inventory import Inventory
from v2x.model.machine import DiskBus, DiskMode, Machine, NicModel, Other, PowerState, ToolsState
from v2x.model.units import MIB
from v2x.sources import open_source
from v2x.sources.rvtools import RvtoolsSource

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Read = Callable[..., Inventory]


@pytest.fixture
def read(book: ModuleType, tmp_path: Path) -> Read:
    """Writes sheets as a workbook and gives its inventory."""

    def inventory(sheets: dict[str, Any]) -> Inventory:
        path = book.write_xlsx(tmp_path / "export.xlsx", sheets)
        with open_source(path, clock=lambda: MOMENT) as source:
            return replace(source.inventory(), source=replace(source.inventory().source, address=""))

    return inventory


def problems(inventory: Inventory, code: str) -> list[str]:
    return [problem.text for problem in inventory.problems if problem.code == code]


def machine(inventory: Inventory, name: str) -> Machine:
    return next(one for one in inventory.machines if one.name == name)


def test_everything_of_a_machine(read: Read, book: ModuleType) -> None:
    inventory = read(book.estate())
    web, db, tpl = inventory.machines
    assert (web.firmware, web.firmware_stated, web.secure_boot, web.power_state) == ("uefi", True, True, PowerState.ON)
    assert (web.cpu.count, web.cpu.cores_per_socket, web.cpu.hot_add, web.cpu.reservation_mhz) == (4, 2, True, 500)
    assert (web.memory.size_bytes, web.memory.hot_add, web.memory.reservation_bytes) == (8192 * MIB, True, 1024 * MIB)
    assert (web.guest.os_name, web.guest.os_id, web.guest.hostname) == (
        book.LINUX,
        "Other Linux (64-bit)",
        "web.example.org",
    )
    assert (web.guest.tools, web.guest.time_sync, web.guest.ip_addresses) == (ToolsState.RUNNING, True, ("192.0.2.10",))
    assert (web.hardware_version, db.hardware_version) == ("vmx-19", "vmx-13")
    assert (web.host, web.cluster, web.folder, web.group) == ("esx1.example.org", "Prod", "/DC1/vm/Apps", "Shop")
    assert web.notes == "front end\nask ops"
    assert {key: value for key, value in web.attributes.items() if key.startswith("custom.")} == {
        "custom.Owner": "Ops",
        "custom.Cost centre": "42",
    }
    assert (web.uuid, web.id) == ("42000000-0000-4000-8000-000000000001", "50000001-0000-4000-8000-000000000001")
    assert (db.power_state, db.cpu.limit_mhz, db.guest.tools) == (PowerState.OFF, 3000, ToolsState.INSTALLED)
    assert [one.is_template for one in (web, db, tpl)] == [False, False, True]


def test_disks(read: Read, book: ModuleType) -> None:
    inventory = read(book.estate())
    web, db, tpl = (one.disks for one in inventory.machines)
    assert [(str(one.bus), one.controller, one.unit, one.capacity_bytes // MIB) for one in (*web, *db, *tpl)] == [
        ("scsi", 0, 0, 51200),
        ("scsi", 0, 1, 102400),
        ("ide", 0, 0, 81920),
        ("scsi", 0, 1, 10240),
        ("nvme", 0, 0, 10240),
    ]
    assert [(one.subformat, one.shared, one.datastore, one.change_tracking) for one in web] == [
        ("thin", False, "fast", True),
        ("thick eager zeroed", True, "fast", True),
    ]
    assert [(one.backing, one.mode, one.subformat) for one in db] == [
        ("file", DiskMode.PERSISTENT, "thick"),
        ("raw_device", DiskMode.INDEPENDENT_PERSISTENT, "physical RDM"),
    ]
    assert web[0].files == ("[fast] web/web_0.vmdk",)
    assert web[0].allocated_bytes is None


def test_cards_drives_devices_and_snapshots(read: Read, book: ModuleType) -> None:
    web, db, _ = read(book.estate()).machines
    assert [(one.model, one.network, one.mac, one.mac_is_static, one.vlan, one.connected) for one in web.nics] == [
        (NicModel.VMXNET3, "VLAN 10", "00:50:56:00:01:01", True, 10, True),
        (NicModel.E1000E, "Backup", "00:50:56:00:01:02", False, 20, False),
    ]
    assert web.nics[0].ip_addresses == ("192.0.2.10", "192.0.2.11", "2001:db8::1")
    assert db.nics[0].connected, "a machine that is off has no connected card; it starts connected"
    assert [(one.image, one.connected) for one in (*web.cd_drives, *db.cd_drives)] == [
        ("[iso] rhel/8.iso", True),
        ("", False),
    ]
    assert [(one.kind, one.label) for one in db.devices] == [("usb", "USB 1 Dongle")]
    assert [(one.name, one.created, one.with_memory) for one in db.snapshots] == [
        ("before patch", "2024-03-01T10:11:12+00:00", True)
    ]


def test_hosts_datastores_and_networks(read: Read, book: ModuleType) -> None:
    inventory = read(book.estate())
    assert [(one.name, one.version, one.in_maintenance) for one in inventory.hosts] == [
        ("esx0.example.org", "VMware ESXi 7.0.3", True),
        ("esx1.example.org", "VMware ESXi 7.0.3", False),
    ]
    assert [(one.name, one.kind, one.free_bytes) for one in inventory.datastores] == [
        ("fast", "VMFS", 204800 * MIB),
        ("slow", "NFS", MIB),
    ]
    assert {(one.name, one.kind, one.vlan) for one in inventory.networks} == {
        ("Backup", "standard", 20),
        ("Trunk", "standard", None),
        ("VLAN 10", "distributed", 10),
        ("Uplinks", "distributed", None),
    }
    assert (inventory.source.kind, inventory.source.version) == ("rvtools", "4.7.1.4")
    assert inventory.taken_at == datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def test_vsphere_own_machines_are_left_out_and_told(read: Read, book: ModuleType) -> None:
    sheets = book.estate()
    sheets["vInfo"] += [
        {**sheets["vInfo"][0], "VM": "vCLS (3)", "VM ID": "vm-90"},
        {**sheets["vInfo"][0], "VM": "web", "VM ID": "vm-91", "SRM Placeholder": True},
        {**sheets["vInfo"][0], "VM": "vCLS-replacement", "VM ID": "vm-92", "VM UUID": ""},
    ]
    inventory = read(sheets)
    assert [one.name for one in inventory.machines] == ["web", "db", "tpl", "vCLS-replacement"]
    told = problems(inventory, "LEFT-OUT")
    assert any("2: vSphere Cluster Services" in line for line in told)
    assert any("1: Site Recovery Manager" in line for line in told)
    assert not problems(inventory, "NOT-PLACED"), "disks of vCLS machines are no riddle"


def same_facts(inventory: Inventory) -> list[Any]:
    return [
        (
            one.name, one.power_state, one.is_template, one.cpu.count, one.cpu.hot_add, one.memory, one.firmware,
            one.guest.os_name, one.guest.tools, one.host, one.cluster, one.attributes.get("custom.Owner"),
            [(disk.label, str(disk.bus), disk.unit, disk.capacity_bytes, disk.backing) for disk in one.disks],
            [disk.mode for disk in one.disks],
            [(nic.label, nic.model, nic.network, nic.mac, nic.vlan, nic.connected) for nic in one.nics],
            [snapshot.name for snapshot in one.snapshots],
        )
        for one in inventory.machines
    ]  # fmt: skip


def test_old_headers_give_the_same(read: Read, book: ModuleType) -> None:
    new, old = read(book.estate()), read(book.old_headers(book.estate()))
    assert same_facts(old) == same_facts(new)
    assert old.datastores == new.datastores
    assert problems(old, "MISSING-COLUMN") == [
        "sheet vInfo lacks columns; unknown: Secure Boot",
        "sheet vDisk lacks columns; unknown: disks shared by several writers",
    ]


def test_database_headers_give_the_same(read: Read, book: ModuleType) -> None:
    named = read(book.database_headers(book.estate()))
    facts = [
        tuple("Ops" if part is None and number == 11 and row[0] == "web" else part for number, part in enumerate(row))
        for row in same_facts(named)
    ]
    assert facts == same_facts(read(book.estate()))


def test_localised_text_gives_the_same(read: Read, book: ModuleType) -> None:
    assert same_facts(read(book.german(book.estate()))) == same_facts(read(book.estate()))


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(",", "utf-8-sig"), (";", "cp1252"), ("\t", "utf-16"), (";", "utf-8")]
)
def test_csv_files_of_a_folder_give_the_same(
    read: Read, book: ModuleType, tmp_path: Path, delimiter: str, encoding: str
) -> None:
    sheets = book.german(book.estate())
    sheets["vInfo"][0]["Annotation"] = "Köln; „ask“, ops\nand more"
    folder = book.write_csv(tmp_path / "csv", sheets, delimiter=delimiter, encoding=encoding)
    (folder / "notes.csv").write_text("no sheet")
    with open_source(folder, clock=lambda: MOMENT) as source:
        inventory = source.inventory()
    assert isinstance(source, RvtoolsSource)
    assert same_facts(inventory) == same_facts(read(book.estate()))
    assert machine(inventory, "web").notes == "Köln; „ask“, ops\nand more"


def test_a_zip_of_csv_files_gives_the_same(read: Read, book: ModuleType, tmp_path: Path) -> None:
    folder = book.write_csv(tmp_path / "csv", book.estate())
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, f"RVTools/{path.name}")
    with open_source(tmp_path / "export.zip") as source:
        assert same_facts(source.inventory()) == same_facts(read(book.estate()))


def test_a_folder_with_appliances_too_is_one_of_appliances(book: ModuleType, kit: ModuleType, tmp_path: Path) -> None:
    book.write_csv(tmp_path, book.estate())
    (tmp_path / "tiny.vmx").write_text(kit.vmx({}, "tiny"))
    with open_source(tmp_path) as source:
        assert [one.name for one in source.inventory().machines] == ["tiny"]


OPTIONAL = [
    "vCPU", "vMemory", "vDisk", "vNetwork", "vCD", "vUSB", "vSnapshot", "vTools", "vHost", "vDatastore", "vPort",
    "dvPort",
]  # fmt: skip


@pytest.mark.parametrize("sheet", OPTIONAL)
def test_a_missing_sheet_is_told_and_nothing_is_guessed(read: Read, book: ModuleType, sheet: str) -> None:
    inventory = read(book.without(book.estate(), sheet))
    assert [one.name for one in inventory.machines] == ["web", "db", "tpl"]
    told = problems(inventory, "MISSING-SHEET")
    assert len(told) == 1
    assert f"no sheet {sheet}; unknown: " in told[0]


def test_only_vinfo(read: Read, book: ModuleType) -> None:
    web, db, tpl = read({"vInfo": book.estate()["vInfo"]}).machines
    assert (web.disks, db.disks) == ((), ())
    assert [(one.capacity_bytes, one.bus, one.mode) for one in tpl.disks] == [(10240 * MIB, DiskBus.UNKNOWN, Other(""))]
    assert [(one.network, one.model, one.mac) for one in web.nics] == [
        ("VLAN 10", NicModel.UNKNOWN, ""),
        ("Backup", NicModel.UNKNOWN, ""),
    ]
    assert (web.guest.tools, web.guest.time_sync, web.cpu.cores_per_socket) == (ToolsState.UNKNOWN, None, None)
    assert (web.cpu.count, web.memory.size_bytes) == (4, 8192 * MIB)


def test_eight_networks_and_more_cards(read: Read, book: ModuleType) -> None:
    row = book.estate()["vInfo"][0] | {f"Network #{number}": f"net {number}" for number in range(1, 9)} | {"NICs": 10}
    web = read({"vInfo": [row]}).machines[0]
    assert [nic.network for nic in web.nics] == [f"net {number}" for number in range(1, 9)] + ["", ""]


def test_placeholder_words_are_nothing(read: Read, book: ModuleType) -> None:
    row = {key: "VM" if key not in ("VM", "VM ID") else value for key, value in book.estate()["vInfo"][0].items()}
    web = read({"vInfo": [row]}).machines[0]
    assert (web.cpu.count, web.memory.size_bytes, web.host, web.guest.os_name, web.nics) == (0, 0, "", "", ())
    assert (web.firmware_stated, web.power_state, web.id) == (False, PowerState.UNKNOWN, "vm-1")


def test_repeated_headers_and_blank_rows_are_no_machines(read: Read, book: ModuleType) -> None:
    rows = book.estate()["vInfo"]
    rows[1:1] = [{key: key for key in rows[0]}, dict.fromkeys(rows[0]), {**rows[0]}]
    inventory = read({"vInfo": rows})
    assert [one.name for one in inventory.machines] == ["web", "db", "tpl"]
    assert any("repeat the id" in line for line in problems(inventory, "LEFT-OUT"))


def test_duplicated_names_are_told_apart_by_id(read: Read, book: ModuleType) -> None:
    sheets = book.estate()
    for rows in sheets.values():
        for row in rows:
            if row.get("VM") == "db":
                row["VM"] = "web"
    web, other, _ = read(sheets).machines
    assert [len(web.nics), len(other.nics), len(web.disks), len(other.disks)] == [2, 1, 2, 2]
    assert web.id != other.id


def test_duplicated_names_without_any_id_are_not_guessed(read: Read, book: ModuleType) -> None:
    sheets = book.estate()
    for rows in sheets.values():
        for row in rows:
            for key in ("VM ID", "VM UUID", "VI SDK UUID", "SMBIOS UUID"):
                row.pop(key, None)
            if row.get("VM") == "db":
                row["VM"] = "web"
            if "VM" in row:
                row["Host"] = "esx.example.org"
    inventory = read(sheets)
    web, other, tpl = inventory.machines
    assert (web.disks, other.disks, web.nics, other.nics) == ((), (), (), ())
    assert len(tpl.disks) == 1
    assert len({web.id, other.id, tpl.id}) == 3
    assert any(
        "4 rows belong to no machine of vInfo, or to several" in line for line in problems(inventory, "NOT-PLACED")
    )


def test_names_alone_are_enough_where_they_differ(read: Read, book: ModuleType) -> None:
    sheets = book.estate()
    for rows in sheets.values():
        for row in rows:
            for key in ("VM ID", "VM UUID", "VI SDK UUID", "Host"):
                row.pop(key, None)
    inventory = read(book.without(sheets, "vHost"))
    assert [one.id for one in inventory.machines] == ["web", "db", "tpl"]
    assert [len(one.disks) for one in inventory.machines] == [2, 2, 1]


def test_ids_of_two_vcenters_do_not_mix(read: Read, book: ModuleType) -> None:
    sheets, other = book.estate(), book.estate()
    for name, rows in other.items():
        for row in rows:
            row.update({key: value for key, value in (("VI SDK UUID", "bbbb"), ("VM UUID", "")) if key in row})
            if "VM" in row:
                row["VM"] = f"{row['VM']}-2"
        sheets[name] += rows
    inventory = read(sheets)
    assert [(one.name, len(one.disks), len(one.nics)) for one in inventory.machines if not one.is_template] == [
        ("web", 2, 2),
        ("db", 2, 1),
        ("web-2", 2, 2),
        ("db-2", 2, 1),
    ]
    assert len({one.id for one in inventory.machines}) == len(inventory.machines)


def test_a_row_with_a_foreign_id_is_not_placed_by_name(read: Read, book: ModuleType) -> None:
    sheets = book.estate()
    sheets["vDisk"][0]["VM ID"] = "vm-999"
    inventory = read(sheets)
    assert len(machine(inventory, "web").disks) == 1
    assert problems(inventory, "NOT-PLACED") == ["1 rows belong to no machine of vInfo, or to several of one name: web"]


def test_vlans_that_differ_between_hosts_are_unknown(read: Read, book: ModuleType) -> None:
    sheets = book.estate()
    sheets["vPort"][1]["VLAN"] = 21
    inventory = read(sheets)
    assert {one.name: one.vlan for one in inventory.networks}["Backup"] is None
    assert machine(inventory, "web").nics[1].vlan is None
    assert "Backup" in problems(inventory, "VLAN-DIFFERS")[0]


def test_two_disks_in_one_place_have_no_known_place(read: Read, book: ModuleType) -> None:
    sheets = book.estate()
    sheets["vDisk"][1]["Unit #"] = 0
    sheets["vDisk"][1]["Disk Key"] = 2000
    web = machine(read(sheets), "web")
    assert [(str(one.bus), one.unit) for one in web.disks] == [("scsi", 0), ("unknown", 1)]
    assert len({one.id for one in web.disks}) == 2


def test_what_rvtools_never_tells_is_said_once(read: Read, book: ModuleType) -> None:
    told = problems(read(book.estate()), "NOT-TOLD")
    assert len(told) == 1
    assert "virtual TPM" in told[0]


def test_an_unreachable_machine_stays_in_the_list(read: Read, book: ModuleType) -> None:
    sheets = book.estate()
    sheets["vInfo"].append({"VM": "lost", "VM ID": "vm-77", "Connection state": "inaccessible"})
    lost = machine(read(sheets), "lost")
    assert (lost.cpu.count, lost.disks, lost.attributes["rvtools.connection_state"]) == (0, (), "inaccessible")


def test_it_holds_no_disks_and_says_what_to_use(book: ModuleType, tmp_path: Path) -> None:
    path = book.write_xlsx(tmp_path / "export.xlsx", book.estate())
    with open_source(path) as source:
        web = source.inventory().machines[0]
        with pytest.raises(Unsupported, match="holds no disks") as refused:
            source.checkpoint(web, "run")
        assert "OVA" in refused.value.hint
        source.release(web, "run")


def test_select_keeps_by_name_or_id(book: ModuleType, tmp_path: Path) -> None:
    path = book.write_xlsx(tmp_path / "export.xlsx", book.estate())
    with open_source(path) as source:
        assert [one.name for one in source.inventory(lambda word: word == "db").machines] == ["db"]


@pytest.mark.parametrize(
    ("sheets", "code"), [({"vHost": [{"Host": "x"}]}, "NO-VINFO"), ({"vInfo": [{"Name": "x"}]}, "NO-VINFO")]
)
def test_no_vinfo_is_no_rvtools_export(book: ModuleType, tmp_path: Path, sheets: Any, code: str) -> None:
    with pytest.raises(InputRefused) as refused:
        open_source(book.write_xlsx(tmp_path / "export.xlsx", sheets))
    assert (refused.value.code, refused.value.exit_code) == (code, 6)


def test_two_exports_in_one_folder_are_refused(book: ModuleType, tmp_path: Path) -> None:
    book.write_csv(tmp_path, book.estate())
    (tmp_path / "other_tabvInfo.csv").write_text("VM\nweb\n")
    with pytest.raises(InputRefused, match="vInfo twice") as refused:
        open_source(tmp_path)
    assert refused.value.code == "TWO-EXPORTS"


def test_reading_does_not_load_the_library_that_writes(book: ModuleType, tmp_path: Path) -> None:
    path = book.write_xlsx(tmp_path / "export.xlsx", book.estate())
    code = (
        f"import sys; from v2x.sources import open_source; open_source({str(path)!r}); print('openpyxl' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
