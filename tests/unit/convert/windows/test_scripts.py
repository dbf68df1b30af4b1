# SPDX-License-Identifier: Apache-2.0
"""The scripts of the first boot: their syntax, the commands they call, and that an old Windows can read them."""

import re
from pathlib import Path

import pytest

from tests.powershell import PARSER, nodes, owner, tree
from v2x.convert.windows.firstboot import SCRIPTS

POWERSHELL = sorted(SCRIPTS.glob("*.ps1"))
COMMANDS = {
    "Add-Type": {"TypeDefinition"},
    "Get-ChildItem": {"LiteralPath"},
    "Get-Command": {"Name", "ErrorAction"},
    "Get-Content": {"LiteralPath"},
    "Get-Disk": set(),
    "Get-Partition": {"DiskNumber"},
    "Get-Service": {"Name", "ErrorAction"},
    "Get-WmiObject": {"Class", "Namespace", "ErrorAction"},
    "Join-Path": set(),
    "New-Item": {"ItemType", "Path"},
    "New-Object": set(),
    "Out-File": {"FilePath", "Append", "Encoding"},
    "Out-Host": set(),
    "Select-Object": {"First"},
    "Set-Content": {"LiteralPath", "Value", "Encoding"},
    "Set-Disk": {"Number", "IsOffline", "IsReadOnly"},
    "Set-Partition": {"InputObject", "NewDriveLetter", "ErrorAction"},
    "Sort-Object": set(),
    "Split-Path": {"Parent"},
    "Start-Process": {"FilePath", "ArgumentList", "PassThru"},
    "Start-Sleep": {"Seconds"},
    "Test-Path": {"LiteralPath"},
    "Where-Object": set(),
    "Write-Host": set(),
    "Write-Output": set(),
}
"""With the parameters that they have in Windows PowerShell 2.0; those for disks are asked for before they are used."""
PROGRAMS = {"sc.exe", "shutdown.exe", "netsh.exe", "diskpart.exe", "manage-bde.exe", "$shell"}
NEWER = re.compile(r"-in\b|-notin\b|\[ordered\]|\[pscustomobject\]|Get-CimInstance|ConvertFrom-Json|\?\?|&&|\|\|")


def without_strings(text: str) -> str:
    return re.sub(r"@'.*?'@", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("script", POWERSHELL, ids=lambda one: one.name)
def test_the_syntax_holds(script: Path) -> None:
    assert tree(script.read_text()).child_count > 0


@pytest.mark.parametrize("broken", ["if ($a { }", "foreach ($x in ) { }", "try { } catch", "$x = @{ a = }"])
def test_the_gate_would_notice(broken: str) -> None:
    whole = (SCRIPTS / "run.ps1").read_text()
    assert PARSER.parse((whole + broken).encode()).root_node.has_error


@pytest.mark.parametrize("script", POWERSHELL, ids=lambda one: one.name)
def test_only_known_commands_with_parameters_they_have(script: Path) -> None:
    text = script.read_text()
    own = set(re.findall(r"^function ([\w-]+)", text, re.MULTILINE))
    called = 0
    for node in nodes(tree(text)):
        if node.type != "command":
            continue
        name = next((one.text.decode() for one in node.children if one.type.startswith("command_name")), "")
        if node.text.startswith(b"&"):
            assert name in PROGRAMS, name
            continue
        words = [one for one in nodes(node) if one.type == "command_parameter" and owner(one) == node]
        given = {one.text.decode().removeprefix("-") for one in words}
        called += 1
        if name not in own:
            assert name in COMMANDS, name
            assert given <= COMMANDS[name], (name, given)
    assert called


@pytest.mark.parametrize("script", POWERSHELL, ids=lambda one: one.name)
def test_an_old_powershell_reads_it(script: Path) -> None:
    text = script.read_text()
    assert text.isascii()
    assert not NEWER.search(without_strings(text)), NEWER.search(without_strings(text))
    assert "Invoke-Expression" not in text and "-EncodedCommand" not in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("script", [one for one in POWERSHELL if one.name[0].isdigit()], ids=lambda one: one.name)
def test_each_ends_with_a_code_and_takes_data_from_xml_only(script: Path) -> None:
    text = script.read_text()
    assert re.search(r"^exit ", text.splitlines()[-1])
    assert ("settings.xml" in text) == (script.name not in ("20-xen-drivers.ps1", "60-bitlocker.ps1"))
    assert "ReadLine" not in text and "Read-Host" not in text


def test_pvscsi_is_never_touched() -> None:
    for script in POWERSHELL:
        code = "\n".join(line for line in script.read_text().splitlines() if not line.startswith("#"))
        assert "pvscsi" not in code.casefold()


def test_bitlocker_is_only_armed_again() -> None:
    text = (SCRIPTS / "60-bitlocker.ps1").read_text()
    called = re.findall(r"& manage-bde\.exe -(\w+)(?: -(\w+))?", text)
    assert called == [("protectors", "enable"), ("status", "")]


COMMAND_WORDS = {"@echo", "rem", "setlocal", "set", "if", "echo", "exit", '"%SHELL%"', ":run"}


def faults_of(text: str) -> list[str]:
    """What is wrong with a small batch file: unknown words, quotes or percent signs that do not pair, labels."""
    faults = []
    labels = {line[1:].strip() for line in text.splitlines() if line.startswith(":")}
    for line in text.splitlines():
        if line.casefold().startswith("rem "):
            continue
        if line.split(" ", 1)[0] not in COMMAND_WORDS:
            faults.append(f"unknown: {line}")
        if line.count('"') % 2:
            faults.append(f"quotes: {line}")
        if re.sub(r"%~[a-z]+\d", "", line).count("%") % 2:
            faults.append(f"percent: {line}")
        faults += [f"no label: {line}" for label in re.findall(r"goto (\w+)", line) if label not in labels]
        if re.search(r"[()^!]", line):
            faults.append(f"blocks are not used: {line}")
    return faults


def test_the_batch_file_holds() -> None:
    text = (SCRIPTS / "firstboot.cmd").read_text()
    assert text.isascii() and text.startswith("@echo off\n")
    assert faults_of(text) == []
    assert text.splitlines()[-1] == "exit /b %ERRORLEVEL%"


@pytest.mark.parametrize("broken", ['set "A=b', "goto nowhere", "frobnicate", "echo %PATH", "if exist x ( echo y"])
def test_that_gate_would_notice_too(broken: str) -> None:
    line = broken if not broken.startswith("goto") else f"if exist x {broken}"
    assert faults_of(line)
