# SPDX-License-Identifier: Apache-2.0
"""Real hives before and after a conversion: every value that is changed, and that nothing else is.

The hives are read back with libregf, which shares no code with hivex.
"""

from pathlib import Path

import pyregf
import pytest

from tests.windows_guests import (
    MAC,
    MSI,
    NET_CLASS,
    SOFTWARE,
    SYSTEM,
    WindowsFolder,
    lay_windows,
    multi,
    service,
    software,
    system,
)
from v2x.convert.apply import apply
from v2x.convert.interface import Adapter, Conversion, GuestWishes
from v2x.convert.registry import Kind, RegistryValue, dword, shown, string
from v2x.convert.windows.plan import plan_windows
from v2x.convert.windows.view import Hives
from v2x.errors import TargetError

SERVICES = "ControlSet001\\Services"
ZONE = "ControlSet001\\Control\\TimeZoneInformation"


def planned(guest: WindowsFolder, **details: object) -> tuple[Conversion, Hives]:
    found = plan_windows(guest, **{"adapters": (Adapter(mac=MAC),), "clock_offset_seconds": 0, **details})
    assert found is not None
    return found


def content(path: Path) -> dict[str, dict[str, tuple[int, bytes]]]:
    """Every key of a hive with all its values."""
    found: dict[str, dict[str, tuple[int, bytes]]] = {}

    def walk(key: pyregf.key, name: str) -> None:
        values = [key.get_value(number) for number in range(key.number_of_values)]
        found[name] = {one.name or "": (one.type, one.data or b"") for one in values}
        for number in range(key.number_of_sub_keys):
            below = key.get_sub_key(number)
            walk(below, f"{name}\\{below.name}" if name else below.name)

    file = pyregf.file()
    file.open(str(path))
    walk(file.get_root_key(), "")
    file.close()
    return found


def number(value: int) -> tuple[int, bytes]:
    return 4, value.to_bytes(4, "little")


def changed(guest: WindowsFolder, **details: object) -> dict[str, object]:
    """Converts, and tells key and value of what is different then; None for a key that is gone."""
    before = content(guest.root / SYSTEM)
    untouched = (guest.root / SOFTWARE).read_bytes()
    conversion, hives = planned(guest, **details)
    apply(guest, conversion.proposal, registry=hives)
    after = content(guest.root / SYSTEM)
    assert (guest.root / SOFTWARE).read_bytes() == untouched
    assert guest.handle.commits == ["SYSTEM"]
    found: dict[str, object] = dict.fromkeys(before.keys() - after.keys())
    for key, values in after.items():
        old = before.get(key, {})
        found |= {f"{key} {name}": value for name, value in values.items() if old.get(name) != value}
    return found


def test_each_value_that_differs_is_one_that_was_meant(guest: WindowsFolder) -> None:
    found = changed(guest)
    own = {key: value for key, value in found.items() if "v2x-firstboot" in key}
    assert {key: value for key, value in found.items() if key not in own} == {
        f"{SERVICES}\\storahci Start": number(0),
        f"{SERVICES}\\storahci\\StartOverride": None,
        f"{SERVICES}\\stornvme\\StartOverride": None,
        f"{SERVICES}\\atapi\\StartOverride": None,
        f"{SERVICES}\\intelide Start": number(0),
        f"{SERVICES}\\pciide Start": number(0),
        f"{SERVICES}\\VMTools Start": number(4),
        f"{SERVICES}\\VGAuthService Start": number(4),
        f"{SERVICES}\\vmci Start": number(4),
        f"{ZONE} RealTimeIsUniversal": number(1),
    }
    texts = {key.rpartition(" ")[2]: value for key, value in own.items()}
    assert texts["Type"] == number(0x10) and texts["Start"] == number(2) and texts["ErrorControl"] == number(0)
    assert texts["DelayedAutostart"] == number(1)
    kind, data = texts["ImagePath"]
    assert kind == 2
    assert data.decode("utf-16-le").rstrip("\0") == (
        '%SystemRoot%\\System32\\cmd.exe /d /c start "v2x" /b cmd.exe /d /c '
        '"%SystemDrive%\\Program Files\\v2x\\firstboot\\firstboot.cmd"'
    )
    assert texts["ObjectName"][1].decode("utf-16-le") == "LocalSystem\0"


