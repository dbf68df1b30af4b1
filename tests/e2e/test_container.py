# SPDX-License-Identifier: Apache-2.0
"""The steps of docs/deploy/Containerfile, carried out in a fresh Debian without an index of packages for Python."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import v2x
from tests.release import dist
from tests.release.lock import ROOT

FILE = ROOT / "docs/deploy/Containerfile"
_RELEASES = {"debian:12-slim": "bookworm"}


def instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction with its text, lines that go on joined."""
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n", " ", plain)
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines()) if word]


def packages(steps: list[tuple[str, str]]) -> list[str]:
    (found,) = re.findall(r"apt-get install -y --no-install-recommends ([\w +.-]+?) *&&", steps[1][1])
    return found.split()


def test_it_copies_what_there_is_and_installs_what_setup_installs() -> None:
    steps = instructions(FILE.read_text("utf-8"))
    assert [word for word, _ in steps][:2] == ["FROM", "RUN"] and steps[0][1] in _RELEASES
    makefile = (ROOT / "Makefile").read_text("utf-8").split()
    assert set(packages(steps)) - {"ca-certificates"} <= set(makefile)
    copied = [rest.split()[0] for word, rest in steps if word == "COPY"]
    assert copied == [".ci/runtime.lock", "dist/v2x-*.whl"]
    assert (ROOT / copied[0]).is_file()
    assert dict(steps)["USER"] == "v2x"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_its_steps_make_a_worker_that_runs(tmp_path: Path) -> None:
    root, wheels = tmp_path / "root", tmp_path / "wheels"
    _, wheel = dist.archives(tmp_path / "dist", 1700000000)
    lock = ROOT / ".ci/runtime.lock"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "-r", lock]
    subprocess.run([*pip, "--dest", wheels], check=True, capture_output=True)
    steps = instructions(FILE.read_text("utf-8"))
    made = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(packages(steps))}"]
    subprocess.run([*made, _RELEASES[steps[0][1]], root], check=True, capture_output=True)
    shutil.copytree(wheels, root / "wheels")

    def inside(command: str, user: str = "root") -> str:
        told = subprocess.run(
            ["chroot", f"--userspec={user}", root, "/bin/sh", "-c", command],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": "/wheels",
                "HOME": "/",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == 0, f"{command}: {told.stdout}{told.stderr}"
        return told.stdout

    for word, rest in steps[2:]:
        if word == "COPY":
            source, place = rest.split()
            (root / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
            shutil.copy(wheel if source.endswith(".whl") else ROOT / source, root / place.lstrip("/"))
        elif word == "RUN":
            inside(rest)
    (entry,) = json.loads(dict(steps)["ENTRYPOINT"])
    assert inside(f"cd /work && {entry} {shlex.join(json.loads(dict(steps)['CMD']))}", "v2x").startswith("Usage: v2x")
    assert inside(f"{entry} --version", "v2x") == f"v2x {v2x.__version__}\n"
    told = json.loads(inside(f"cd /work && {entry} doctor --json", "v2x"))
    checks = {one["check"]: one["ok"] for one in told["checks"]}
    assert all(checks[name] for name in ("qemu-img", "qemu-nbd", "nbdkit", "nbd", "pyvmomi"))
    assert not (root / "src").exists()
