# SPDX-License-Identifier: Apache-2.0
"""A real sshd on a high port of loopback, with keys and a configuration of its own, for tests over SSH."""

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SSHD = "/usr/sbin/sshd"


@dataclass
class Sshd:
    """`identity` is a key that may log in as `user`, `stranger` one that may not; `known` and `wrong` know hosts."""

    port: int
    user: str
    identity: Path
    stranger: Path
    known: Path
    wrong: Path
    log: Path


def keypair(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, capture_output=True)
    return path


def public(path: Path) -> str:
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@contextmanager
def running(folder: Path) -> Iterator[Sshd]:
    folder.mkdir(parents=True)
    host, other, identity, stranger = (keypair(folder / name) for name in ("host", "other", "identity", "stranger"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    authorized, config, log = folder / "authorized", folder / "sshd_config", folder / "log"
    authorized.write_text(public(identity) + "\n")
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nAuthorizedKeysFile {authorized}\nPidFile none\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin yes\nSubsystem sftp internal-sftp\nMaxStartups 50\n"
    )
    known, wrong = folder / "known", folder / "wrong"
    known.write_text(f"[127.0.0.1]:{port} {public(host)}\n")
    wrong.write_text(f"[127.0.0.1]:{port} {public(other)}\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with log.open("wb") as lines:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stderr=lines, stdin=subprocess.DEVNULL)
    try:
        _await(port, process)
        yield Sshd(port, getpass.getuser(), identity, stranger, known, wrong, log)
    finally:
        process.terminate()
        process.wait(10)


def _await(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert process.poll() is None, "sshd ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise TimeoutError("sshd does not listen")