def test_done_once_nothing_is_left_to_do(guest: WindowsFolder, tmp_path: Path) -> None:
    package = tmp_path / "x.msi"
    package.write_bytes(MSI)
    wishes = GuestWishes(windows_drivers=package)
    conversion, hives = planned(guest, wishes=wishes)
    apply(guest, conversion.proposal, registry=hives)
    again, _ = planned(guest, wishes=wishes)
    assert again.changes_nothing, again.proposal
    package.write_bytes(MSI + b"newer")
    newer, _ = planned(guest, wishes=wishes)
    assert [one.to for one in newer.proposal.additions] == ["/Program Files/v2x/firstboot/drivers/xen-drivers.msi"]
    assert not newer.proposal.registry


def test_planning_writes_nothing(guest: WindowsFolder) -> None:
    before = {one: one.lstat().st_mtime_ns for one in guest.root.rglob("*")}
    planned(guest)
    assert {one: one.lstat().st_mtime_ns for one in guest.root.rglob("*")} == before


def test_old_values_are_in_the_report(guest: WindowsFolder) -> None:
    conversion, _ = planned(guest)
    told = {one.place: shown(one) for one in conversion.proposal.registry}
    assert told[f"SYSTEM\\{SERVICES}\\vmci Start"] == ("dword:00000000", "dword:00000004")
    assert told[f"SYSTEM\\{SERVICES}\\storahci\\StartOverride"] == ("0=dword:00000003", None)
    assert told[f"SYSTEM\\{ZONE} RealTimeIsUniversal"] == (None, "dword:00000001")


def test_the_control_set_that_boots_next_counts_and_the_one_before(tmp_path: Path) -> None:
    both = {**system("ControlSet001"), **system("ControlSet003")}
    both["Select"] = {"Current": dword(1), "Default": dword(3)}
    found = changed(lay_windows(tmp_path / "w", system_keys=both))
    for control_set in ("ControlSet001", "ControlSet003"):
        assert found[f"{control_set}\\Services\\storahci Start"] == number(0)
        assert found[f"{control_set}\\Services\\v2x-firstboot Start"] == number(2)
    assert not [key for key in found if not key.startswith(("ControlSet001", "ControlSet003"))]


def test_a_control_set_that_nobody_boots_is_left(tmp_path: Path) -> None:
    both = {**system("ControlSet001"), **system("ControlSet002"), "Select": system()["Select"]}
    found = changed(lay_windows(tmp_path / "w", system_keys=both))
    assert all(key.startswith("ControlSet001") for key in found)


def test_a_driver_without_its_file_is_left(tmp_path: Path) -> None:
    guest = lay_windows(tmp_path / "w")
    (guest.root / "Windows/System32/drivers/storahci.sys").unlink()
    found = changed(guest)
    assert not [key for key in found if "storahci" in key]
    assert f"{SERVICES}\\intelide Start" in found


def test_msahci_of_windows_7_is_made_to_boot(tmp_path: Path) -> None:
    keys = system() | {f"{SERVICES}\\msahci": service(3)}
    about = software()
    about["Microsoft\\Windows NT\\CurrentVersion"] = {
        "ProductName": string("Windows 7 Professional"),
        "CurrentVersion": string("6.1"),
        "CurrentBuild": string("7601"),
    }
    guest = lay_windows(tmp_path / "w", system_keys=keys, software_keys=about)
    drivers = guest.root / "Windows/System32/drivers"
    (drivers / "msahci.sys").write_bytes(b"")
    (drivers / "stornvme.sys").unlink()
    conversion, _ = planned(guest)
    assert conversion.inspection.version == "6.1.7601"
    texts = [one.text for one in conversion.proposal.remarks]
    assert any("no NVMe driver" in text for text in texts) and any("on x64 only" in text for text in texts)
    assert changed(guest)[f"{SERVICES}\\msahci Start"] == number(0)


def test_a_filter_of_a_class_is_never_disabled(tmp_path: Path) -> None:
    keys = system()
    keys[f"ControlSet001\\Control\\Class\\{NET_CLASS}"] = {"UpperFilters": multi("partmgr", "VMCI")}
    guest = lay_windows(tmp_path / "w", system_keys=keys)
    conversion, _ = planned(guest)
    assert any("vmci of VMware is a filter" in one.text for one in conversion.proposal.remarks)
    assert f"{SERVICES}\\vmci Start" not in changed(guest)


def test_hyper_v_services_that_start_by_themselves_are_disabled(tmp_path: Path) -> None:
    keys = system() | {f"{SERVICES}\\vmicheartbeat": service(2), f"{SERVICES}\\vmictimesync": service(3)}
    found = changed(lay_windows(tmp_path / "w", system_keys=keys))
    assert found[f"{SERVICES}\\vmicheartbeat Start"] == number(4)
    assert not [key for key in found if "vmictimesync" in key or "vmbus" in key or "pvscsi" in key]


