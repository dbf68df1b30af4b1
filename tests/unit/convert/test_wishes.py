# SPDX-License-Identifier: Apache-2.0
"""What is asked for beyond what every guest needs: packages that go, an agent that comes, and what fails of it."""

from pathlib import Path

import pytest

from tests import guests
from tests.guests import SYSTEMD, lay
from v2x.convert.agent import guest_agent
from v2x.convert.apply import apply
from v2x.convert.files import FolderFiles
from v2x.convert.guest_tools import old_tools
from v2x.convert.inspect import inspect
from v2x.convert.interface import Command, Facts, GuestWishes, Proposal, Upload
from v2x.convert.linux import plan_linux
from v2x.errors import V2xError
from v2x.proc import ToolFailed
from v2x.secrets import Secret

REMOVE = GuestWishes(remove_tools=True)
TOOLS = "/etc/systemd/system/open-vm-tools.service"


class Running(FolderFiles):
    """A folder whose guest's programs are noted; those named in `broken` fail, and `seen` is what lay at `watched`."""

    def __init__(self, root: Path, broken: str = "", watched: str = "") -> None:
        super().__init__(root)
        self.ran: list[tuple[str, ...]] = []
        self.broken = broken
        self.watched = watched
        self.seen: bytes | None = None

    def run(self, argv: tuple[str, ...]) -> str:
        self.ran.append(argv)
        if self.watched:
            self.seen = self.read(self.watched)
        if self.broken and self.broken in argv:
            raise ToolFailed(f"{argv[0]} in the guest failed: no")
        return ""


def dpkg(*packages: str, state: str = "install ok installed") -> dict[str, str]:
    text = "".join(f"Package: {name}\nStatus: {state}\nVersion: 1\n\n" for name in packages)
    return {"/var/lib/dpkg/status": text}


def debian(**more: str) -> dict[str, str]:
    return {**guests.debian("12"), **dpkg("bash", "open-vm-tools", "open-vm-tools-desktop"), **more}


def proposed(concern, root: Path, files: dict[str, str], wishes: GuestWishes) -> Proposal:
    laid = lay(root, files)
    return concern(laid, Facts(inspection=inspect(laid), wishes=wishes))


def test_packages_go_only_where_it_is_asked_for(tmp_path: Path) -> None:
    kept = proposed(old_tools, tmp_path / "kept", debian(), GuestWishes())
    assert kept.commands == () and TOOLS in {one.path for one in kept.edits}
    gone = proposed(old_tools, tmp_path / "gone", debian(), REMOVE)
    assert gone.edits == ()
    assert [one.argv[2:] for one in gone.commands] == [("dpkg", "--remove", "open-vm-tools-desktop", "open-vm-tools")]


def test_what_cannot_be_removed_is_switched_off_and_told(tmp_path: Path) -> None:
    lay(tmp_path, debian())
    guest = Running(tmp_path, broken="dpkg")
    done = apply(guest, plan_linux(guest, wishes=REMOVE).proposal)
    assert (tmp_path / TOOLS.lstrip("/")).readlink() == Path("/dev/null")
    assert TOOLS in {one.path for one in done.edits}
    assert not any("dpkg" in one.argv for one in done.commands)
    assert any("dpkg" not in one.text and "could not be removed" in one.text for one in done.remarks)


def test_what_was_removed_leaves_nothing_to_switch_off(tmp_path: Path) -> None:
    lay(tmp_path, debian())
    guest = Running(tmp_path)
    done = apply(guest, plan_linux(guest, wishes=REMOVE).proposal)
    assert any("--remove" in one for one in guest.ran)
    assert not (tmp_path / TOOLS.lstrip("/")).is_symlink()
    assert not any("could not" in one.text for one in done.remarks)


@pytest.mark.parametrize("files", [dpkg("bash"), dpkg("open-vm-tools", state="deinstall ok config-files"), {}])
def test_packages_that_are_not_installed_are_not_removed(files: dict[str, str], tmp_path: Path) -> None:
    found = proposed(old_tools, tmp_path, {**guests.debian("12"), **files}, REMOVE)
    assert found.commands == () and found.edits


@pytest.mark.parametrize(
    ("manager", "program", "argv"),
    [
        ("/usr/bin/dnf", "/usr/bin/vmtoolsd", ("rpm", "--erase", "open-vm-tools")),
        ("/usr/bin/zypper", "/usr/sbin/hv_kvp_daemon", ("rpm", "--erase", "hyper-v")),
        ("/usr/bin/pacman", "/usr/bin/vmtoolsd", ("pacman", "--remove", "--noconfirm", "open-vm-tools")),
    ],
)
def test_each_package_manager_removes_in_its_own_words(
    manager: str, program: str, argv: tuple[str, ...], tmp_path: Path
) -> None:
    found = proposed(old_tools, tmp_path, {**SYSTEMD, "/etc/fstab": "", manager: "", program: ""}, REMOVE)
    assert [one.argv for one in found.commands] == [argv]


def test_vmwares_own_archive_has_its_own_uninstaller(tmp_path: Path) -> None:
    program = "/usr/bin/vmware-uninstall-tools.pl"
    files = {**SYSTEMD, "/etc/fstab": "", program: ""}
    assert [one.argv for one in proposed(old_tools, tmp_path, files, REMOVE).commands] == [(program,)]
    assert proposed(old_tools, tmp_path, files, GuestWishes()).commands == ()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "xe-guest-utilities_8.4.0_amd64.deb"
    path.write_bytes(b"\x00package")
    return path


def test_an_agent_is_laid_in_installed_and_its_package_taken_away(package: Path, tmp_path: Path) -> None:
    root = tmp_path / "guest"
    found = proposed(guest_agent, root, debian(), GuestWishes(agent=package))
    (command,) = found.commands
    assert command.upload == Upload(source=package, to="/var/cache/v2x/agent.deb")
    guest = Running(root, watched=command.upload.to)
    apply(guest, found)
    assert guest.ran[0][:3] == ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get")
    assert guest.seen == b"\x00package"
    assert not guest.exists(command.upload.to)


def test_an_agent_that_cannot_be_installed_is_a_remark(package: Path, tmp_path: Path) -> None:
    root = tmp_path / "guest"
    found = proposed(guest_agent, root, debian(), GuestWishes(agent=package))
    guest = Running(root, broken="apt-get")
    done = apply(guest, found)
    assert done.commands == ()
    assert "xe-guest-utilities_8.4.0_amd64.deb could not be installed" in done.remarks[0].text
    assert not guest.exists("/var/cache/v2x/agent.deb")


def test_a_package_of_another_kind_is_told_beforehand(package: Path, tmp_path: Path) -> None:
    found = proposed(guest_agent, tmp_path / "guest", guests.rhel("9"), GuestWishes(agent=package))
    assert found.commands == () and "which has dnf" in found.remarks[0].text


def test_an_agent_that_is_there_is_left(package: Path, tmp_path: Path) -> None:
    files = debian(**{"/usr/sbin/xe-daemon": ""})
    assert proposed(guest_agent, tmp_path / "guest", files, GuestWishes(agent=package)) == Proposal()


def test_a_command_that_must_not_fail_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(V2xError):
        apply(Running(tmp_path, broken="x"), Proposal(commands=(Command(argv=("x",), why=""),)))


def test_keys_are_never_shown() -> None:
    assert "geheim" not in repr(Facts(inspection=inspect_nothing(), wishes=GuestWishes(keys=(Secret("geheim"),))))


def inspect_nothing():
    return inspect(FolderFiles(Path("/nonexistent")))
