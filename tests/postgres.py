# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL from Debian's packages, started by the test on a free loopback port with a folder of its own."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path


def programs() -> Path:
    """The folder with initdb and postgres; Debian keeps them out of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        raise RuntimeError("PostgreSQL is missing: apt-get install postgresql")
    return found[-1].parent


class Postgres:
    """Runs as the user `postgres` where the tests run as root, which it refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._user = pwd.getpwnam("postgres") if os.getuid() == 0 else None

    @property
    def url(self) -> str:
        return f"postgresql://v2x@127.0.0.1:{self.port}/postgres"

    def _run(self, *words, **options):
        extra = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []} if self._user else {}
        return subprocess.Popen([str(word) for word in words], cwd="/", **extra, **options)

    def __enter__(self):
        self.folder.mkdir(parents=True)
        if self._user:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
            for parent in self.folder.parents:
                if parent.stat().st_uid == os.getuid() and not parent.stat().st_mode & 1:
                    parent.chmod(parent.stat().st_mode | 0o111)
        data = self.folder / "data"
        made = self._run(
            programs() / "initdb", "-D", data, "-U", "v2x", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        said, _ = made.communicate(timeout=60)
        assert made.returncode == 0, said.decode()
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "fsync": "off",
            "max_connections": 300,
        }  # fmt: skip
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        self._log = (self.folder / "log").open("wb")
        self._server = self._run(programs() / "postgres", "-D", data, *options, stdout=self._log, stderr=self._log)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text())

    def __exit__(self, *_):
        self._server.send_signal(2)
        self._server.wait(20)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
