# SPDX-License-Identifier: Apache-2.0
"""What doctor says to install, by the system that os-release names; names that were not tried are said to be so."""

from pathlib import Path

import pytest

from v2x.cli import packages
from v2x.cli.checkup import check_machine
from v2x.cli.packages import NAMES, Family, here, system

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n'
UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n'
ROCKY = (
    'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\nPRETTY_NAME="Rocky Linux 9.4"\n'
)
MINT = 'NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\nPRETTY_NAME="Linux Mint 22"\n'
XCP = 'NAME="XCP-ng"\nVERSION="8.3.0"\nID="xenenterprise"\nID_LIKE="centos rhel fedora"\nPRETTY_NAME="XCP-ng 8.3.0"\n'
ARCH = 'NAME="Arch Linux"\nID=arch\nPRETTY_NAME="Arch Linux"\n'


@pytest.mark.parametrize(
    ("text", "family", "command"),
    [
        (DEBIAN, Family.DEBIAN, "apt install qemu-utils"),
        (DEBIAN.replace('"12"', '"13"'), Family.DEBIAN, "apt install qemu-utils (names not tried on"),
        (UBUNTU, Family.UBUNTU, "apt install qemu-utils (names not tried on Ubuntu 24.04.1 LTS)"),
        (MINT, Family.UBUNTU, "apt install qemu-utils (names not tried on Linux Mint 22)"),
        (ROCKY, Family.RHEL, "dnf install qemu-img (names not tried on Rocky Linux 9.4)"),
        (XCP, Family.DOM0, "install nothing here: run v2x in a Debian VM on the pool"),
        (ARCH, Family.OTHER, "install what your system calls qemu-utils on Debian"),
        ("", Family.OTHER, "install what your system calls qemu-utils on Debian"),
        ("ID='unclosed\n=\n# ID=debian\n", Family.OTHER, "install what"),
    ],
)
def test_what_to_install_by_system(text: str, family: Family, command: str) -> None:
    found = system(text)
    assert found.family is family
    assert found.install("qemu-img").startswith(command)
    assert found.proven is (text is DEBIAN)


def test_several_parts_are_one_command_without_repeats() -> None:
    assert system(DEBIAN).install("qemu-img", "qemu-nbd", "nbdkit") == "apt install qemu-utils nbdkit"


def test_every_family_has_a_name_for_every_part() -> None:
    assert {frozenset(names) for names in NAMES.values()} == {frozenset(NAMES[Family.DEBIAN])}


def test_the_names_of_debian_are_those_that_setup_installs() -> None:
    makefile = (Path(__file__).parents[3] / "Makefile").read_text("utf-8").split()
    for part, names in NAMES[Family.DEBIAN].items():
        if part not in {"kerberos", "keyring"}:
            assert set(names.split()) <= set(makefile), part


def test_a_control_domain_and_a_red_hat_are_told_beforehand() -> None:
    (line,) = [one for one in check_machine(system(XCP)) if one.name == "system"]
    assert not line.ok and "control domain" in line.found and not line.required
    (line,) = [one for one in check_machine(system(ROCKY)) if one.name == "system"]
    assert "3.11" in line.found
    (line,) = [one for one in check_machine(system(DEBIAN)) if one.name == "system"]
    assert line.ok and line.found == "Debian GNU/Linux 12 (bookworm)"


def test_missing_programs_are_named_with_the_command_of_this_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    lines = {one.name: one for one in check_machine(system(ROCKY))}
    for name, command in (("qemu-img", "dnf install qemu-img"), ("nbdkit", "dnf install nbdkit")):
        assert not lines[name].ok and not lines[name].required and lines[name].remedy.startswith(command)


def test_a_machine_without_the_file_is_unknown(tmp_path: Path) -> None:
    assert here(tmp_path / "none").family is Family.OTHER
    assert Path("/etc/os-release") == packages.OS_RELEASE
