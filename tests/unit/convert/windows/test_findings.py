# SPDX-License-Identifier: Apache-2.0
"""What is said of a guest and what it is refused for: hibernation, an unclean stop, updates, its role, its TPM."""

import shutil
from pathlib import Path

import pytest

from tests.windows_guests import SYSTEM, WindowsFolder, lay_windows, multi, software, system
from v2x.convert.apply import apply
from v2x.convert.interface import Conversion, GuestWishes
from v2x.convert.registry import dword, string
from v2x.convert.windows.plan import plan_windows
from v2x.errors import InputRefused

CONTROL = "ControlSet001\\Control"
CURRENT = "Microsoft\\Windows\\CurrentVersion"


def planned(guest: WindowsFolder, **details: object) -> Conversion:
    found = plan_windows(guest, **details)
    assert found is not None
    return found[0]


def texts(conversion: Conversion) -> str:
    return "\n".join(one.text for one in conversion.proposal.remarks)


def with_keys(tmp_path: Path, more: dict[str, object] | None = None, about: dict[str, object] | None = None) -> str:
    keys, programs = system(), software()
    for have, new in ((keys, more or {}), (programs, about or {})):
        for key, values in new.items():
            have[key] = {**have.get(key, {}), **values}
    guest = lay_windows(tmp_path / "w", system_keys=keys, software_keys=programs)
    return texts(planned(guest))


@pytest.mark.parametrize("name", ["hiberfil.sys", "HIBERFIL.SYS"])
def test_a_hibernated_guest_is_refused(name: str, guest: WindowsFolder) -> None:
    (guest.root / name).write_bytes(b"hibr" + bytes(4092))
    conversion = planned(guest)
    assert conversion.changes_nothing
    assert [one.code for one in conversion.proposal.refusals] == ["WINDOWS-HIBERNATED"]
    before = (guest.root / SYSTEM).read_bytes()
    with pytest.raises(InputRefused) as caught:
        apply(guest, conversion.proposal)
    assert caught.value.code == "WINDOWS-HIBERNATED" and "--clean-hibernation" in caught.value.hint
    assert (guest.root / SYSTEM).read_bytes() == before


@pytest.mark.parametrize("begins", [b"wake", b"RSTR", bytes(4), b""])
def test_one_that_has_woken_up_is_not(begins: bytes, guest: WindowsFolder) -> None:
    (guest.root / "hiberfil.sys").write_bytes(begins)
    assert not planned(guest).proposal.refusals


def test_its_state_is_thrown_away_on_request(guest: WindowsFolder) -> None:
    (guest.root / "hiberfil.sys").write_bytes(b"hibr")
    found = plan_windows(guest, cleaned="/hiberfil.sys", wishes=GuestWishes(clean_hibernation=True))
    assert found is not None
    assert [one.path for one in found[0].proposal.removals] == ["/hiberfil.sys"]
    apply(guest, found[0].proposal, registry=found[1])
    assert not (guest.root / "hiberfil.sys").exists()
    assert planned(guest).changes_nothing


def test_a_registry_in_the_middle_of_it_is_refused(guest: WindowsFolder) -> None:
    hive = guest.root / SYSTEM
    data = bytearray(hive.read_bytes())
    data[8] ^= 1
    hive.write_bytes(data)
    conversion = planned(guest)
    (refusal,) = conversion.proposal.refusals
    assert refusal.code == "WINDOWS-UNCLEAN" and "SYSTEM was being written" in refusal.text
    hive.write_bytes(b"no hive")
    assert "SYSTEM is no registry hive" in planned(guest).proposal.refusals[0].text


def test_a_journal_that_is_not_empty_is_refused(guest: WindowsFolder) -> None:
    (refusal,) = planned(guest, unclean_volume=True).proposal.refusals
    assert refusal.code == "WINDOWS-UNCLEAN" and "journal" in refusal.text


def test_fast_startup_is_told_of_clients_only(tmp_path: Path) -> None:
    power = {f"{CONTROL}\\Session Manager\\Power": {"HiberbootEnabled": dword(1)}}
    assert "Fast Startup" not in with_keys(tmp_path / "server", power)
    client = {f"{CONTROL}\\ProductOptions": {"ProductType": string("WinNT")}}
    assert "Fast Startup is on" in with_keys(tmp_path / "client", {**power, **client})


