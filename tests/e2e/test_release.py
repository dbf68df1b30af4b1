# SPDX-License-Identifier: Apache-2.0
"""What `make dist` builds: the same bytes each time, and each of it runs where nothing of the checkout is."""

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import v2x
from tests.release import debian, dist
from tests.release.lock import ROOT

pytestmark = pytest.mark.slow
EPOCH = 1700000000
NAME = f"v2x-{v2x.__version__}"


def run(argv: list[str | Path], cwd: Path, **environment: str) -> str:
    """stdout of a program that must succeed, run where there is no checkout and no PYTHONPATH."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    told = subprocess.run(
        argv,
        cwd=cwd,
        env={**plain, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert told.returncode == 0, f"{argv}: {told.stdout}\n{told.stderr}"
    return told.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return dist.archives(tmp_path_factory.mktemp("dist"), EPOCH)


def works(program: list[str | Path], cwd: Path) -> None:
    """The tables, templates, scripts and simulators are in it: a draft, a page, a JEA role, a collector."""
    assert run([*program, "--version"], cwd) == f"v2x {v2x.__version__}\n"
    told = json.loads(run([*program, "doctor", "--json"], cwd))
    assert {one["check"]: one["ok"] for one in told["checks"]}["pyvmomi"] is True
    run([*program, "inventory", "--jea", "jea"], cwd)
    assert (cwd / "jea/v2x.psrc").is_file()
    run([*program, "inventory", "--collector", "-o", "collect.ps1"], cwd)
    assert "param" in (cwd / "collect.ps1").read_text()
    run([*program, "explain", "75"], cwd)


def test_two_builds_give_the_same_bytes(archives: tuple[Path, Path], tmp_path: Path) -> None:
    os.utime(ROOT / "v2x/__init__.py")
    again = dist.archives(tmp_path, EPOCH)
    for first, second in zip(archives, again, strict=True):
        assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest(), first.name


@pytest.mark.parametrize("number", [0, 1], ids=["sdist", "wheel"])
@pytest.mark.timeout(900)
def test_it_installs_into_a_clean_environment_and_runs(
    archives: tuple[Path, Path], number: int, tmp_path: Path
) -> None:
    """The way of pipx: an environment without the system's packages, the archive, and what its metadata asks for."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    pip: list[str | Path] = [home / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", ROOT / ".ci/runtime.lock"], tmp_path)
    run([*pip, archives[number]], tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    works([home / "bin/v2x"], work)
    assert (home / "share/man/man1/v2x-migrate.1").is_file()
    assert (home / "share/bash-completion/completions/v2x").is_file()


@pytest.mark.timeout(900)
def test_the_debian_package_is_reproducible_and_runs(archives: tuple[Path, Path], tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        work, folder = tmp_path / name / "work", tmp_path / name / "out"
        work.mkdir(parents=True)
        folder.mkdir()
        made.append(debian.write(v2x.__version__, archives[1], EPOCH, folder, work))
    first, second = (path.read_bytes() for path in made)
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()

    depends = run(["dpkg-deb", "--field", made[0], "Depends"], tmp_path)
    assert f"python3 (>= 3.{sys.version_info.minor})" in depends
    tree = tmp_path / "tree"
    run(["dpkg-deb", "--extract", made[0], tree], tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    works([tree / "usr/bin/v2x"], work)
    assert (tree / "usr/share/man/man1/v2x-batch-run.1.gz").is_file()
    assert (tree / "usr/share/zsh/vendor-completions/_v2x").is_file()
    assert not list(tree.rglob("*.pyc")) and not list((tree / "usr/lib/v2x").glob("*/direct_url.json"))
