# SPDX-License-Identifier: Apache-2.0
"""Files of ours that somebody else gets in the way of: row 19 of the threat table."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.conftest import Watch
from v2x import files
from v2x.errors import UsageError
from v2x.files import write_whole
from v2x.secrets import from_file


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_a_link_in_the_place_of_a_report_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "report.json").symlink_to(victim)
    write_whole(tmp_path / "report.json", b"report")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "report.json").is_symlink()
    assert (tmp_path / "report.json").read_bytes() == b"report"


def test_a_link_under_the_temporary_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can know that name before; if somebody did, nothing would be written through it."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "known")
    for make in (lambda path: path.symlink_to(victim), lambda path: os.link(victim, path), os.mkfifo):
        trap = tmp_path / ".report.json.known.tmp"
        make(trap)
        with pytest.raises(FileExistsError):
            write_whole(tmp_path / "report.json", b"report")
        trap.unlink()
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "report.json").exists()


def test_temporary_names_are_never_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = os.open

    def noting(path: object, *given: object, **more: object) -> int:
        seen.append(str(path))
        return real(path, *given, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(files.os, "open", noting)
    for _ in range(8):
        write_whole(tmp_path / "x", b"x")
    temporary = [name for name in seen if name.endswith(".tmp")]
    assert len(set(temporary)) == 8
    assert str(os.getpid()) + ".tmp" not in "".join(temporary)


def test_what_is_written_is_private_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        write_whole(tmp_path / "plan.json", b"{}")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "plan.json").stat().st_mode) == 0o600


FULL = """
import resource, signal, sys
from pathlib import Path
from v2x.files import write_whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_whole(Path(sys.argv[1]), bytes(65536))
except OSError as problem:
    print(problem.errno)
"""


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, watched: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Really, by a limit that the kernel holds to in the middle of the file; and where the sync is what fails."""
    place = tmp_path / "report.json"
    write_whole(place, b"old")
    watched.allow_program(sys.executable)
    ran = subprocess.run([sys.executable, "-c", FULL, place], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(errno.EFBIG)
    assert place.read_bytes() == b"old"

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(place, b"new")
    assert place.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_the_name_is_on_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synced before it gets its name, and the folder after."""
    done: list[str] = []
    real = os.fsync

    def noting(fd: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        real(fd)

    monkeypatch.setattr(files.os, "fsync", noting)
    write_whole(tmp_path / "x", b"x")
    assert done == ["file", "folder"]


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "group can read"])
def test_a_password_file_that_is_something_else(tmp_path: Path, watched: Watch, kind: str) -> None:
    path = tmp_path / "pw"
    if kind == "pipe":
        os.mkfifo(path, 0o600)
    elif kind == "folder":
        path.mkdir(mode=0o700)
    elif kind == "device":
        path = Path("/dev/zero")
        watched.allow(str(path))
    else:
        path.write_text("word\n")
        path.chmod(0o640)
    with pytest.raises(UsageError):
        from_file(path)