@pytest.mark.parametrize(
    ("bias", "universal", "offset", "becomes", "remark"),
    [
        (0xFFFFFFC4, None, 0, True, ""),
        (0xFFFFFFC4, 1, 0, False, ""),
        (0xFFFFFFC4, None, 3600, False, ""),
        (300, None, -18000, False, ""),
        (300, None, 3600, False, "3600 seconds ahead of UTC, and this Windows expects -18000"),
        (0xFFFFFFC4, 1, 3600, False, "this Windows expects 0"),
        (0, None, 0, False, ""),
        (0xFFFFFFC4, None, None, False, "expects a hardware clock 3600 seconds ahead"),
        (0xFFFFFFC4, 1, None, False, ""),
    ],
)
def test_the_clock(
    bias: int, universal: int | None, offset: int | None, becomes: bool, remark: str, tmp_path: Path
) -> None:
    keys = system()
    keys[ZONE] = {"ActiveTimeBias": dword(bias)} | ({} if universal is None else {"RealTimeIsUniversal": dword(1)})
    conversion, _ = planned(lay_windows(tmp_path / "w", system_keys=keys), clock_offset_seconds=offset)
    edits = [one for one in conversion.proposal.registry if "RealTimeIsUniversal" in one.place]
    assert bool(edits) is becomes
    texts = " ".join(one.text + one.remedy for one in conversion.proposal.remarks if "clock" in one.text)
    assert remark in texts if remark else not texts


def test_a_registry_that_changed_meanwhile_is_an_error_and_nothing_is_done(guest: WindowsFolder) -> None:
    conversion, hives = planned(guest)
    guest.change_hive(f"/{SYSTEM}", [{"key": f"{SERVICES}\\vmci", "name": "Start", "kind": 4, "data": "AwAAAA=="}])
    before = (guest.root / SYSTEM).read_bytes()
    with pytest.raises(TargetError, match="vmci Start in the guest is not what it was"):
        apply(guest, conversion.proposal, registry=hives)
    assert (guest.root / SYSTEM).read_bytes() == before
    assert not (guest.root / "Program Files/v2x").exists()


def test_values_are_what_their_types_say() -> None:
    assert RegistryValue(Kind.DWORD, b"\1\0\0").number is None
    assert RegistryValue(Kind.SZ, "a\0b".encode("utf-16-le")).text == "a"
    assert multi("a", "b").texts == ("a", "b") and string("x").texts == ("x",)
    assert RegistryValue(Kind.SZ, b"\x41\x00\x42").text == "A"
    assert RegistryValue(0x20, bytes(3)).shown == "hex(20):00,00,00"
    assert multi("a", "b").shown == '"a"; "b"'


def test_unknown_what_does_not_say_which_control_set_boots(tmp_path: Path) -> None:
    keys = {key: values for key, values in system().items() if key != "Select"}
    conversion, _ = planned(lay_windows(tmp_path / "w", system_keys=keys))
    assert conversion.changes_nothing
    assert ["control set" in one.text for one in conversion.proposal.remarks] == [True]


def test_older_than_vista_passes_untouched(tmp_path: Path) -> None:
    about = {"Microsoft\\Windows NT\\CurrentVersion": {"CurrentVersion": string("5.2"), "ProductName": string("2003")}}
    conversion, _ = planned(lay_windows(tmp_path / "w", software_keys=about))
    assert conversion.changes_nothing
    assert "older than Vista" in conversion.proposal.remarks[0].text


def test_unknown_what_has_no_version(tmp_path: Path) -> None:
    conversion, _ = planned(lay_windows(tmp_path / "w", software_keys={"Microsoft": {}}))
    assert conversion.changes_nothing
    assert "which Windows this is" in conversion.proposal.remarks[0].text


def test_windows_11_is_called_so(tmp_path: Path) -> None:
    about = software()
    about["Microsoft\\Windows NT\\CurrentVersion"] |= {
        "ProductName": string("Windows 10 Pro"),
        "CurrentBuild": string("22631"),
    }
    conversion, _ = planned(lay_windows(tmp_path / "w", software_keys=about))
    assert (conversion.inspection.name, conversion.inspection.version) == ("Windows 11 Pro", "10.0.22631")


def test_a_linux_guest_is_no_windows(tmp_path: Path) -> None:
    assert plan_windows(WindowsFolder(tmp_path)) is None
