# SPDX-License-Identifier: Apache-2.0
"""The shares of the simulated host, as smbclient's own library sees them through another client's eyes."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from smbprotocol.connection import Connection
from smbprotocol.exceptions import AccessDenied, LogonFailure, SMBException
from smbprotocol.open import CreateDisposition, CreateOptions, FilePipePrinterAccessMask, ImpersonationLevel, Open
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from v2x.errors import UsageError
from v2x.simulators.hyperv import share as module
from v2x.simulators.hyperv.share import Share


@contextmanager
def logged_in(share: Share, *, encrypted: bool = True, password: str = "") -> Iterator[Session]:
    connection = Connection(uuid.uuid4(), share.host, share.port, require_signing=False)
    connection.connect(timeout=10)
    try:
        session = Session(connection, share.user, password or share.password, require_encryption=encrypted)
        session.connect()
        yield session
    finally:
        connection.disconnect(close=False)


def open_file(session: Session, share: str, name: str, access: int, disposition: int) -> Open:
    tree = TreeConnect(session, rf"\\127.0.0.1\{share}")
    tree.connect()
    opened = Open(tree, name)
    opened.create(ImpersonationLevel.Impersonation, access, 0, 7, disposition, CreateOptions.FILE_NON_DIRECTORY_FILE)
    return opened


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    folder = tmp_path / "drive"
    folder.mkdir()
    (folder / "disk.vhdx").write_bytes(b"content")
    return folder


def test_files_can_be_read_and_never_written(drive: Path, hyperv_share: Callable[..., Share]) -> None:
    share = hyperv_share(D=drive)
    with logged_in(share) as session:
        opened = open_file(
            session, "D$", "disk.vhdx", FilePipePrinterAccessMask.FILE_READ_DATA, CreateDisposition.FILE_OPEN
        )
        assert opened.read(0, 100) == b"content"
        for name, disposition in (
            ("disk.vhdx", CreateDisposition.FILE_OPEN),
            ("disk.vhdx", CreateDisposition.FILE_OVERWRITE_IF),
            ("new", CreateDisposition.FILE_CREATE),
        ):
            with pytest.raises(AccessDenied):
                open_file(session, "D$", name, FilePipePrinterAccessMask.FILE_WRITE_DATA, disposition)
    assert [path.name for path in drive.iterdir()] == ["disk.vhdx"]


def test_a_wrong_password_and_a_plain_session_are_refused(drive: Path, hyperv_share: Callable[..., Share]) -> None:
    share = hyperv_share(D=drive)
    with pytest.raises(LogonFailure), logged_in(share, password="wrong"):
        pass
    # A client that would go without encryption is told that this server wants it.
    with logged_in(share, encrypted=False) as session:
        assert session.encrypt_data is True


def test_signatures_are_required_where_nothing_is_encrypted(drive: Path, hyperv_share: Callable[..., Share]) -> None:
    share = hyperv_share(D=drive, encryption="off")
    with logged_in(share, encrypted=False) as session:
        assert session.encrypt_data is False
        assert session.signing_required is True
    with pytest.raises(SMBException, match="does not support it"), logged_in(share):
        pass


def test_only_loopback_is_listened_on_and_nothing_is_readable_by_others(
    drive: Path, hyperv_share: Callable[..., Share], tmp_path: Path
) -> None:
    share = hyperv_share(D=drive)
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ours = [
        line.split()[1]
        for line in listening
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{share.port:04X}")
    ]
    assert ours == [f"0100007F:{share.port:04X}"]
    assert stat.S_IMODE((share.folder / "private").stat().st_mode) == 0o700
    assert share.password not in share.folder.joinpath("smb.conf").read_text()
    command = Path(f"/proc/{share._process.pid}/cmdline").read_bytes()  # type: ignore[union-attr]
    assert share.password.encode() not in command


def test_two_at_once_and_an_end_without_leftovers(drive: Path, tmp_path: Path) -> None:
    with Share(tmp_path / "one", {"D$": drive}) as one, Share(tmp_path / "two", {"D$": drive}) as two:
        assert one.port != two.port
        with logged_in(one), logged_in(two):
            numbers = [one._process.pid, *one._children()]  # type: ignore[union-attr]
    for number in numbers:
        # Ended, or a zombie that only waits to be taken note of.
        state = Path(f"/proc/{number}/stat")
        assert not state.exists() or state.read_text().split()[2] == "Z"
    with pytest.raises(OSError):
        socket.create_connection((one.host, one.port), timeout=1)


def test_addresses_and_rules_carry_the_port(drive: Path, hyperv_share: Callable[..., Share]) -> None:
    share = hyperv_share(D=drive, E=drive, shares={"vms": drive})
    assert share.unc("vms") == rf"\\127.0.0.1:{share.port}\vms"
    assert share.rules == [rf"D:=\\127.0.0.1:{share.port}\D$", rf"E:=\\127.0.0.1:{share.port}\E$"]


def test_without_samba_the_package_is_named(drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.programs, "find", lambda name: None)
    with pytest.raises(UsageError, match="pdbedit is not installed") as refused:
        Share(tmp_path / "samba", {"D$": drive})
    assert refused.value.hint == "sudo apt-get install samba"


def _for_everyone(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in path.parents)


@pytest.mark.skipif(
    os.getuid() != 0 or not _for_everyone(Path(module.__file__)) or not _for_everyone(Path(sys.executable)),
    reason="only root can become another user, who must be able to read v2x; others run it as themselves in every test",
)
def test_it_runs_as_an_ordinary_user(tmp_path: Path) -> None:
    """A program of its own, started as nobody."""
    script = """
import sys, uuid
from pathlib import Path
from v2x.simulators.hyperv.share import Share
folder = Path(sys.argv[1])
(folder / "drive").mkdir()
(folder / "drive" / "x").write_bytes(b"content")
with Share(folder / "samba", {"D$": folder / "drive"}) as share:
    from v2x.disks.smb.connection import SmbAccess
    from v2x.disks.smb.listing import SmbFolder
    from v2x.disks.smb.paths import parse_unc
    from v2x.disks.smb.server import SmbServers
    from v2x.secrets import Secret
    servers = SmbServers(SmbAccess(user=share.user, password=Secret(share.password)))
    source = SmbFolder(servers, parse_unc(share.unc("D$"))).open("x")
    buffer = bytearray(source.size)
    source.read_into(0, buffer)
    print(buffer.decode())
"""
    root = Path(module.__file__).parents[3]
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        os.chown(home, 65534, 65534)
        command: list[Any] = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            sys.executable,
            "-c",
            script,
            home,
        ]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(root),
            "HOME": home,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False, cwd="/"
        )
    assert done.stdout == "content\n", done.stderr
