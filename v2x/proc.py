# SPDX-License-Identifier: Apache-2.0
"""The single door to other programs: argv lists, never a shell; limits, a time-out and an end for every child.

A child runs as `setpriv --pdeathsig KILL -- prlimit … -- TOOL …` (both of util-linux). Each of them replaces itself by
the next, so that the limits and the death signal are in force before the tool's first instruction, and no Python code
runs between fork and exec, which would be unsafe beside threads. The kernel ties the death signal to the *thread* that
forked, hence all children are started by one thread that lives as long as the process.
"""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from v2x.causes import said_by
from v2x.errors import UsageError, V2xError
from v2x.scratch import scratch_folder
from v2x.text import printable

_PACKAGES = {
    "mke2fs": "e2fsprogs",
    "nbdkit": "nbdkit",
    "prlimit": "util-linux",
    "qemu-img": "qemu-utils",
    "qemu-nbd": "qemu-utils",
    "setpriv": "util-linux",
}
_EXPLAINED = frozenset({"nbdkit", "qemu-img", "qemu-nbd"})
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CHUNK_BYTES = 64 * 1024
_GRACE_SECONDS = 1.0


class ToolFailed(V2xError):
    """A program ended with an error; the message carries the last thing it said."""

    code = "TOOL-FAILED"
    exit_code = 4


class ToolTimeout(ToolFailed):
    """A program took longer than it may and was ended."""

    code = "TOOL-TIMEOUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a child may use. None means no limit; core dumps are always off."""

    address_space_bytes: int | None = 1 << 30
    open_files: int | None = 256
    file_size_bytes: int | None = None
    cpu_seconds: int | None = None

    def argv(self) -> list[str]:
        chosen = {
            "as": self.address_space_bytes,
            "nofile": self.open_files,
            "fsize": self.file_size_bytes,
            "cpu": self.cpu_seconds,
        }
        return ["--core=0", *(f"--{name}={value}" for name, value in chosen.items() if value is not None)]


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended: `returncode` (negative: a signal), its output, its messages as printable lines."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: str


def find_tool(name: str) -> Path:
    """The absolute path of program `name`. UsageError MISSING-TOOL names the Debian package that brings it."""
    found = shutil.which(name, path=_search_path())
    if found is None:
        package = _PACKAGES.get(name)
        raise UsageError(
            f"the program {name} is not installed",
            code="MISSING-TOOL",
            hint=f"apt install {package}" if package else f"install {name} so that it is on PATH",
        )
    return Path(found)


def _search_path() -> str:
    # Relative entries would let a program lying in the current folder pass for a system tool.
    absolute = [entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry.startswith("/")]
    return os.pathsep.join(dict.fromkeys([*absolute, *_SYSTEM_PATH.split(os.pathsep)]))


def _command(argv: Sequence[str], limits: Limits) -> list[str]:
    tool = argv[0] if "/" in argv[0] else str(find_tool(argv[0]))
    guard = [str(find_tool("setpriv")), "--pdeathsig", "KILL", "--"]
    return [*guard, str(find_tool("prlimit")), *limits.argv(), "--", tool, *argv[1:]]


