# SPDX-License-Identifier: Apache-2.0
"""A guest inside disks, mounted by libguestfs in a process of its own: a small virtual machine, not this one's kernel.

A hostile file system can at most break that machine. libguestfs and its Python bindings are LGPL; they are not
imported here, but by a program that the system's Python runs and that is asked over a private socket.
"""

import base64
import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from v2x import proc
from v2x.disks.unix_socket import socket_folder
from v2x.errors import InputRefused, Stopped, TargetError, UsageError
from v2x.scratch import scratch_folder
from v2x.secrets import Secret
from v2x.text import printable

PYTHON = "/usr/bin/python3"
"""The one that Debian's python3-guestfs is for, whatever Python v2x itself runs under."""

_WORKER = Path(__file__).with_name("guestfs_worker.py")
_START_SECONDS = 30.0
_LOOK_SECONDS = 0.2
_POLL_SECONDS = 0.5
_END_SECONDS = 5.0
# Without KVM, the appliance takes from half a minute to some minutes to start.
_LAUNCH_SECONDS = 900.0
_ANSWER_SECONDS = 900.0
# An initial RAM disk with all drivers is some minutes of work for an emulated processor, and several times that where
# the machine has more to do.
_PROGRAM_SECONDS = 3600.0
_LONGEST_ANSWER_BYTES = 64 << 20
_EMULATED = "force_tcg"
_SETTINGS = (
    "LIBGUESTFS_BACKEND",
    "LIBGUESTFS_BACKEND_SETTINGS",
    "LIBGUESTFS_CACHEDIR",
    "LIBGUESTFS_MEMSIZE",
    "LIBGUESTFS_PATH",
)
_CACHE = "/var/tmp"  # noqa: S108 - libguestfs makes a 0700 folder in it, and refuses one not its user's  # nosec B108
"""Where libguestfs keeps its virtual machine's disk, built once: in a folder of the run it would be built each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestDisk:
    """A disk of the guest: an NBD export that is only read, or a QCOW2 overlay over one."""

    socket: Path | None = None
    overlay: Path | None = None

    @property
    def described(self) -> dict[str, str]:
        if self.overlay is not None:
            return {"overlay": str(self.overlay)}
        return {"socket": str(self.socket)}


@dataclass(slots=True)
class MountedGuest:
    """A guest's files and programs. `systems` is how many operating systems its disks hold; the first is mounted
    at its `mounted` points, but not at the `unmounted` ones.

    `stable_names` leads from each device, under every name that a guest may have for it, to `UUID=…`. `ntfs` says that
    its root is one, `unclean` that this may not be written to; `kinds` are of those devices that nothing is found in as
    they are (crypto_LUKS, BitLocker, zfs_member), `dynamic` Windows's dynamic disks; `locked` and `unlocked` are
    volumes of LUKS, by whether a key opened them.
    """

    _connection: socket.socket
    _child: proc.Child
    systems: int = 0
    mounted: tuple[str, ...] = ()
    unmounted: tuple[str, ...] = ()
    stable_names: dict[str, str] = field(default_factory=dict)
    _stopping: Callable[[], bool] = lambda: False
    ntfs: bool = False
    unclean: bool = False
    kinds: dict[str, str] = field(default_factory=dict)
    dynamic: tuple[str, ...] = ()
    readonly: bool = True
    locked: tuple[str, ...] = ()
    unlocked: tuple[str, ...] = ()
    _rest: bytearray = field(default_factory=bytearray)

    def exists(self, path: str) -> bool:
        return bool(self._ask("exists", path=path))

    def read(self, path: str) -> bytes:
        return base64.b64decode(self._ask("read", path=path))

    def listdir(self, path: str) -> list[str]:
        return [str(name) for name in self._ask("listdir", path=path)]

    def link_of(self, path: str) -> str | None:
        found = self._ask("link_of", path=path)
        return None if found is None else str(found)

    def write(self, path: str, data: bytes, mode: int) -> None:
        self._ask("write", path=path, data=base64.b64encode(data).decode(), mode=mode)

    def symlink(self, path: str, to: str) -> None:
        self._ask("symlink", path=path, to=to)

    def copy(self, path: str, to: str) -> None:
        self._ask("copy", path=path, to=to)

    def upload(self, source: Path, to: str) -> None:
        self._ask("upload", source=str(source.absolute()), to=to)

    def size_bytes(self, path: str) -> int:
        return int(self._ask("size", path=path))

    def free_bytes(self, path: str) -> tuple[str, int]:
        within = [point for point in self.mounted if f"{path}/".startswith(f"{point.rstrip('/')}/")]
        point = max(within, key=len)
        return point, int(self._ask("free", path=point))

    def remove(self, path: str) -> None:
        self._ask("remove", path=path)

    def run(self, argv: tuple[str, ...]) -> str:
        """Runs a program of the guest in it, without network. ToolFailed with what it said if it fails."""
        try:
            return str(self._exchange({"ask": "run", "argv": list(argv)}, _PROGRAM_SECONDS))
        except TargetError as problem:
            raise proc.ToolFailed(f"{argv[0]} in the guest failed: {problem.message}") from None

    def head(self, path: str, count: int) -> bytes:
        """The first bytes of a file, whatever its size."""
        return base64.b64decode(self._ask("part", path=path, offset=0, count=count))

    def device(self, device: str, offset: int, count: int) -> bytes:
        """Bytes of a device that libguestfs named."""
        return base64.b64decode(self._ask("part", device=device, offset=offset, count=count))

    def write_device(self, device: str, offset: int, data: bytes) -> None:
        """Of a disk that is only read, the appliance has an overlay of its own, which goes with it."""
        self._ask("write_part", device=device, offset=offset, data=base64.b64encode(data).decode())

    def digest(self, path: str) -> str:
        """A file's SHA-256, in hexadecimal."""
        return str(self._ask("digest", path=path))

    def write_private(self, path: str, data: bytes) -> None:
        self._ask("lay", path=path, data=base64.b64encode(data).decode())

    def add_private(self, source: Path, to: str) -> None:
        self._ask("lay", path=to, source=str(source.absolute()))

    def subkeys(self, hive: str, key: str) -> list[str]:
        return [str(name) for name in self._ask("subkeys", hive=hive, key=key)]

    def values(self, hive: str, key: str) -> list[list[Any]] | None:
        """Name, type and base64 of each value; `hive` is its file."""
        found: list[list[Any]] | None = self._ask("values", hive=hive, key=key)
        return found

    def value(self, hive: str, key: str, name: str) -> list[Any] | None:
        found: list[Any] | None = self._ask("value", hive=hive, key=key, name=name)
        return found

    def change_hive(self, hive: str, edits: list[dict[str, Any]]) -> None:
        self._ask("change_hive", hive=hive, edits=edits)

    def unlock(self, device: str, key: Secret) -> None:
        """Opens an encrypted volume and mounts the guest that is found then. TargetError if the key is not its own."""
        self._found(self._ask("unlock", device=device, key=key.reveal(), readonly=self.readonly))

    def clean_hibernation(self) -> None:
        """Removes the hibernated state, for good."""
        self.unclean = bool(self._ask("clean_hibernation")["unclean"])

    def _found(self, found: dict[str, Any]) -> None:
        self.systems = int(found["systems"])
        self.mounted, self.unmounted = tuple(found["mounted"]), tuple(found["unmounted"])
        self.stable_names = names_of(found["identities"])
        self.ntfs, self.unclean = bool(found.get("ntfs")), bool(found.get("unclean"))
        self.kinds, self.dynamic = dict(found.get("kinds", {})), tuple(found.get("dynamic", ()))
        # A volume that is opened later is BitLocker's, and tells nothing of those of LUKS.
        self.locked, self.unlocked = (
            tuple(found.get("locked", self.locked)),
            tuple(found.get("unlocked", self.unlocked)),
        )

    def _ask(self, what: str, /, **details: Any) -> Any:
        return self._exchange({"ask": what, **details}, _ANSWER_SECONDS)

    def _exchange(self, request: dict[str, Any], seconds: float) -> Any:
        try:
            self._connection.settimeout(seconds)
            with contextlib.suppress(BrokenPipeError):  # it may have said why before it ended
                self._connection.sendall((json.dumps(request) + "\n").encode())
            answer = json.loads(self._line(time.monotonic() + seconds))
        except TimeoutError:
            raise TargetError(f"libguestfs has not answered for {seconds:g} seconds") from None
        except (OSError, ValueError, EOFError):
            self._child.ends_within(_END_SECONDS)  # its last words come after its connection's end
            said = [line for line in self._child.stderr.splitlines() if line.strip()]
            raise TargetError(f"libguestfs ended: {said[-1] if said else 'it said nothing'}") from None
        if "missing" in answer:
            raise missing(answer["missing"])
        if "unlaunched" in answer:
            raise _Unlaunched(f"libguestfs cannot start: {printable(answer['unlaunched'], 1000)}")
        if "refused" in answer:
            raise InputRefused(printable(answer["refused"]))
        if "failed" in answer:
            raise TargetError(f"libguestfs: {printable(answer['failed'], 1000)}")
        return answer["is"]

    def _line(self, deadline: float) -> bytes:
        """The next line. Stopped, and the virtual machine ends with the caller's block, when that is wanted."""
        while b"\n" not in self._rest:
            self._connection.settimeout(max(0.001, min(_POLL_SECONDS, deadline - time.monotonic())))
            try:
                part = self._connection.recv(1 << 16)
            except TimeoutError:
                if self._stopping():
                    raise Stopped(
                        "stopped while the guest was converted", hint="run the same command again; it continues"
                    ) from None
                if time.monotonic() > deadline:
                    raise
                continue
            if not part or len(self._rest) > _LONGEST_ANSWER_BYTES:
                raise EOFError
            self._rest += part
        line, _, rest = bytes(self._rest).partition(b"\n")
        self._rest = bytearray(rest)
        return line


