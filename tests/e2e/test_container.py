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
from tests.release import debian, dist
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


class Machine:
    """A fresh Debian 12 in a folder, with the packages of the Containerfile; pip finds wheels in a folder only."""

    def __init__(self, root: Path, wanted: list[str], release: str) -> None:
        self.root = root
        made = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(wanted)}"]
        subprocess.run([*made, release, root], check=True, capture_output=True)

    def run(self, command: str, user: str = "root") -> str:
        told = subprocess.run(
            ["chroot", f"--userspec={user}", self.root, "/bin/sh", "-c", command],
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

    def put(self, source: Path, folder: str) -> None:
        place = self.root / folder.lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dist.archives(tmp_path_factory.mktemp("dist"), 1700000000)[1]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    steps = instructions(FILE.read_text("utf-8"))
    return Machine(tmp_path_factory.mktemp("machine") / "root", packages(steps), _RELEASES[steps[0][1]])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_its_steps_make_a_worker_that_runs(machine: Machine, wheel: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    wheels = machine.root / "wheels"
    subprocess.run([*pip, "-r", ROOT / ".ci/runtime.lock", "--dest", wheels], check=True, capture_output=True)
    steps = instructions(FILE.read_text("utf-8"))
    for word, rest in steps[2:]:
        if word == "COPY":
            source, place = rest.split()
            machine.put(wheel if source.endswith(".whl") else ROOT / source, place)
        elif word == "RUN":
            machine.run(rest)
    (entry,) = json.loads(dict(steps)["ENTRYPOINT"])
    page = machine.run(f"cd /work && {entry} {shlex.join(json.loads(dict(steps)['CMD']))}", "v2x")
    assert page.startswith("Usage: v2x")
    assert machine.run(f"{entry} --version", "v2x") == f"v2x {v2x.__version__}\n"
    told = json.loads(machine.run(f"cd /work && {entry} doctor --json", "v2x"))
    checks = {one["check"]: one["ok"] for one in told["checks"]}
    assert all(checks[name] for name in ("qemu-img", "qemu-nbd", "nbdkit", "nbd", "pyvmomi"))
    assert not (machine.root / "src").exists()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_debian_package_installs_runs_and_leaves_nothing(machine: Machine, wheel: Path, tmp_path: Path) -> None:
    work, folder = tmp_path / "work", tmp_path / "out"
    work.mkdir()
    folder.mkdir()
    package = debian.write(v2x.__version__, wheel, 1700000000, folder, work)
    machine.put(package, "/packages")
    machine.run(f"dpkg --install /packages/{package.name}")
    nobody = "nobody:nogroup"
    assert machine.run("v2x --version", nobody) == f"v2x {v2x.__version__}\n"
    told = json.loads(machine.run("cd /tmp && v2x doctor --json", nobody))
    checks = {one["check"]: one["ok"] for one in told["checks"]}
    assert all(checks[name] for name in ("python", "system", "qemu-img", "nbd", "pyvmomi", "xxhash"))
    assert list((machine.root / "usr/lib/v2x/v2x").rglob("*.pyc"))
    completed = "_V2X_COMPLETE=complete_bash COMP_WORDS='v2x batch cu' COMP_CWORD=2 v2x"
    assert machine.run(completed, nobody).split() == ["cutover"]
    machine.run("dpkg --remove v2x")
    assert not (machine.root / "usr/lib/v2x").exists() and not (machine.root / "usr/bin/v2x").exists()
