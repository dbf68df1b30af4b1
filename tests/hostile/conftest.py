# SPDX-License-Identifier: Apache-2.0
"""The watch over every hostile test: what it may open, start and reach, and how much memory it may take.

A test fails when this process opens a file, starts a program or connects to anything outside what the fixtures made,
whatever the code under test did about it: a refusal that comes after the look is too late. The interpreter's own files
are allowed, and the tree that is tested. Programs that v2x starts see with their own eyes: what they are given has to
pass the gate first, and hostile files name a canary's file whose content must not come out (tests of qcow2 and vmdk).

Memory is bounded by RLIMIT_AS: 1 GiB, or half of that above what this process has already where that is more: a worker
that ran other tests before holds what they loaded.
"""

import os
import resource
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import platformdirs
import pytest

from v2x.model.units import GIB, MIB

TREE = Path(__file__).resolve().parents[2]
SAMPLES = Path(platformdirs.user_cache_dir("v2x-tests"))
"""Files of vendors that tests fetch once (tests/hyperv_samples.py)."""
_WATCHED = frozenset({"open", "os.listdir", "os.scandir", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"})
# What the interpreter, its libraries and pytest read on their own account.
_LIBRARIES = (
    *dict.fromkeys(sysconfig.get_paths().values()),
    sys.prefix, sys.base_prefix, "/usr/lib", "/usr/local/lib", "/usr/share/zoneinfo", "/lib",
    f"/etc/python3.{sys.version_info.minor}",
    "/etc/ssl", "/etc/localtime", "/etc/mime.types", "/etc/services", "/etc/protocols",
)  # fmt: skip
_DEVICES = frozenset({"/dev/null", "/dev/urandom", "/dev/random", "/etc/ld.so.cache", "/proc/stat"})
_PROGRAMS = frozenset({"setpriv", "qemu-img"})
"""How v2x starts all others (proc.py), and what fixtures make images with."""


class Watch:
    """The audit hook of this process, which cannot be taken off again: it is told when to look."""

    installed: ClassVar["Watch | None"] = None

    def __init__(self) -> None:
        self.on = False
        self.allowed: tuple[str, ...] = ()
        self.programs = _PROGRAMS
        self.seen: list[str] = []
        self._busy = threading.local()

    @classmethod
    def get(cls) -> "Watch":
        if cls.installed is None:
            cls.installed = Watch()
            sys.addaudithook(cls.installed.hook)
        return cls.installed

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or getattr(self._busy, "now", False):
            return
        if event not in _WATCHED and not event.startswith("socket."):
            return
        self._busy.now = True  # to look may raise events of its own
        try:
            problem = self._problem(event, arguments)
        finally:
            self._busy.now = False
        if problem:
            self.seen.append(problem)

    def _problem(self, event: str, arguments: tuple[Any, ...]) -> str:
        if event.startswith("socket."):
            return self._reached(event, arguments)
        if event in {"open", "os.listdir", "os.scandir"}:
            where = arguments[0]
            if where is None or isinstance(where, int):
                return ""
            return "" if self.may_open(os.fsdecode(where)) else f"{event} {os.fsdecode(where)!r}"
        program = Path(os.fsdecode(arguments[0] or "")).name if event != "os.system" else ""
        return "" if program in self.programs else f"{event} {arguments[:2]!r}"

    def allow(self, path: str) -> None:
        """A file or folder that a test gives to v2x as a person would."""
        self.allowed += (os.path.realpath(path),)

    def allow_program(self, path: str) -> None:
        """A program that a test itself starts."""
        self.programs = self.programs | {Path(path).name}

    def _reached(self, event: str, arguments: tuple[Any, ...]) -> str:
        """Only this machine is reached, by number or by a socket in the fixtures' folders; no name is looked up."""
        if event == "socket.getaddrinfo":
            return "" if str(arguments[0]) in {"127.0.0.1", "::1", "localhost", "None"} else f"{event} {arguments[0]!r}"
        if event not in {"socket.connect", "socket.sendto", "socket.gethostbyname"}:
            return ""
        address = arguments[1] if event != "socket.gethostbyname" else arguments[0]
        if isinstance(address, tuple) and address[0] in {"127.0.0.1", "::1"}:
            return ""
        if isinstance(address, str | bytes) and self.may_open(os.fsdecode(address)):
            return ""
        return f"{event} {address!r}"

    def may_open(self, path: str) -> bool:
        """A name without a folder is one that is opened beside a folder held open: the code under test keeps to those
        by O_NOFOLLOW, and a name with a way in it is looked at as the kernel would go it."""
        if path in _DEVICES or path.startswith(("/proc/self/", f"/proc/{os.getpid()}/")):
            return True
        if os.sep not in path and path not in {"..", "."}:
            return True
        real = os.path.realpath(path)
        return any(real == one or real.startswith(one.rstrip("/") + "/") for one in self.allowed)


def address_space_bytes() -> int:
    """What this process has of it now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


@pytest.fixture(scope="session")
def own_temporary() -> Iterator[Path]:
    """Where temporary files of these tests are made: a short path, since sockets are among them."""
    with tempfile.TemporaryDirectory(prefix="v2x-h-") as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def watched(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    own_temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Watch]:
    """Fails the test for whatever it looked at outside."""
    watch = Watch.get()
    monkeypatch.setattr(tempfile, "tempdir", str(own_temporary))
    folders = (
        TREE, request.path, tmp_path_factory.getbasetemp(), own_temporary, SAMPLES,
        Path(sys.executable).parent, *_LIBRARIES,
    )  # fmt: skip
    watch.allowed = tuple({os.path.realpath(str(one)) for one in folders})
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = max(GIB, address_space_bytes() + 512 * MIB)
    watch.programs = _PROGRAMS
    watch.seen.clear()
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    watch.on = True
    try:
        yield watch
    finally:
        watch.on = False
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    if watch.seen:
        pytest.fail("looked outside of the fixtures: " + "; ".join(dict.fromkeys(watch.seen)), pytrace=False)
