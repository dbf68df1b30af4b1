# SPDX-License-Identifier: Apache-2.0
"""The single door to other programs, tried with real ones."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from v2x import proc
from v2x.errors import UsageError

PYTHON = sys.executable


def python(code: str, **options: object) -> proc.Completed:
    options.setdefault("timeout", 20)
    return proc.run([PYTHON, "-I", "-S", "-c", code], **options)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in {"Z", "X"}


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_output_and_messages_are_captured() -> None:
    done = python("import sys; print('out'); print('err', file=sys.stderr)")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"out\n", "err")


def test_input_larger_than_a_pipe_reaches_the_child() -> None:
    data = os.urandom(1 << 20)
    done = python("import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())", input=data)
    assert done.stdout == data


def test_a_child_that_ignores_its_input_is_no_error() -> None:
    assert python("pass", input=b"x" * (1 << 20)).returncode == 0


def test_only_path_lang_and_home_are_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V2X_PASSWORD", "hunter2")
    monkeypatch.setenv("LD_PRELOAD", "")
    seen = json.loads(python("import os, json; print(json.dumps(dict(os.environ)))", env={"EXTRA": "1"}).stdout)
    seen.pop("LC_CTYPE", None)  # set by the child's own interpreter
    assert set(seen) == {"PATH", "LANG", "HOME", "MALLOC_ARENA_MAX", "EXTRA"}
    assert seen["LANG"] == "C.UTF-8"


def test_relative_path_entries_are_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "v2x-no-such-tool"
    fake.write_text("#!/bin/sh\n")
    fake.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ".::/usr/bin")
    with pytest.raises(UsageError, match="v2x-no-such-tool"):
        proc.find_tool("v2x-no-such-tool")


def test_a_missing_tool_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc.shutil, "which", lambda *_, **__: None)
    with pytest.raises(UsageError) as caught:
        proc.find_tool("qemu-img")
    assert caught.value.code == "MISSING-TOOL"
    assert "qemu-utils" in caught.value.hint


def test_the_folder_is_empty_and_goes_away() -> None:
    where, names = json.loads(python("import os, json; print(json.dumps([os.getcwd(), os.listdir()]))").stdout)
    assert names == []
    assert not Path(where).exists()
    assert Path(where) != Path.cwd()


def test_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen(['sleep', '60']); open({str(note)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    begun = time.monotonic()
    with pytest.raises(proc.ToolTimeout, match="did not finish within 1 seconds"):
        python(code, timeout=1)
    assert time.monotonic() - begun < 10
    assert gone_within(int(note.read_text()), 5)


def test_a_grandchild_that_keeps_the_pipes_does_not_hang_the_caller(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import subprocess\n"
        f"child = subprocess.Popen(['sleep', '60']); open({str(note)!r}, 'w').write(str(child.pid)); print('done')"
    )
    begun = time.monotonic()
    assert python(code, timeout=30).stdout == b"done\n"
    assert time.monotonic() - begun < 10
    assert gone_within(int(note.read_text()), 5)


def test_limits_hold_from_the_first_instruction() -> None:
    limits = proc.Limits(address_space_bytes=256 << 20, open_files=32, file_size_bytes=1 << 20, cpu_seconds=7)
    code = (
        "import json, resource as r\n"
        "print(json.dumps([r.getrlimit(k) for k in "
        "(r.RLIMIT_AS, r.RLIMIT_NOFILE, r.RLIMIT_FSIZE, r.RLIMIT_CPU, r.RLIMIT_CORE)]))"
    )
    seen = json.loads(python(code, limits=limits).stdout)
    assert seen == [[256 << 20] * 2, [32, 32], [1 << 20] * 2, [7, 7], [0, 0]]


def test_address_space_limit_works() -> None:
    code = "bytearray(512 << 20)"
    assert python(code).returncode == 0
    with pytest.raises(proc.ToolFailed, match="MemoryError"):
        python(code, limits=proc.Limits(address_space_bytes=256 << 20))


def test_file_size_limit_is_explained() -> None:
    code = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); open('f', 'wb').write(bytes(4096))"
    with pytest.raises(proc.ToolFailed, match="wrote too much"):
        python(code, limits=proc.Limits(file_size_bytes=1024))


def test_endless_stdout_is_ended() -> None:
    with pytest.raises(proc.ToolFailed, match="printed more than 100,000 bytes"):
        python("import os\nwhile True: os.write(1, bytes(65536))", stdout_limit=100_000)


def test_a_flood_of_messages_is_drained_and_capped() -> None:
    done = python("import os\nfor _ in range(200): os.write(2, b'e' * 65536)", stderr_limit=1000)
    assert done.returncode == 0
    assert len(done.stderr) <= 1000


@pytest.mark.parametrize("descriptor", [1, 2])
def test_an_endless_talker_meets_its_timeout(descriptor: int) -> None:
    begun = time.monotonic()
    with pytest.raises(proc.ToolTimeout):
        python(f"import os\nwhile True: os.write({descriptor}, bytes(65536))", timeout=0.5, on_output=lambda _: None)
    assert time.monotonic() - begun < 10


def test_messages_cannot_carry_terminal_escapes() -> None:
    done = python(r"import os; os.write(2, b'\x1b]0;owned\x07\xff\xe2\x80\xae\nsecond')")
    assert done.stderr.splitlines() == [r"\x1b]0;owned\x07\xff\u202e", "second"]


def test_failure_carries_status_and_last_words() -> None:
    with pytest.raises(proc.ToolFailed, match="failed with status 3: the reason"):
        python("import sys; print('noise', file=sys.stderr); print('the reason', file=sys.stderr); sys.exit(3)")
    assert python("raise SystemExit(3)", check=False).returncode == 3


def test_failure_names_the_signal() -> None:
    with pytest.raises(proc.ToolFailed, match="SIGTERM"):
        python("import os, signal; os.kill(os.getpid(), signal.SIGTERM)")


def test_output_is_delivered_while_running() -> None:
    seen: list[tuple[float, bytes]] = []
    python(
        "import os, time; os.write(1, b'a'); time.sleep(0.4); os.write(1, b'b')",
        on_output=lambda chunk: seen.append((time.monotonic(), chunk)),
    )
    assert b"".join(chunk for _, chunk in seen) == b"ab"
    assert seen[-1][0] - seen[0][0] > 0.2


def test_passed_descriptors_reach_the_tool(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"through a descriptor")
    with open(tmp_path / "f", "rb") as held:
        done = proc.run(["cat", f"/proc/self/fd/{held.fileno()}"], timeout=10, pass_fds=[held.fileno()])
    assert done.stdout == b"through a descriptor"


def test_arguments_are_never_parsed_by_a_shell() -> None:
    hostile = "$(touch /tmp/x); `id` | 'q' \"d\" *"
    assert proc.run(["printf", "%s", hostile], timeout=10).stdout == hostile.encode()


def test_start_ends_its_child_on_leaving() -> None:
    with proc.start(["sleep", "60"]) as child:
        assert child.running
        pid = child.pid
    assert gone_within(pid, 5)


def test_start_survives_the_end_of_the_thread_that_called_it() -> None:
    held = []

    def begin() -> None:
        context = proc.start(["sleep", "60"])
        held.append((context, context.__enter__()))

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    context, child = held[0]
    time.sleep(0.2)
    assert child.running
    context.__exit__(None, None, None)
    assert not alive(child.pid)


def test_start_tells_what_an_early_ender_said() -> None:
    with proc.start([PYTHON, "-S", "-c", "import sys; sys.exit('no such thing')"]) as child:
        deadline = time.monotonic() + 10
        while child.running and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not child.running
        assert child.stderr == "no such thing"


def test_a_child_that_ignores_sigterm_is_ended() -> None:
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        " print('x', file=sys.stderr, flush=True); time.sleep(60)"
    )
    with proc.start([PYTHON, "-S", "-c", code]) as child:
        deadline = time.monotonic() + 10
        while not child.stderr and time.monotonic() < deadline:
            time.sleep(0.01)
        child.stop(grace=0.2)
        child.stop()
        assert not alive(child.pid)


@pytest.mark.parametrize("how", ["run", "start"])
def test_children_die_with_a_killed_parent(how: str, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    tool = [PYTHON, "-S", "-c", f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"]
    body = (
        f"proc.run({tool!r}, timeout=60)"
        if how == "run"
        else f"c = proc.start({tool!r}); c.__enter__(); time.sleep(60)"
    )
    parent = subprocess.Popen([PYTHON, "-c", f"import time; from v2x import proc; {body}"])
    try:
        deadline = time.monotonic() + 20
        while not (note.exists() and note.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child = int(note.read_text())
        assert alive(child)
        parent.send_signal(signal.SIGKILL)
        assert gone_within(child, 5)
    finally:
        parent.kill()
        parent.wait()


def test_starting_works_after_a_fork() -> None:
    proc.run(["true"], timeout=10)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = proc.run(["true"], timeout=10).returncode
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
