# SPDX-License-Identifier: Apache-2.0
"""What is left for the first boot: which scripts, with which data, and what cannot be tied to an adapter."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.windows_guests import (
    GHOST,
    GUID,
    MAC,
    MSI,
    OTHER_MAC,
    TOOLS,
    UNINSTALL,
    WindowsFolder,
    binary,
    lay_windows,
    multi,
    software,
    system,
)
from v2x.convert.apply import apply
from v2x.convert.interface import Adapter, Conversion, Edit, GuestWishes, Proposal
from v2x.convert.registry import dword, string
from v2x.convert.windows.firstboot import SCRIPTS
from v2x.convert.windows.plan import plan_windows
from v2x.errors import TargetError

HERE = "/Program Files/v2x/firstboot"
INTERFACES = "ControlSet001\\Services\\Tcpip\\Parameters\\Interfaces"
KERNEL = f"ControlSet001\\Control\\NetworkSetup2\\Interfaces\\{GUID}\\Kernel"
CONNECTIONS = "ControlSet001\\Control\\Network\\{4D36E972-E325-11CE-BFC1-08002BE10318}"


def planned(guest: WindowsFolder, **details: object) -> Conversion:
    found = plan_windows(guest, **{"adapters": (Adapter(mac=MAC),), "clock_offset_seconds": 0, **details})
    assert found is not None
    return found[0]


def files(conversion: Conversion) -> dict[str, str]:
    return {one.path.removeprefix(f"{HERE}/"): one.after or "" for one in conversion.proposal.edits}


def settings(conversion: Conversion) -> ElementTree.Element:
    return ElementTree.fromstring(files(conversion)["settings.xml"])


def scripts(conversion: Conversion) -> list[str]:
    return [one.removeprefix("scripts/") for one in files(conversion) if one.startswith("scripts/")]


def remarks(conversion: Conversion) -> str:
    return "\n".join(one.text for one in conversion.proposal.remarks)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "XenTools-x64.msi"
    path.write_bytes(MSI)
    return path


def test_all_that_has_something_to_do_and_nothing_else(guest: WindowsFolder, package: Path) -> None:
    conversion = planned(guest, wishes=GuestWishes(windows_drivers=package))
    assert scripts(conversion) == [
        "10-vmware-tools.ps1",
        "20-xen-drivers.ps1",
        "30-ghost-adapters.ps1",
        "40-network.ps1",
        "50-disks.ps1",
    ]
    assert all(one.private and one.mode == 0o600 for one in conversion.proposal.edits)
    (addition,) = conversion.proposal.additions
    assert (addition.source, addition.to) == (package, f"{HERE}/drivers/xen-drivers.msi")


def test_the_data_of_the_scripts(guest: WindowsFolder) -> None:
    root = settings(planned(guest))
    assert [one.get("code") for one in root.iter("product")] == [TOOLS]
    assert [one.get("id") for one in root.iter("device")] == [GHOST]
    (adapter,) = root.iter("adapter")
    assert (adapter.get("mac"), adapter.get("name"), adapter.get("suffix")) == (MAC, "Ethernet0", "corp.example")
    assert [one.attrib for one in adapter.iter("address")] == [
        {"ip": "192.0.2.10", "mask": "255.255.255.0"},
        {"ip": "192.0.2.11", "mask": "255.255.255.0"},
    ]
    assert [one.get("ip") for one in adapter.iter("gateway")] == ["192.0.2.1"]
    assert [one.get("ip") for one in adapter.iter("dns")] == ["192.0.2.53", "198.51.100.53"]
    assert [one.attrib for one in root.iter("partition")] == [
        {"letter": "C", "signature": str(0x1234ABCD), "offset": str(1 << 20)},
        {"letter": "E", "guid": "33221100-5544-7766-8899-aabbccddeeff"},
    ]


def test_it_is_laid_with_windows_line_ends_where_only_the_system_may_write(guest: WindowsFolder, package: Path) -> None:
    found = plan_windows(guest, adapters=(Adapter(mac=MAC),), wishes=GuestWishes(windows_drivers=package))
    assert found is not None
    apply(guest, found[0].proposal, registry=found[1])
    folder = guest.root / HERE.lstrip("/")
    laid = {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}
    assert laid == {
        *("firstboot.cmd", "run.ps1", "settings.xml", "drivers/xen-drivers.msi"),
        *(f"scripts/{name}" for name in scripts(found[0])),
    }
    assert {one.removeprefix(f"{HERE}/") for one in guest.private} == laid
    assert (folder / "drivers/xen-drivers.msi").read_bytes() == MSI
    for name in ("firstboot.cmd", "run.ps1"):
        data = (folder / name).read_bytes()
        assert (
            data.count(b"\r\n") == data.count(b"\n") and data.replace(b"\r\n", b"\n") == (SCRIPTS / name).read_bytes()
        )


def test_private_files_are_made_nowhere_else() -> None:
    class Plain:
        def exists(self, path: str) -> bool:
            return False

    edit = Edit(path="/x", before=None, after="x", why="", private=True)
    with pytest.raises(TargetError, match="private"):
        apply(Plain(), Proposal(edits=(edit,)))


def test_a_guest_that_moves_again_runs_its_scripts_again(guest: WindowsFolder) -> None:
    done = guest.root / HERE.lstrip("/") / "done"
    done.mkdir(parents=True)
    (done / "40-network").write_text("0")
    conversion = planned(guest)
    assert [one.path for one in conversion.proposal.removals] == [f"{HERE}/done/40-network"]


def test_nothing_to_do_is_no_service(tmp_path: Path) -> None:
    gone = ("Uninstall", "MountedDevices", "Enum", "Tcpip")
    keys = {key: one for key, one in system().items() if not any(word in key for word in gone)}
    about = {key: one for key, one in software().items() if "Uninstall" not in key}
    conversion = planned(lay_windows(tmp_path / "w", system_keys=keys, software_keys=about))
    assert not conversion.proposal.edits
    assert not [one for one in conversion.proposal.registry if "v2x" in one.place]


def test_without_powershell_of_its_own_it_is_left_to_a_person(tmp_path: Path) -> None:
    about = software()
    about["Microsoft\\Windows NT\\CurrentVersion"] = {"CurrentVersion": string("6.0"), "CurrentBuild": string("6003")}
    conversion = planned(lay_windows(tmp_path / "w", software_keys=about))
    assert not conversion.proposal.edits and "no PowerShell" in remarks(conversion)
    assert conversion.proposal.registry


def test_drivers_only_where_they_are_made_for(tmp_path: Path, package: Path) -> None:
    about = software()
    about["Microsoft\\Windows NT\\CurrentVersion"] |= {"CurrentBuild": string("9600")}
    wishes = GuestWishes(windows_drivers=package)
    conversion = planned(lay_windows(tmp_path / "w", software_keys=about), wishes=wishes)
    assert "20-xen-drivers.ps1" not in scripts(conversion) and not conversion.proposal.additions
    assert "Windows 10 1607, Server 2016" in remarks(conversion)


def test_drivers_that_are_there_need_no_remark(tmp_path: Path, guest: WindowsFolder) -> None:
    assert "no PV drivers" in remarks(planned(guest))
    about = software() | {f"{UNINSTALL}\\{{X}}": {"DisplayName": string("XCP-ng Windows PV Tools")}}
    assert "no PV drivers" not in remarks(planned(lay_windows(tmp_path / "w", software_keys=about)))


def one_without_a_note(tmp_path: Path, **more: object) -> WindowsFolder:
    keys = {key: values for key, values in system().items() if key != KERNEL}
    return lay_windows(tmp_path / "w", system_keys=keys | more)


def test_an_adapter_is_known_by_what_its_agent_told(tmp_path: Path) -> None:
    guest = one_without_a_note(tmp_path)
    two = (Adapter(mac=OTHER_MAC), Adapter(mac=MAC, addresses=("fe80::1/64", "192.0.2.11/24")))
    (adapter,) = settings(planned(guest, adapters=two)).iter("adapter")
    assert adapter.get("mac") == MAC


def test_the_only_adapter_is_the_one(tmp_path: Path) -> None:
    (adapter,) = settings(planned(one_without_a_note(tmp_path))).iter("adapter")
    assert adapter.get("mac") == MAC


def test_one_of_two_adapters_is_not_guessed(tmp_path: Path) -> None:
    conversion = planned(one_without_a_note(tmp_path), adapters=(Adapter(mac=MAC), Adapter(mac=OTHER_MAC)))
    assert "40-network.ps1" not in scripts(conversion)
    assert "Ethernet0 has 192.0.2.10/24, 192.0.2.11/24: which adapter that is, is not certain" in remarks(conversion)


def test_a_new_mac_of_the_pool_takes_the_old_ones_place(guest: WindowsFolder) -> None:
    new = Adapter(mac="02:00:00:00:00:07", source_mac=MAC)
    (adapter,) = settings(planned(guest, adapters=(new,))).iter("adapter")
    assert adapter.get("mac") == "02:00:00:00:00:07"


def test_an_address_of_an_adapter_that_does_not_move_is_not_given_to_another(guest: WindowsFolder) -> None:
    conversion = planned(guest, adapters=(Adapter(mac=OTHER_MAC),))
    assert "40-network.ps1" not in scripts(conversion) and "not certain" in remarks(conversion)


def test_without_a_machine_the_guests_own_note_counts(guest: WindowsFolder) -> None:
    (adapter,) = settings(planned(guest, adapters=())).iter("adapter")
    assert adapter.get("mac") == MAC


def test_servers_for_names_by_hand_beside_dhcp(tmp_path: Path) -> None:
    keys = system()
    keys[f"{INTERFACES}\\{GUID}"] = {
        "EnableDHCP": dword(1),
        "NameServer": string("192.0.2.53 2001:db8::53 nonsense 0.0.0.0"),
        "IPAddress": multi("0.0.0.0"),
        "SubnetMask": multi("0.0.0.0"),
    }
    (adapter,) = settings(planned(lay_windows(tmp_path / "w", system_keys=keys))).iter("adapter")
    assert [one.get("ip") for one in adapter.iter("dns")] == ["192.0.2.53", "2001:db8::53"]
    assert not list(adapter.iter("address"))


def test_dhcp_without_anything_by_hand_needs_no_script(tmp_path: Path) -> None:
    keys = system() | {f"{INTERFACES}\\{GUID}": {"EnableDHCP": dword(1)}}
    assert "40-network.ps1" not in scripts(planned(lay_windows(tmp_path / "w", system_keys=keys)))


HOSTILE = "'; rm -rf C:\\ #\" $(calc) `n %COMSPEC% & <b>]]></v2x>\u202e\x07"


def test_no_word_of_a_guest_becomes_part_of_a_script(tmp_path: Path) -> None:
    keys = system()
    keys[f"{CONNECTIONS}\\{GUID}\\Connection"] = {"Name": string(HOSTILE)}
    keys[f"{INTERFACES}\\{GUID}"] |= {
        "Domain": string(HOSTILE),
        "IPAddress": multi("192.0.2.10", "$(calc)", "1.2.3.4 & calc"),
        "SubnetMask": multi("255.255.255.0", "255.0.0.0", "255.0.0.0"),
        "DefaultGateway": multi("192.0.2.1;calc", "192.0.2.2"),
        "NameServer": string("192.0.2.53,`calc`"),
    }
    keys["ControlSet001\\Enum\\PCI\\VEN_1&\"'$(calc)\\1"] = keys[f"ControlSet001\\Enum\\{GHOST}"]
    keys["MountedDevices"] = {f"\\DosDevices\\{letter}:": binary(bytes(12)) for letter in ("C", "'", "é", "1", "Q")}
    about = software() | {f"{UNINSTALL}\\{{x}} & calc": {"DisplayName": string("VMware Tools")}}
    conversion = planned(lay_windows(tmp_path / "w", system_keys=keys, software_keys=about))
    for name, text in files(conversion).items():
        if name != "settings.xml":
            assert text.replace("\r\n", "\n") == (SCRIPTS / name.removeprefix("scripts/")).read_text() or text == (
                SCRIPTS / Path(name).name
            ).read_text().replace("\n", "\r\n")
    assert files(conversion)["settings.xml"].isascii()
    root = settings(conversion)
    (adapter,) = root.iter("adapter")
    kept = "".join(sign for sign in HOSTILE if sign.isprintable())
    assert adapter.get("name") == kept and adapter.get("suffix") == kept
    assert [one.get("ip") for one in adapter.iter("address")] == ["192.0.2.10"]
    assert [one.get("ip") for one in adapter.iter("gateway")] == ["192.0.2.2"]
    assert [one.get("ip") for one in adapter.iter("dns")] == ["192.0.2.53"]
    assert [one.get("letter") for one in root.iter("partition")] == ["C", "Q"]
    assert [one.get("code") for one in root.iter("product")] == [TOOLS]
    assert {one.tag for one in root.iter()} == {
        *("v2x", "uninstall", "product", "ghosts", "device", "network", "adapter", "address", "gateway", "dns"),
        *("letters", "partition"),
    }
