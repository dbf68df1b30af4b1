# SPDX-License-Identifier: Apache-2.0
"""The PowerShell scripts: their syntax, and that they call nothing but what they say they do."""

import re

import pytest

from tests.powershell import PARSER, calls, tree
from v2x.sources.hyperv.scripts import COLLECT, POWER, Script, endpoint_files

READING = {
    "Get-CimInstance": {"Namespace", "ClassName"},
    "Get-Cluster": set(),
    "Get-ClusterGroup": {"Name"},
    "Get-ClusterNode": set(),
    "Get-ClusterParameter": {"Name"},
    "Get-ClusterResource": set(),
    "Get-ClusterSharedVolume": set(),
    "Get-Date": set(),
    "Get-Item": {"LiteralPath", "Force"},
    "Get-Service": {"Name", "ErrorAction"},
    "Get-SmbShare": set(),
    "Get-VHD": {"Path"},
    "Get-VM": {"Id", "ErrorAction", "ErrorVariable"},
    "Get-VMBios": {"VM"},
    "Get-VMDvdDrive": {"VM"},
    "Get-VMFirmware": {"VM"},
    "Get-VMHardDiskDrive": {"VM", "VMSnapshot"},
    "Get-VMIntegrationService": {"VM"},
    "Get-VMKeyProtector": {"VM"},
    "Get-VMMemory": {"VM"},
    "Get-VMNetworkAdapter": {"VM"},
    "Get-VMNetworkAdapterIsolation": {"VMNetworkAdapter"},
    "Get-VMNetworkAdapterVlan": {"VMNetworkAdapter"},
    "Get-VMProcessor": {"VM"},
    "Get-VMReplication": {"VM"},
    "Get-VMSecurity": {"VM"},
    "Get-VMSnapshot": {"VM", "SnapshotType", "ErrorAction"},
    "Get-VMSwitch": set(),
    "ConvertTo-Json": {"InputObject", "Depth", "Compress"},
    "ForEach-Object": set(),
    "Microsoft.PowerShell.Core\\Get-Command": {"Name", "ErrorAction"},
    "New-Object": set(),
    "Set-StrictMode": {"Off"},
    "Test-Path": {"LiteralPath", "PathType"},
    "Where-Object": set(),
}
"""Commands that read, with the parameters they have in Windows PowerShell 4.0 and later."""
CHANGING = {
    "Checkpoint-VM": {"VM", "SnapshotName", "Passthru"},
    "Remove-VMSnapshot": {"VMSnapshot", "Confirm:$false"},
    "Rename-VM": {"VM", "NewName"},
    "Set-VM": {"VM", "AutomaticStartAction", "Notes"},
    "Start-ClusterGroup": {"InputObject"},
    "Start-VM": {"VM"},
    "Stop-ClusterGroup": {"InputObject"},
    "Stop-VM": {"VM", "Confirm:$false"},
}


@pytest.mark.parametrize("script", [COLLECT, POWER], ids=lambda one: one.file)
def test_the_syntax_holds(script: Script) -> None:
    assert tree(script.text).child_count > 0
    assert re.search(rf"^# v2x-script: {script.file.partition('.')[0]} \d$", script.text, re.MULTILINE)


def test_the_gate_would_notice(tmp_path: object) -> None:
    for broken in ("if ($a { }", "function X { @{ a = }", "foreach ($x in ) { }"):
        root = PARSER.parse(broken.encode()).root_node
        assert root.has_error


@pytest.mark.parametrize(
    ("script", "allowed"), [(COLLECT, READING), (POWER, READING | CHANGING)], ids=["collect", "power"]
)
def test_only_known_commands_with_parameters_they_have(script: Script, allowed: dict[str, set[str]]) -> None:
    own = set(re.findall(r"^function ([\w-]+)", script.text, re.MULTILINE))
    for name, parameters in calls(script.text):
        if name in own or not name:
            continue
        assert name in allowed, name
        # -Parameter:value is one word to the parser.
        known = {one.casefold() for one in allowed[name]}
        given = {one.casefold() for one in parameters}
        assert given <= known | {one.partition(":")[0] for one in known}, (name, parameters)


def test_the_collector_changes_nothing() -> None:
    called = {name for name, _ in calls(COLLECT.text)} - {"Add-Problem", "Set-StrictMode"}
    verbs = {name.partition("-")[0] for name in called}
    assert not verbs & {"Set", "Remove", "Start", "Stop", "Add", "Enable", "Disable", "Checkpoint", "Restart", "Move"}
    assert "Invoke-Expression" not in COLLECT.text
    assert "TurnOff" not in POWER.text.replace("never turned off", "")
    assert "-Force" not in re.sub(r"Get-Item .*-Force", "", POWER.text)


@pytest.mark.parametrize("script", [COLLECT, POWER], ids=lambda one: one.file)
def test_it_is_plain_ascii_that_an_old_powershell_reads(script: Script) -> None:
    assert script.text.isascii()
    for newer in (" ?? ", "?.", " && ", " || ", "-AsArray", "-Parallel", "[nullstring]", "class "):
        assert newer not in script.text, newer


def test_optional_commands_are_asked_for_before_they_are_called() -> None:
    """A command that a host lacks would end the script under Stop."""
    for name in ("Get-VMSecurity", "Get-VMAssignableDevice", "Get-VMGpuPartitionAdapter", "Get-VMFibreChannelHba"):
        assert f"'{name}'" in COLLECT.text
    for name in ("Get-ClusterGroup", "Get-SmbShare", "Get-VMNetworkAdapterIsolation"):
        assert f"Test-Has '{name}'" in COLLECT.text


@pytest.mark.parametrize("power", [False, True])
def test_a_jea_endpoint_offers_the_scripts_and_nothing_else(power: bool) -> None:
    files = endpoint_files(power=power)
    for text in files.values():
        tree(text)
    visible = re.search(r"VisibleFunctions = @\((.*)\)", files["v2x.psrc"])
    assert visible is not None
    assert re.findall(r"Get-\w+|Invoke-\w+", visible.group(1)) == ["Get-V2xInventory", "Invoke-V2xPower"]
    # Without power its function takes no other action than the one that tells.
    assert ("ValidateSet = 'state'" in visible.group(1)) is not power
    assert "RestrictedRemoteServer" in files["v2x.pssc"]
    assert "VisibleCmdlets" not in files["v2x.psrc"]
