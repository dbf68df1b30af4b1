# SPDX-License-Identifier: Apache-2.0
"""The network shares of a simulated Hyper-V host: a real Samba on loopback, as the invoking user, on a high port.

Samba is asked to behave as a hardened Windows does: SMB 3 only, signatures required, encryption required unless the
test wants a server without it, no guests. Configuration and passwords lie in a folder of their own; nothing of a
Samba that the machine may run itself is read or touched. The shares are read-only.
"""

import os
import pwd
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from v2x.errors import UsageError, V2xError
from v2x.simulators import programs

Encryption = Literal["required", "desired", "off"]

PACKAGE = "samba"
_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_FOLDERS = ("private", "lock", "state", "cache", "pid", "ncalrpc")

_GLOBAL = """\
[global]
 workgroup = V2X
 netbios name = V2XHYPERV
 server role = standalone server
 interfaces = 127.0.0.1/8
 bind interfaces only = yes
 smb ports = {port}
 disable netbios = yes
 private dir = {folder}/private
 lock directory = {folder}/lock
 state directory = {folder}/state
 cache directory = {folder}/cache
 pid directory = {folder}/pid
 ncalrpc dir = {folder}/ncalrpc
 passdb backend = tdbsam:{folder}/private/passdb.tdb
 username map = {folder}/users
 map to guest = never
 server min protocol = {dialect}
 server max protocol = {dialect}
 server signing = mandatory
 smb encrypt = {encryption}
 load printers = no
 printing = bsd
 disable spoolss = yes
 unix extensions = no
 follow symlinks = no
 kernel oplocks = no
"""
_SHARE = """\
[{name}]
 path = {path}
 read only = yes
 browseable = no
"""
_NOBODY = " valid users = no-one-at-all\n"


class Share:
    """A running Samba. `shares` maps a share's name (`D$`) to the folder it shows; nobody is let into `denied` ones.

    `user` is what the client logs in as; Samba itself knows the invoking user only. UsageError where Samba is not
    installed, V2xError where it does not start.
    """

    def __init__(
        self,
        folder: Path,
        shares: Mapping[str, Path],
        *,
        port: int = 0,
        user: str = "hvadmin",
        password: str = "",
        encryption: Encryption = "required",
        dialect: str = "SMB3_11",
        denied: Collection[str] = (),
    ) -> None:
        self.folder = folder
        self.user = user
        self.password = password or secrets.token_urlsafe(12)
        self.port = port or _free_port()
        self.host = "127.0.0.1"
        self._shares = dict(shares)
        self._process: subprocess.Popen[bytes] | None = None
        self._denied = frozenset(denied)
        self._configure(encryption, dialect)

    def _configure(self, encryption: Encryption, dialect: str) -> None:
        for name in _FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "private").chmod(0o700)
        me = pwd.getpwuid(os.getuid()).pw_name
        (self.folder / "users").write_text(f"{me} = {self.user}\n")
        text = _GLOBAL.format(port=self.port, folder=self.folder, encryption=encryption, dialect=dialect)
        for name, path in self._shares.items():
            text += _SHARE.format(name=name, path=path) + (_NOBODY if name in self._denied else "")
        self._settings = self.folder / "smb.conf"
        self._settings.write_text(text)
        twice = f"{self.password}\n{self.password}\n".encode()
        _run("pdbedit", ["-s", str(self._settings), "-a", "-u", me, "-t"], stdin=twice)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def unc(self, share: str) -> str:
        """The share as v2x takes it, port and all."""
        return f"\\\\{self.host}:{self.port}\\{share}"

    @property
    def rules(self) -> list[str]:
        """Values of --share that lead from the drives of the host to these shares."""
        return [f"{name[0]}:={self.unc(name)}" for name in self._shares if len(name) == 2 and name.endswith("$")]

    def start(self) -> Self:
        """Returns once connections are accepted."""
        log = (self.folder / "log").open("ab")
        argv = [_tool("smbd"), "--foreground", "--no-process-group", "--debug-stdout", "-s", str(self._settings)]
        # It must not outlive a simulator that is killed: its port would go on serving the disks.
        argv = [_tool("setpriv"), "--pdeathsig", "TERM", "--", *argv]
        # A session of its own, so that the children it forks for each connection can be ended with it.
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": programs.PATH}, start_new_session=True
        )
        log.close()
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        said = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        self.stop()
        raise V2xError(f"Samba did not start: {said[-1] if said else 'no message'}")

    def cut(self) -> None:
        """Ends all connections, as a failing network does; new ones are accepted."""
        for child in self._children():
            os.kill(child, signal.SIGKILL)

    def _children(self) -> list[int]:
        if self._process is None:
            return []
        found = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        serving = []
        for number in found:
            try:
                # Beside those that serve a connection Samba has helpers, which it names by setting their title.
                if Path(f"/proc/{number}/comm").read_text().strip() in {"smbd", f"smbd[{self.host}]"[:15]}:
                    serving.append(int(number))
            except OSError:
                continue
        return serving

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _tool(name: str) -> str:
    path = programs.find(name)
    if path is None:
        raise UsageError(
            f"the program {name} is not installed", code="MISSING-TOOL", hint=f"sudo apt-get install {PACKAGE}"
        )
    return path


def _run(name: str, arguments: list[str], *, stdin: bytes) -> None:
    argv = [_tool(name), *arguments]
    surroundings = {"PATH": programs.PATH}
    done = subprocess.run(argv, input=stdin, env=surroundings, capture_output=True, timeout=60, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise V2xError(f"{name} failed: {said[-1] if said else 'no message'}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