class _Spawner:
    """One daemon thread that starts every child of this process."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[tuple[Future[subprocess.Popen[bytes]], Callable[[], subprocess.Popen[bytes]]]]
        self._tasks = SimpleQueue()
        threading.Thread(target=self._serve, name="v2x-spawner", daemon=True).start()

    def _serve(self) -> None:
        while True:
            future, start = self._tasks.get()
            try:
                future.set_result(start())
            except BaseException as problem:
                future.set_exception(problem)

    def spawn(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        future: Future[subprocess.Popen[bytes]] = Future()
        self._tasks.put((future, start))
        try:
            return future.result()
        except BaseException:
            future.add_done_callback(lambda done: None if done.exception() else _end_group(done.result()))
            raise


_spawner: _Spawner | None = None
_spawner_lock = threading.Lock()


def _forget_spawner() -> None:
    global _spawner, _spawner_lock  # noqa: PLW0603 - threads do not survive a fork, and the lock may have been held
    _spawner = None
    _spawner_lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_spawner)


def _spawn(
    command: list[str],
    *,
    folder: str | Path,
    env: Mapping[str, str] | None,
    pass_fds: Sequence[int],
    stdin: int,
    stdout: int,
) -> "subprocess.Popen[bytes]":
    global _spawner  # noqa: PLW0603 - one per process by design
    with _spawner_lock:
        if _spawner is None:
            _spawner = _Spawner()
        spawner = _spawner
    scrubbed = {"PATH": _search_path(), "LANG": "C.UTF-8", "HOME": os.environ.get("HOME", "/")}
    # glibc reserves up to 128 MiB of addresses for each thread's memory, of which qemu-img starts dozens when disks are
    # slow: with as many arenas, a limit of addresses ends it (mallopt(3), M_ARENA_MAX).
    scrubbed["MALLOC_ARENA_MAX"] = "2"

    def begin() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            command,
            start_new_session=True,
            bufsize=0,
            cwd=folder,
            env={**scrubbed, **(env or {})},
            pass_fds=tuple(pass_fds),
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )

    try:
        return spawner.spawn(begin)
    except OSError as problem:
        raise ToolFailed(f"cannot start {Path(command[0]).name}: {problem.strerror}") from None


def _end_group(popen: "subprocess.Popen[bytes]") -> None:
    """Kills the child's whole group, then reaps it: while it is not reaped its number cannot belong to another."""
    if popen.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    input: bytes = b"",
    limits: Limits = DEFAULT_LIMITS,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    check: bool = True,
    stdout_limit: int = 16 << 20,
    stderr_limit: int = 64 << 10,
    on_output: Callable[[bytes], None] | None = None,
) -> Completed:
    """Runs `argv` to its end, in an empty folder unless `cwd` is given.

    `env` is added to PATH, LANG and HOME, which is all that a child sees. `on_output` takes stdout as it comes;
    otherwise up to `stdout_limit` bytes are kept, and more is an error. Of stderr the first `stderr_limit` bytes are
    kept. ToolTimeout after `timeout` seconds; ToolFailed for a status other than 0 when `check`.
    """
    command = _command(argv, limits)
    with contextlib.ExitStack() as stack:
        folder = cwd or stack.enter_context(scratch_folder("run"))
        stdin = subprocess.PIPE if input else subprocess.DEVNULL
        popen = _spawn(command, folder=folder, env=env, pass_fds=pass_fds, stdin=stdin, stdout=subprocess.PIPE)
        stack.enter_context(popen)
        stack.callback(_end_group, popen)
        exchange = _Exchange(
            popen=popen,
            name=Path(argv[0]).name,
            left=memoryview(input),
            stdout_limit=stdout_limit,
            stderr_limit=stderr_limit,
            on_output=on_output,
        )
        exchange.pump(timeout)
        _end_group(popen)
    said = _printable_lines(bytes(exchange.stderr))
    completed = Completed(tuple(argv), popen.returncode, bytes(exchange.stdout), said)
    if check and completed.returncode != 0:
        raise failure(completed)
    return completed


@dataclass(slots=True, kw_only=True)
class _Exchange:
    """Moves bytes between a child and its pipes until it ends; `left` is what it has yet to read."""

    popen: "subprocess.Popen[bytes]"
    name: str
    left: memoryview
    stdout_limit: int
    stderr_limit: int
    on_output: Callable[[bytes], None] | None
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    deadline: float = 0.0
    ended: bool = False

    def pump(self, timeout: float) -> None:
        self.deadline = time.monotonic() + timeout
        readers = [(self.popen.stdout, self._read_stdout), (self.popen.stderr, self._read_stderr)]
        exited = os.pidfd_open(self.popen.pid)
        with contextlib.closing(selectors.DefaultSelector()) as selector:
            try:
                selector.register(exited, selectors.EVENT_READ, self._on_exit)
                if self.popen.stdin is not None:
                    os.set_blocking(self.popen.stdin.fileno(), False)
                    selector.register(self.popen.stdin, selectors.EVENT_WRITE, self._write_stdin)
                for pipe, handler in readers:
                    if pipe is not None:
                        selector.register(pipe, selectors.EVENT_READ, handler)
                self._serve(selector, timeout)
            finally:
                os.close(exited)

    def _serve(self, selector: selectors.BaseSelector, timeout: float) -> None:
        while selector.get_map():
            for key, _ in selector.select(max(0.0, self.deadline - time.monotonic())):
                if not key.data(key.fd):
                    selector.unregister(key.fileobj)
                    if key.fileobj is self.popen.stdin:
                        self.popen.stdin.close()
            if time.monotonic() >= self.deadline and selector.get_map():
                if self.ended:
                    return  # a grandchild holds the pipes open; it is ended with the group
                raise ToolTimeout(f"{self.name} did not finish within {timeout:g} seconds and was ended")

    def _on_exit(self, _: int) -> bool:
        self.ended = True
        self.deadline = min(self.deadline, time.monotonic() + _GRACE_SECONDS)
        return False

    def _read_stdout(self, fd: int) -> bool:
        chunk = os.read(fd, _CHUNK_BYTES)
        if self.on_output is not None:
            if chunk:
                self.on_output(chunk)
        else:
            self.stdout += chunk
            if len(self.stdout) > self.stdout_limit:
                raise ToolFailed(f"{self.name} printed more than {self.stdout_limit:,} bytes and was ended")
        return bool(chunk)

    def _read_stderr(self, fd: int) -> bool:
        chunk = os.read(fd, _CHUNK_BYTES)
        self.stderr += chunk[: self.stderr_limit - len(self.stderr)]
        return bool(chunk)

    def _write_stdin(self, fd: int) -> bool:
        try:
            self.left = self.left[os.write(fd, self.left[:_CHUNK_BYTES]) :]
        except BrokenPipeError:
            self.left = self.left[:0]
        return bool(self.left)


