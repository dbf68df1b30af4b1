# SPDX-License-Identifier: Apache-2.0
"""A file system of a few KiB or MiB that runs full as real ones do: a tmpfs in a mount namespace of its own."""

import subprocess
from pathlib import Path


class SmallDisk:
    """`size` as mount(8) takes it. Programs run by `words` see it at `path`; it needs no rights beyond namespaces."""

    def __init__(self, path: Path, size: str) -> None:
        path.mkdir(parents=True)
        self.path = path
        script = f"mount -t tmpfs -o size={size},mode=700 tmpfs {path} && echo ready && exec cat"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._holder = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script], **pipes
        )
        assert self._holder.stdout is not None and self._holder.stdout.readline() == b"ready\n", (
            "no namespace, no tmpfs"
        )

    def words(self, *words: object) -> list[str]:
        """A command that runs where the disk is mounted."""
        place = ["nsenter", "--user", "--mount", "--preserve-credentials", "--target", str(self._holder.pid)]
        return [*place, "--wd=.", *map(str, words)]

    def run(self, *words: object) -> str:
        return subprocess.run(self.words(*words), check=True, capture_output=True, text=True, timeout=60).stdout

    def resize(self, size: str) -> None:
        self.run("mount", "-o", f"remount,size={size}", self.path)

    def fill(self) -> None:
        """To the last byte."""
        subprocess.run(
            self.words("dd", "if=/dev/zero", f"of={self.path}/filler", "bs=4k"),
            capture_output=True,
            timeout=60,
            check=False,
        )

    def free(self) -> None:
        self.run("rm", "-f", self.path / "filler")

    def names(self) -> list[str]:
        return sorted(self.run("ls", "-A", self.path).split())

    def close(self) -> None:
        self._holder.communicate()
