# SPDX-License-Identifier: Apache-2.0
"""The wheel: everything the program needs at run time is in it, it runs from there, and nothing else is in it."""

import os
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import v2x

ROOT = Path(__file__).parents[2]
LOADS = """
import sys
from importlib import resources
import v2x, v2x.mapping.tables as tables, v2x.render, v2x.simulators.xapi.datamodel as datamodel
from v2x.render.page import report_page
from v2x.model.migration import Report
from datetime import UTC, datetime
assert v2x.__file__.startswith(sys.argv[1]), v2x.__file__
loaded = tables.load_tables(None)
assert loaded.guests.by_id and loaded.limits.by_id
assert all(name.startswith("built-in/") for name in loaded.layers), loaded.layers
assert b"Migration report" in report_page(Report(id="1", created=datetime.now(UTC), version="0"))
assert datamodel.load("26.1").classes
for name in ("rc", "initramfs-init"):
    assert resources.files("v2x.simulators.guest").joinpath("files", name).read_bytes()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def metadata(unpacked: Path) -> Path:
    return unpacked / f"v2x-{v2x.__version__}.dist-info"


def tracked(*folders: str) -> set[str]:
    """The files of the checkout that are not made by running it."""
    return {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def run(unpacked: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Python with the unpacked wheel before everything else, from a folder in which there is no checkout."""
    return subprocess.run(
        [sys.executable, *argv],
        cwd=unpacked.parent,
        env={**os.environ, "PYTHONPATH": str(unpacked), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_holds_the_package_the_tables_and_nothing_else(unpacked: Path) -> None:
    inside = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    tables = {f"v2x/mappings_data/{Path(name).name}" for name in tracked("mappings")}
    notes = {str(path.relative_to(unpacked)) for path in metadata(unpacked).rglob("*") if path.is_file()}
    shared = {name for name in inside if name.startswith(f"v2x-{v2x.__version__}.data/data/share/")}
    assert inside - notes - shared == tracked("v2x") | tables
    ends = {name.partition("/share/")[2] for name in shared}
    assert {"man/man1/v2x.1", "man/man1/v2x-batch-run.1", "bash-completion/completions/v2x"} <= ends
    assert {"zsh/site-functions/_v2x", "fish/vendor_completions.d/v2x.fish"} <= ends
    assert {path.name for path in (unpacked / "v2x/mappings_data").glob("*.toml")} >= {"guest_os.toml", "limits.toml"}
    assert (unpacked / "v2x/simulators/xapi/datamodel.json.gz").is_file()
    assert (unpacked / "v2x/render/templates/report.html.j2").is_file()
    assert (unpacked / "v2x/sources/hyperv/collect.ps1").is_file()


def test_its_metadata_names_the_command_and_the_licence(unpacked: Path) -> None:
    points = (metadata(unpacked) / "entry_points.txt").read_text()
    assert "[console_scripts]\nv2x = v2x.__main__:main\n" in points
    licence = metadata(unpacked) / "licenses" / "LICENSE"
    assert licence.read_bytes() == (ROOT / "LICENSE").read_bytes()
    head: Message = BytesParser().parsebytes((metadata(unpacked) / "METADATA").read_bytes())
    assert (head["Name"], head["Version"], head["License-Expression"]) == ("v2x", v2x.__version__, "Apache-2.0")
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    plain = {line for line in head.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert {Requirement(line) for line in plain} == {Requirement(line) for line in wanted}


def test_it_runs_without_the_checkout(unpacked: Path) -> None:
    told = run(unpacked, "-c", LOADS, str(unpacked))
    assert told.returncode == 0, told.stderr
    told = run(unpacked, "-m", "v2x", "--version")
    assert (told.returncode, told.stdout) == (0, f"v2x {v2x.__version__}\n"), told.stderr
