# SPDX-License-Identifier: Apache-2.0
"""Private folders that go with their program, or with the next one where it was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from v2x import scratch

ROOT = Path(__file__).parents[2]
HOLDS = """
import sys
from v2x.scratch import scratch_folder
with scratch_folder("overlay", sys.argv[1]) as folder:
    (folder / "0.qcow2").write_bytes(bytes(1000))
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A program that holds a folder in `tmp_path`, and that folder."""
    words = [sys.executable, "-c", HOLDS, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield running, Path(running.stdout.readline().strip())
    running.kill()
    running.communicate()


def test_a_folder_goes_with_its_block(tmp_path):
    with scratch.scratch_folder("run", tmp_path) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").touch()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_goes_with_a_program_that_ends(tmp_path, holder):
    running, folder = holder
    assert folder.is_dir()
    running.communicate()
    assert not folder.exists()


def test_what_a_killed_program_left_goes_with_the_next(tmp_path, holder):
    running, folder = holder
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert (folder / "0.qcow2").exists(), "nobody tidied up"
    with scratch.scratch_folder("run", tmp_path):
        assert not folder.exists()


def test_what_a_living_program_holds_stays(tmp_path, holder):
    _, folder = holder
    with scratch.scratch_folder("run", tmp_path) as mine:
        assert scratch.sweep(tmp_path) == 0
        assert (folder / "0.qcow2").exists() and mine.exists()


def test_what_is_not_a_folder_of_ours_stays(tmp_path, monkeypatch):
    name = scratch._prefix("overlay-") + "x"
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    link = tmp_path / name
    link.symlink_to(other)
    kept = [link]
    for number, mode in enumerate((0o755, 0o770)):
        open_to_others = tmp_path / f"{name}{number}"
        open_to_others.mkdir()
        open_to_others.chmod(mode)
        kept.append(open_to_others)
    file = tmp_path / f"{name}file"
    file.touch()
    elsewhere = tmp_path / "v2x-00000000-overlay-y"  # of another machine that shares the file system
    elsewhere.mkdir(mode=0o700)
    assert scratch.sweep(tmp_path) == 0
    assert all(one.exists() for one in (*kept, file, elsewhere, other))
    ours = tmp_path / f"{name}ours"
    ours.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert scratch.sweep(tmp_path) == 0 and ours.exists(), "another user's"
    monkeypatch.undo()
    assert scratch.sweep(tmp_path) == 1 and not ours.exists()


def test_many_at_once_never_lose_theirs(tmp_path):
    """Each sweeps while the others make and hold folders."""
    script = (
        "import sys\nfrom v2x import scratch\n"
        "for _ in range(200):\n"
        "    with scratch.scratch_folder('run', sys.argv[1]) as folder:\n"
        "        scratch._swept.clear()\n"
        "        (folder / 'x').touch()\n"
        "        assert (folder / 'x').exists()\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [one.communicate(timeout=60)[1] for one in running] == [""] * 4
    assert list(tmp_path.iterdir()) == []


def test_no_room_is_an_error_of_the_system(tmp_path):
    with pytest.raises(OSError, match="missing"), scratch.scratch_folder("run", tmp_path / "missing"):
        pass