def _printable_lines(raw: bytes) -> str:
    return "\n".join(printable(line) for line in raw.decode("utf-8", "backslashreplace").splitlines())


def failure(completed: Completed) -> ToolFailed:
    """The error for a program that ended badly, with its last words or the signal that ended it."""
    name = Path(completed.argv[0]).name
    lines = [line for line in completed.stderr.splitlines() if line.strip()]
    said = f": {lines[-1]}" if lines else ""
    code = completed.returncode
    if code >= 0:
        found = said_by(completed.stderr) if name in _EXPLAINED else None
        return ToolFailed(f"{name} failed with status {code}{said}", hint=found.do if found else "")
    causes = {
        int(signal.SIGXCPU): "it used too much processor time",
        int(signal.SIGXFSZ): "it wrote too much to a file",
    }
    known = {int(one): one.name for one in signal.Signals}
    cause = causes.get(-code, f"signal {known.get(-code, -code)}")
    return ToolFailed(f"{name} was ended: {cause}{said}")


class Child:
    """A long-lived program, started by `start`."""

    def __init__(self, popen: "subprocess.Popen[bytes]", name: str, stderr_limit: int) -> None:
        self.name = name
        self._popen = popen
        self._stderr = bytearray()
        self._drain = threading.Thread(target=self._read_stderr, args=(stderr_limit,), daemon=True)
        self._drain.start()

    def _read_stderr(self, limit: int) -> None:
        pipe = self._popen.stderr
        while pipe is not None and (chunk := pipe.read(_CHUNK_BYTES)):
            self._stderr = (self._stderr + chunk)[-limit:]

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        # WNOWAIT leaves the child unreaped, so that its group can still be addressed safely.
        return (
            self._popen.returncode is None
            and os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        )

    @property
    def stderr(self) -> str:
        """The last of what it said so far, as printable lines."""
        if not self.running:
            self._drain.join(_GRACE_SECONDS)
        return _printable_lines(bytes(self._stderr))

    def ends_within(self, seconds: float) -> bool:
        """Waits up to `seconds` for its end; whether it has ended."""
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self.running

    def stop(self, grace: float = _GRACE_SECONDS) -> None:
        """Asks it to end, and after `grace` seconds ends its whole group. Safe to call twice."""
        if self._popen.returncode is None:
            self._popen.terminate()
            self.ends_within(grace)
            _end_group(self._popen)
        self._drain.join(_GRACE_SECONDS)
        if self._popen.stderr is not None and not self._drain.is_alive():
            self._popen.stderr.close()


@contextlib.contextmanager
def start(
    argv: Sequence[str],
    *,
    limits: Limits = DEFAULT_LIMITS,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    stderr_limit: int = 64 << 10,
) -> Iterator[Child]:
    """A program that runs while the block does: no stdin, stdout dropped, its group ended on leaving."""
    command, null = _command(argv, limits), subprocess.DEVNULL
    with contextlib.ExitStack() as stack:
        folder = cwd or stack.enter_context(scratch_folder("run"))
        popen = _spawn(command, folder=folder, env=env, pass_fds=pass_fds, stdin=null, stdout=null)
        child = Child(popen, Path(argv[0]).name, stderr_limit)
        stack.callback(child.stop)
        yield child
