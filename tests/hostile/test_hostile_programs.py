# SPDX-License-Identifier: Apache-2.0
"""Outside programs that were taken over or run away: row 10 of the threat table."""

import os
import time
from pathlib import Path

import pytest

from tests.hostile.conftest import Watch
from v2x import proc
from v2x.proc import Limits, ToolFailed, ToolTimeout


@pytest.fixture(autouse=True)
def sees_processes(watched: Watch) -> None:
    watched.allow("/proc")


def alive(folder: Path) -> list[str]:
    """The processes that work in `folder` or below it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if str(path.readlink()).startswith(str(folder)):
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def gone(folder: Path) -> bool:
    deadline = time.monotonic() + 10
    while alive(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(folder)


def test_one_that_sleeps_for_ever(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ToolTimeout):
        proc.run(["sleep", "1000"], timeout=0.3, cwd=tmp_path)
    assert time.monotonic() - began < 10
    assert gone(tmp_path)


def test_one_that_multiplies(tmp_path: Path) -> None:
    """128 processes, each of which ignores what it is asked kindly."""
    (tmp_path / "bomb").write_text(
        "trap '' TERM HUP INT\n[ $1 -gt 0 ] && { sh ./bomb $(($1 - 1)) & sh ./bomb $(($1 - 1)) & }\nsleep 1000\n"
    )
    with pytest.raises(ToolTimeout):
        proc.run(["sh", "./bomb", "6"], timeout=1.5, cwd=tmp_path)
    assert gone(tmp_path)


@pytest.mark.parametrize("where", ["1>&2", ""])
def test_one_that_talks_without_end(tmp_path: Path, where: str) -> None:
    """A gigabyte of it takes no memory here: the end of stderr is dropped, too much of stdout is an error."""
    begun = _resident_bytes()
    argv = ["sh", "-c", f"head -c 1073741824 /dev/zero {where}"]
    if where:
        done = proc.run(argv, timeout=120, cwd=tmp_path)
        assert len(done.stderr) < 1 << 20
    else:
        with pytest.raises(ToolFailed, match="printed more than"):
            proc.run(argv, timeout=120, cwd=tmp_path)
    assert _resident_bytes() - begun < 64 << 20
    assert gone(tmp_path)


def test_one_that_wants_memory_processor_and_disk(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed):
        proc.run(["sh", "-c", "dd if=/dev/zero of=/dev/null bs=2G count=1 2>&1"], timeout=30, cwd=tmp_path)
    with pytest.raises(ToolFailed):
        proc.run(["sh", "-c", "while :; do :; done"], timeout=60, limits=Limits(cpu_seconds=1), cwd=tmp_path)
    with pytest.raises(ToolFailed):
        limits = Limits(file_size_bytes=1 << 20)
        proc.run(["sh", "-c", "head -c 2097152 /dev/zero > x"], timeout=30, limits=limits, cwd=tmp_path)
    assert (tmp_path / "x").stat().st_size <= 1 << 20


def test_what_it_says_is_shown_as_text() -> None:
    with pytest.raises(ToolFailed) as caught:
        proc.run(["sh", "-c", r"printf 'bad \033]0;owned\007 \202\033[2J image' >&2; exit 1"], timeout=30)
    assert all(letter.isprintable() for letter in caught.value.message)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