def test_a_plain_guest_has_one_word_on_its_licence(guest: WindowsFolder) -> None:
    conversion = planned(guest, clock_offset_seconds=0)
    assert sorted(one.text[:20] for one in conversion.proposal.remarks) == [
        "Windows may ask to b",
        "no PV drivers are in",
    ]


def test_updates_that_wait(guest: WindowsFolder, tmp_path: Path) -> None:
    (guest.root / "Windows/winsxs").mkdir()
    (guest.root / "Windows/winsxs/Pending.xml").write_text("<x/>")
    assert "updates are pending: an update to be finished" in texts(planned(guest))
    said = with_keys(
        tmp_path,
        {f"{CONTROL}\\Session Manager": {"PendingFileRenameOperations": multi("\\??\\C:\\a", "b")}},
        {
            f"{CURRENT}\\Component Based Servicing\\RebootPending": {},
            f"{CURRENT}\\WindowsUpdate\\Auto Update\\RebootRequired": {},
        },
    )
    for words in ("a component to be installed", "a restart for Windows Update", "files to be replaced"):
        assert words in said


def test_dynamic_disks(guest: WindowsFolder) -> None:
    assert "2 of its disks are dynamic disks" in texts(planned(guest, dynamic_disks=2))


def test_a_domain_controller(tmp_path: Path) -> None:
    said = with_keys(tmp_path, {f"{CONTROL}\\ProductOptions": {"ProductType": string("LanmanNT")}})
    assert "this is a domain controller" in said


def test_licences(tmp_path: Path) -> None:
    version = "Microsoft\\Windows NT\\CurrentVersion"
    oem = with_keys(tmp_path / "oem", about={version: {"ProductId": string("00330-80000-00000-AAOEM")}})
    assert "of the OEM kind" in oem
    kms = {f"{version}\\SoftwareProtectionPlatform": {"KeyManagementServiceName": string("kms.example")}}
    assert "activated" not in with_keys(tmp_path / "kms", about=kms)


@pytest.mark.parametrize(("policy", "told"), [("AllSigned", True), ("Restricted", True), ("RemoteSigned", False)])
def test_a_policy_against_scripts(policy: str, told: bool, tmp_path: Path) -> None:
    said = with_keys(tmp_path, about={"Policies\\Microsoft\\Windows\\PowerShell": {"ExecutionPolicy": string(policy)}})
    assert ("no script of ours" in said) is told


def test_what_the_tpm_held_is_named(tmp_path: Path) -> None:
    keys = system()
    keys[f"{CONTROL}\\CloudDomainJoin\\JoinInfo\\ABCD"] = {"TenantId": string("x")}
    keys[f"{CONTROL}\\Lsa"] = {"LsaCfgFlags": dword(1)}
    guest = lay_windows(tmp_path / "w", system_keys=keys)
    for folder in ("Windows/ServiceProfiles/LocalService/AppData/Local/Microsoft/Ngc", "ProgramData/microsoft/crypto"):
        (guest.root / folder).mkdir(parents=True)
    (guest.root / "Windows/ServiceProfiles/LocalService/AppData/Local/Microsoft/Ngc/{1}").mkdir()
    (guest.root / "ProgramData/microsoft/crypto/PCPKSP").mkdir()
    (guest.root / "ProgramData/microsoft/crypto/PCPKSP/key").write_text("")
    said = texts(planned(guest))
    for words in ("Windows Hello PINs", "Platform Crypto Provider", "Entra ID", "Credential Guard"):
        assert words in said


def test_names_on_the_disk_may_differ_in_case(guest: WindowsFolder) -> None:
    shutil.move(guest.root / "Windows", guest.root / "WINDOWS")
    shutil.move(guest.root / "WINDOWS/System32", guest.root / "WINDOWS/system32")
    shutil.move(guest.root / "Program Files", guest.root / "program files")
    conversion = planned(WindowsFolder(guest.root))
    assert conversion.proposal.registry
    assert {one.path.split("/")[1] for one in conversion.proposal.edits} == {"program files"}
