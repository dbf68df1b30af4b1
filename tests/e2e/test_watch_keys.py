# SPDX-License-Identifier: Apache-2.0
"""`v2x batch watch` in a terminal of 80×24: its keys pause, resume, throttle and cancel, and leave the batch alone."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from v2x.engine.batches import State
from v2x.engine.control import Control
from v2x.engine.crew import actor

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("engine_kit", ROOT / "tests/unit/engine/conftest.py")
kit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kit)


@pytest.fixture
def batch(tmp_path):
    """Forty machines that wait; no worker runs."""
    estate = kit.Estate(tmp_path)
    store = estate.store()
    estate.submit(store, [estate.order(number) for number in range(40)])
    yield tmp_path / "state", store
    store.close()


def environment(tmp_path, **more):
    return {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "TERM": "xterm", **more}


@pytest.fixture
def screen(batch, tmp_path):
    opened = []

    def open_it(**more):
        child = pexpect.spawn(
            sys.executable, ["-m", "v2x", "batch", "watch", "--state", str(batch[0]), "--every", "0.3"],
            env=environment(tmp_path, **more), encoding="utf-8", timeout=60, dimensions=(24, 80),
        )  # fmt: skip
        opened.append(child)
        return child

    yield open_it
    for child in opened:
        child.close(force=True)


def control(store):
    return Control(store, actor(""), lambda: kit.NOW)


def test_keys_steer_the_batch_and_q_leaves_it(batch, screen):
    _, store = batch
    steering = control(store)
    found = steering.batch("")
    child = screen(NO_COLOR="1")
    child.expect(r"Batch b1: not running")
    child.expect("… and .* machines more: .* waiting")
    child.expect("p pause  r resume  t throttle  c cancel  q leave")
    child.send("p")
    child.expect("paused: what runs comes to a mark and stops")
    assert steering.status(found).paused
    child.send("r")
    child.expect("no worker runs: v2x batch resume b1")
    assert not steering.status(found).paused

    child.send("t")
    child.expect("bytes per second for all batches")
    child.send("much\r")
    child.expect(r"\[USAGE\]")
    child.send("t")
    child.expect("bytes per second for all batches")
    child.send("60M\x7f\x7f0M\r")
    child.expect("limit: rate = 62914560")
    child.expect(r"limited to 60 MiB/s")
    assert steering.limits()["rate"] == "62914560"

    child.send("q")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert {row.state for row in steering.status(found).rows} == {State.WAITING}, "whoever leaves changes nothing"


def test_a_machine_is_cancelled_only_after_a_whole_yes(batch, screen):
    _, store = batch
    steering = control(store)
    found = steering.batch("")
    child = screen()
    child.expect("q leave")
    for answer, told in (("nobody", "nobody"), ("", "nothing was cancelled")):
        child.send("c")
        child.expect("cancel which machine")
        child.send(answer + "\r")
        child.expect(told)
    child.send("c")
    child.expect("cancel which machine")
    child.send("web3\r")
    child.expect("discard what it has on the target")
    child.send("y\r")
    child.expect("nothing was cancelled")
    assert {row.state for row in steering.status(found).rows} == {State.WAITING}
    child.send("c")
    child.expect("cancel which machine")
    child.send("web3\r")
    child.expect("cancel web3 and discard")
    child.send("yes\r")
    child.expect("1 machine cancelled")
    assert [row.migration.machine_name for row in steering.status(found).rows if row.state == State.ENDED] == ["web3"]
    child.send("c")
    child.expect("cancel which machine")
    child.send("all\r")
    child.expect("cancel every machine")
    child.send("yes\r")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, "all have ended, so the watch has too"
    assert {row.state for row in steering.status(found).rows} == {State.ENDED}


def test_the_terminal_is_as_it_was_and_the_last_state_stays_on_it(batch, screen):
    child = screen()
    child.expect("q leave")
    child.send("q")
    child.expect(pexpect.EOF)
    text = child.before
    back = text.index("\x1b[?1049l")
    assert "Batch b1: not running" in text[back:], "what was there last is left to be read"


def test_ctrl_c_ends_it_and_gives_the_terminal_back(batch, screen):
    child = screen()
    child.expect("q leave")
    child.sendintr()
    child.expect(re.escape("\x1b[?1049l"))
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


def test_into_a_pipe_it_is_one_look_after_another_without_keys(batch, tmp_path):
    _, store = batch
    steering = control(store)
    found = steering.batch("")
    steering.cancel(found, [row.migration.id for row in steering.status(found).rows])
    ran = subprocess.run(
        [sys.executable, "-m", "v2x", "batch", "watch", "--state", batch[0]], env=environment(tmp_path),
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "Batch b1: ended" in ran.stdout and "q leave" not in ran.stdout and "\x1b" not in ran.stdout
