# SPDX-License-Identifier: Apache-2.0
"""Programs that run beside a measurement."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.bench.contest import ROOT


@contextmanager
def running(command: tuple[str, ...]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        yield process
    finally:
        process.stdin.close()
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class NbdServer(NamedTuple):
    port: int
    pid: int


@contextmanager
def nbd_server(*command: str) -> Iterator[NbdServer]:
    """An NBD server on a port of its own, which stands for {port} in its command line."""
    port = free_port()
    with running(tuple(word.format(port=port) for word in command)) as process:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < deadline, f"{command[0]} does not listen"
                time.sleep(0.05)
        yield NbdServer(port, process.pid)


def qemu_nbd(image: Path, form: str):
    """The image behind a qemu-nbd that stays for many clients."""
    return nbd_server("qemu-nbd", "-r", "-t", "--shared=32", "-b", "127.0.0.1", "-p", "{port}", "-f", form, str(image))