class _Unlaunched(TargetError):
    """The virtual machine did not start; the guest's disks have not been looked at."""


@contextlib.contextmanager
def mounted(
    disks: Sequence[GuestDisk],
    *,
    readonly: bool,
    keys: Sequence[Secret] = (),
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[MountedGuest]:
    """The guest in `disks`, which are in the order of the machine's hardware. What was written is on disk at the end.

    Each of `keys` is tried on all that is encrypted with LUKS; they go over the private socket.
    Where KVM is there but does not work, as in some virtual machines, it is started again without it. UsageError
    MISSING-TOOL without libguestfs; TargetError if it cannot start, or cannot mount the guest; Stopped as soon as
    `stopping()` says so.
    """
    opening = {
        "disks": [disk.described for disk in disks],
        "readonly": readonly,
        "keys": [key.reveal() for key in keys],
    }
    with contextlib.ExitStack() as stack:
        settings = _settings()
        attempt = stack.enter_context(contextlib.ExitStack())
        try:
            guest = _launched(attempt, opening, settings, stopping)
        except _Unlaunched:
            if "LIBGUESTFS_BACKEND_SETTINGS" in settings:
                raise
            attempt.close()
            guest = _launched(stack, opening, {**settings, "LIBGUESTFS_BACKEND_SETTINGS": _EMULATED}, stopping)
        yield guest
        guest._exchange({"ask": "close"}, _ANSWER_SECONDS)


def _launched(
    stack: contextlib.ExitStack, opening: dict[str, Any], settings: dict[str, str], stopping: Callable[[], bool]
) -> MountedGuest:
    folder = stack.enter_context(scratch_folder("guest", socket_folder()))
    listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    listener.bind(str(folder / "socket"))
    listener.listen(1)
    listener.settimeout(_LOOK_SECONDS)
    argv = [_python(), "-I", str(_WORKER), str(folder / "socket")]
    limits = proc.Limits(address_space_bytes=None, open_files=1024)
    env = {**settings, "TMPDIR": str(folder)}
    child = stack.enter_context(proc.start(argv, limits=limits, env=env))
    guest = MountedGuest(stack.enter_context(_caller(listener, child)), child, _stopping=stopping)
    guest.readonly = bool(opening["readonly"])
    guest._found(guest._exchange(opening, _LAUNCH_SECONDS))
    return guest


def _caller(listener: socket.socket, child: proc.Child) -> socket.socket:
    """The program's connection, as soon as it calls."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        ended = not child.running or time.monotonic() > deadline
        try:
            return listener.accept()[0]
        except TimeoutError:
            if ended:
                said = child.stderr or "it said nothing"
                raise TargetError(f"libguestfs's program did not start: {said}") from None


def names_of(identities: dict[str, str]) -> dict[str, str]:
    """From libguestfs's /dev/sdb1 to what guests may call it: the second disk behind SCSI, IDE or NVMe."""
    names: dict[str, str] = {}
    for device, uuid in identities.items():
        disk = device.removeprefix("/dev/sd")
        letter, part = disk[:1], disk[1:]
        if disk == device or not letter.isalpha() or not (part.isdigit() or not part):
            continue
        space = f"/dev/nvme0n{ord(letter) - ord('a') + 1}" + (f"p{part}" if part else "")
        for name in (device, f"/dev/hd{letter}{part}", space):
            names[name] = f"UUID={uuid}"
    return names


def require_libguestfs() -> None:
    """UsageError MISSING-TOOL where guests cannot be looked into here."""
    if proc.run([_python(), "-Ic", "import guestfs"], timeout=30, check=False).returncode:
        raise missing("its bindings cannot be imported")


def missing(why: str) -> UsageError:
    return UsageError(
        f"libguestfs for {PYTHON} is not installed: {printable(why)}",
        code="MISSING-TOOL",
        hint="apt install python3-guestfs linux-image-amd64",
    )


def _python() -> str:
    if not Path(PYTHON).exists():
        raise UsageError(f"{PYTHON} is not there", code="MISSING-TOOL", hint="apt install python3-guestfs")
    return PYTHON


def _settings() -> dict[str, str]:
    """As the user has them; without KVM, QEMU's own emulation, which always works."""
    chosen = {name: os.environ[name] for name in _SETTINGS if name in os.environ}
    chosen.setdefault("LIBGUESTFS_BACKEND", "direct")
    chosen.setdefault("LIBGUESTFS_CACHEDIR", _CACHE)
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        chosen.setdefault("LIBGUESTFS_BACKEND_SETTINGS", _EMULATED)
    return chosen
