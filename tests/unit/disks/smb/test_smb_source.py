# SPDX-License-Identifier: Apache-2.0
"""Files on a share, read from a real Samba that wants signatures and encryption as a hardened Windows does."""

import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from smbprotocol.open import Open

from tests.warming import wait_for
from v2x.disks.extent import Extent
from v2x.disks.interface import ByteSource, Stamped
from v2x.disks.smb.connection import ProtectedConnection, SmbAccess
from v2x.disks.smb.listing import SmbFiles, SmbFolder
from v2x.disks.smb.paths import UncPath, parse_unc
from v2x.disks.smb.server import SmbServers
from v2x.disks.smb.source import SmbSource
from v2x.errors import (
    BadImage,
    ConnectError,
    InputRefused,
    LoginError,
    PermissionRefused,
    Retry,
    SourceError,
    TrustError,
    UnsafeImage,
)
from v2x.secrets import Secret
from v2x.simulators.hyperv.share import Share

MIB = 1 << 20


def no_sleep(seconds: float) -> None:
    assert seconds > 0


def access(share: Share, **changes: object) -> SmbAccess:
    options: dict[str, object] = {"user": share.user, "password": Secret(share.password), "timeout_seconds": 20.0}
    return SmbAccess(**(options | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(4).randbytes(9 * MIB + 12345)


@pytest.fixture
def drive(tmp_path: Path, content: bytes) -> Path:
    folder = tmp_path / "drive"
    (folder / "sub").mkdir(parents=True)
    (folder / "disk.vhdx").write_bytes(content)
    (folder / "empty").write_bytes(b"")
    (folder / "Ünïcode ☃.vhdx").write_bytes(b"snow")
    return folder


@pytest.fixture
def share(drive: Path, hyperv_share: Callable[..., Share]) -> Share:
    return hyperv_share(D=drive)


@pytest.fixture
def servers(share: Share) -> Iterator[SmbServers]:
    made = SmbServers(access(share))
    yield made
    made.close()


def root(share: Share) -> UncPath:
    return parse_unc(share.unc("D$"))


@pytest.fixture
def source(servers: SmbServers, share: Share) -> Iterator[SmbSource]:
    opened = SmbFolder(servers, root(share), sleep=no_sleep).open("disk.vhdx")
    yield opened
    opened.close()


def piece(source: ByteSource, offset: int, length: int) -> bytes:
    buffer = bytearray(b"\xee" * length)
    source.read_into(offset, buffer)
    return bytes(buffer)


def test_any_range_is_the_files(source: SmbSource, content: bytes) -> None:
    assert isinstance(source, ByteSource)
    assert isinstance(source, Stamped)
    assert (source.name, source.size) == ("disk.vhdx", len(content))
    assert piece(source, 0, len(content)) == content
    chance = random.Random(1)
    for _ in range(60):
        offset = chance.randrange(len(content))
        length = min(chance.choice([1, 512, 65537, 3 * MIB]), len(content) - offset)
        assert piece(source, offset, length) == content[offset : offset + length]
    assert piece(source, len(content), 0) == b""
    assert list(source.extents(5, 10)) == [Extent(5, 10, True)]


def test_every_byte_travels_encrypted(servers: SmbServers, source: SmbSource) -> None:
    session = servers.server(source.place)._session
    assert session is not None
    assert session.encrypt_data is True
    assert session.password is None
    assert "Secret" not in repr(vars(session))


def test_clones_read_in_threads_and_outlive_the_original(source: SmbSource, content: bytes) -> None:
    clones = [source.clone() for _ in range(4)]
    source.close()

    def all_of(number: int) -> bool:
        chance = random.Random(number)
        for _ in range(12):
            offset = chance.randrange(len(content) - 2 * MIB)
            if piece(clones[number], offset, 2 * MIB) != content[offset : offset + 2 * MIB]:
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(all_of, range(4)))
    for clone in clones:
        clone.close()


def test_more_requests_than_credits_wait_for_them(
    source: SmbSource, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection never asks for more than it takes: 67 credits for eight threads of four times 16."""
    monkeypatch.setattr("v2x.disks.smb.connection._CREDITS_WANTED", 0)
    clones = [source.clone() for _ in range(8)]

    def read(clone: SmbSource) -> bool:
        return piece(clone, 0, 8 * MIB) == content[: 8 * MIB]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, clones))


def test_a_server_that_gives_no_credits_ends_in_an_error(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    servers = SmbServers(access(share, timeout_seconds=0.3))
    source = SmbFolder(servers, root(share), sleep=no_sleep).open("disk.vhdx")
    monkeypatch.setattr(ProtectedConnection, "_credits_left", lambda self: 0)
    with pytest.raises(SourceError, match="lost 6 times") as refused:
        piece(source, 0, 10)
    assert refused.value.retry is Retry.NOW


def test_answers_shorter_than_asked_for_are_completed(
    source: SmbSource, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Open.read
    chance = random.Random(3)

    def shorter(self: Open, offset: int, length: int, **options: object) -> object:
        return plain(self, offset, chance.randrange(1, length + 1) if length > 4096 else length, **options)

    monkeypatch.setattr(Open, "read", shorter)
    assert piece(source, 0, 3 * MIB) == content[: 3 * MIB]


def test_a_lost_connection_is_made_again(share: Share, source: SmbSource, content: bytes) -> None:
    for offset in (0, MIB, 5 * MIB):
        share.cut()
        assert piece(source, offset, 2 * MIB) == content[offset : offset + 2 * MIB]


def test_a_connection_lost_by_many_is_made_again_once(share: Share, source: SmbSource, content: bytes) -> None:
    clones = [source.clone() for _ in range(4)]
    share.cut()
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda clone: piece(clone, 0, MIB) == content[:MIB], clones))
    wait_for(lambda: len(share._children()) == 1)  # the server's process of the old one may still be going


def test_a_file_that_changed_meanwhile_is_not_read_on(share: Share, source: SmbSource, drive: Path) -> None:
    assert piece(source, 0, 512)
    before = source.write_id
    with (drive / "disk.vhdx").open("ab") as file:
        file.write(b"changed")
    share.cut()
    with pytest.raises(SourceError, match="changed at the source") as refused:
        piece(source, 0, 512)
    assert refused.value.code == "SOURCE-CHANGED"
    with pytest.raises(SourceError):
        source.clone()
    again = SmbSource(source._server, source.place, sleep=no_sleep)
    assert again.write_id != before


def test_a_server_that_is_gone_ends_in_an_error_that_may_be_tried_again(share: Share, source: SmbSource) -> None:
    share.stop()
    with pytest.raises(SourceError, match="lost 6 times") as refused:
        piece(source, 0, 512)
    assert refused.value.retry is Retry.NOW
    share.start()
    assert piece(source, 0, 512)


def test_beyond_the_end_is_refused_and_a_file_that_shrank_too(source: SmbSource, drive: Path) -> None:
    for offset, length in ((source.size, 1), (-1, 5), (source.size - 3, 4)):
        with pytest.raises(BadImage, match="where more was expected"):
            source.read_into(offset, bytearray(length))
    os.truncate(drive / "disk.vhdx", 2 * MIB)
    with pytest.raises(BadImage, match="ends where more was expected"):
        piece(source, MIB, 4 * MIB)
    assert piece(source, 0, 512)
    source.close()
    source.close()
    with pytest.raises(ValueError, match="closed"):
        piece(source, 0, 1)


def test_its_owner_is_never_kept_from_the_file(
    share: Share, source: SmbSource, drive: Path, servers: SmbServers
) -> None:
    """What the share modes and the access asked for allow a second opener, by Samba's own table of them."""
    assert piece(source, 0, 512)
    asked: dict[str, object] = vars(source._handle._open)  # type: ignore[union-attr]
    assert asked["share_mode"] == 7
    writing = 0x2 | 0x4 | 0x10 | 0x100 | 0x10000 | 0x40000 | 0x80000 | 0x10000000 | 0x40000000
    assert not asked["desired_access"] & writing  # type: ignore[operator]
    (drive / "disk.vhdx").rename(drive / "moved.vhdx")
    (drive / "moved.vhdx").unlink()


def test_folders_list_their_files_only(servers: SmbServers, share: Share, drive: Path, tmp_path: Path) -> None:
    folder = SmbFolder(servers, root(share))
    (drive / "a\\b").write_bytes(b"")
    (drive / "outside").symlink_to(tmp_path)
    names = folder.names()
    assert {"disk.vhdx", "empty", "Ünïcode ☃.vhdx"} <= set(names)
    assert "sub" not in names
    assert not any("\\" in name or "/" in name for name in names)
    assert piece(folder.open("Ünïcode ☃.vhdx"), 0, 4) == b"snow"
    assert folder.open("empty").size == 0
    for number in range(1500):
        (drive / "sub" / f"file {number:05} {'x' * 90}").write_bytes(b"")
    assert len(SmbFolder(servers, root(share).child("sub")).names()) == 1500


REFUSED: dict[str, tuple[str, type[Exception], str]] = {
    "absent": ("absent.vhdx", InputRefused, "MISSING-FILE"),
    "folder": ("sub", UnsafeImage, "UNSAFE-IMAGE"),
    "path": ("sub\\x", UnsafeImage, "UNSAFE-IMAGE"),
    "step": ("..", UnsafeImage, "UNSAFE-IMAGE"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_is_no_file_of_the_folder_is_refused(servers: SmbServers, share: Share, case: str) -> None:
    name, kind, code = REFUSED[case]
    with pytest.raises(kind) as refused:
        SmbFolder(servers, root(share)).open(name)
    assert refused.value.code == code  # type: ignore[attr-defined]
    assert refused.value.hint  # type: ignore[attr-defined]


def test_a_link_that_leads_out_of_the_share_is_not_followed(
    servers: SmbServers, share: Share, drive: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (drive / "link").symlink_to(tmp_path / "secret")
    with pytest.raises((InputRefused, PermissionRefused)):
        SmbFolder(servers, root(share)).open("link")


def test_a_share_that_is_not_there_says_how_to_name_one(servers: SmbServers, share: Share) -> None:
    with pytest.raises(InputRefused, match=r"has no share E\$") as refused:
        SmbFolder(servers, parse_unc(share.unc("E$"))).open("x")
    assert refused.value.code == "MISSING-SHARE"
    assert "--share" in refused.value.hint


def test_a_share_that_lets_the_user_not_in(drive: Path, hyperv_share: Callable[..., Share]) -> None:
    share = hyperv_share(D=drive, denied=["D$"])
    with pytest.raises(PermissionRefused, match="no permission") as refused:
        SmbFolder(SmbServers(access(share)), root(share)).open("disk.vhdx")
    assert "administrator" in refused.value.hint


def test_a_refused_password_is_tried_once(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []
    plain = ProtectedConnection.connect
    monkeypatch.setattr(
        ProtectedConnection, "connect", lambda self, **options: (tries.append(1), plain(self, **options))[1]
    )
    servers = SmbServers(access(share, password=Secret("wrong")))
    for _ in range(3):
        with pytest.raises(LoginError, match="user name or password is wrong") as refused:
            SmbFolder(servers, root(share)).open("disk.vhdx")
        assert "wrong" in str(refused.value)
    with pytest.raises(LoginError):
        SmbFolder(SmbServers(servers._access), root(share)).open("disk.vhdx")
    assert len(tries) == 1


@pytest.mark.parametrize("user", ["nobody-here", "HOST\\nobody-here", ""])
def test_unknown_users_and_anonymous_ones_are_refused(share: Share, user: str) -> None:
    servers = SmbServers(access(share, user=user))
    with pytest.raises((LoginError, TrustError)):
        SmbFolder(servers, root(share)).open("disk.vhdx")


def test_a_server_without_encryption_is_refused_unless_that_is_wanted(
    drive: Path, hyperv_share: Callable[..., Share], content: bytes
) -> None:
    share = hyperv_share(D=drive, encryption="off")
    with pytest.raises(TrustError, match="cannot encrypt") as refused:
        SmbFolder(SmbServers(access(share)), root(share)).open("disk.vhdx")
    assert "--no-smb-encryption" in refused.value.hint
    servers = SmbServers(access(share, encryption=False))
    source = SmbFolder(servers, root(share)).open("disk.vhdx")
    assert piece(source, 0, MIB) == content[:MIB]
    session = servers.server(source.place)._session
    assert session is not None
    assert session.signing_required is True
    servers.close()


@pytest.mark.parametrize("dialect", ["SMB3_00", "SMB3_02"])
def test_older_dialects_of_smb_3_are_spoken(
    drive: Path, hyperv_share: Callable[..., Share], content: bytes, dialect: str
) -> None:
    share = hyperv_share(D=drive, dialect=dialect)
    servers = SmbServers(access(share))
    assert piece(SmbFolder(servers, root(share)).open("disk.vhdx"), MIB, MIB) == content[MIB : 2 * MIB]
    servers.close()


def test_smb_2_is_refused(drive: Path, hyperv_share: Callable[..., Share]) -> None:
    share = hyperv_share(D=drive, dialect="SMB2_10", encryption="off")
    with pytest.raises(TrustError, match="speaks no SMB 3"):
        SmbFolder(SmbServers(access(share, encryption=False)), root(share)).open("disk.vhdx")


def test_nothing_listens_there() -> None:
    servers = SmbServers(SmbAccess(user="u", password=Secret("p"), port=1, timeout_seconds=5))
    with pytest.raises(ConnectError, match="port 1") as refused:
        SmbFolder(servers, parse_unc(r"\\127.0.0.1\D$")).open("x")
    assert "445" in refused.value.hint
    with pytest.raises(ConnectError):
        SmbFolder(servers, parse_unc(r"\\no-such-host.invalid\D$")).open("x")


def test_other_nodes_are_asked_where_one_does_not_answer(servers: SmbServers, share: Share, content: bytes) -> None:
    gone = parse_unc(r"\\127.0.0.1:1\ClusterStorage$\x")
    no_share = parse_unc(share.unc("ClusterStorage$")).child("disk.vhdx")
    here = root(share).child("disk.vhdx")
    files = SmbFiles(servers, {"disk.vhdx": [gone, no_share, here], "none": [gone, no_share]}, sleep=no_sleep)
    assert files.names() == ["disk.vhdx", "none"]
    assert piece(files.open("disk.vhdx"), 0, 512) == content[:512]
    with pytest.raises(InputRefused, match="has no share"):
        files.open("none")
    with pytest.raises(InputRefused, match="not among"):
        files.open("other")


def test_a_lost_connection_says_nothing_on_stderr(
    share: Share, source: SmbSource, capfd: pytest.CaptureFixture[str]
) -> None:
    """The library logs tracebacks of its threads."""
    share.cut()
    assert piece(source, 0, 512)
    share.stop()
    with pytest.raises(SourceError):
        piece(source, 0, 512)
    assert capfd.readouterr() == ("", "")
    assert not [
        thread for thread in threading.enumerate() if thread.name.startswith("msg_worker") and not thread.daemon
    ]
