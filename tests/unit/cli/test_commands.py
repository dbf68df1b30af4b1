# SPDX-License-Identifier: Apache-2.0
"""The command line as docs/cli.md fixes it, and how fast it answers."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from v2x.cli.commands import app
from v2x.cli.pages import exit_codes

ROOT = Path(__file__).parents[3]
HEAVY = (
    "XenAPI",
    "pyVmomi",
    "jinja2",
    "msgspec",
    "tqdm",
    "xxhash",
    "deflate",
    "cryptography",
    "nbd",
    "rich",
    "v2x.app",
    "sqlalchemy",
    "dbos",
)


def commands(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


TREE = dict(commands(typer.main.get_command(app)))


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from v2x.cli import run; run(['--help']);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stderr.strip() == "[]"
    assert "migrate" in ran.stdout


def test_help_answers_at_once():
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "v2x", "--help"], cwd=ROOT, capture_output=True, check=True)
        times.append(time.perf_counter() - begun)
    bare = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], capture_output=True, check=True)
        bare.append(time.perf_counter() - begun)
    # 0.3 s on a machine where a bare interpreter takes 0.02 s; a loaded machine slows both.
    assert min(times) < max(0.3, 15 * min(bare))


def rows():
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    table = text[text.index("## Commands") : text.index("## Notes")]
    for line in table.splitlines():
        if line.startswith("| `v2x "):
            cell = line.replace("\\|", "¦").split("|")[1]
            first, *others = re.findall(r"`([^`]*)`", cell)
            words = first.removeprefix("v2x ").split()
            name = words[0] if words[0] in TREE else " ".join(words[:2])
            yield name, set(re.findall(r"--[a-z-]+", cell))
            for other in others:
                yield f"{name.split()[0]} {other}", set()


def test_every_command_of_the_table_exists_with_its_options():
    seen = set()
    for name, options in rows():
        assert name in TREE, f"docs/cli.md names v2x {name}"
        known = {option for parameter in TREE[name].params for option in (*parameter.opts, *parameter.secondary_opts)}
        if name != "worker":
            assert options <= known, f"v2x {name} lacks {options - known}"
        seen.add(name)
    assert seen == set(TREE), f"docs/cli.md lacks {set(TREE) - seen}"


@pytest.mark.parametrize("name", [name for name in TREE if name not in {"wizard", "demo"}])
def test_what_prints_a_result_takes_json(name):
    options = {option for parameter in TREE[name].params for option in parameter.opts}
    later = "comes with a later release" in (TREE[name].help or "")
    assert later or "--json" in options


@pytest.mark.parametrize("name", list(TREE))
def test_every_command_and_option_is_explained(name):
    assert TREE[name].help
    for parameter in TREE[name].params:
        assert getattr(parameter, "help", "") or parameter.name == "_", f"{name} {parameter.opts}"


def test_exit_codes_are_those_of_the_documentation():
    text = (ROOT / "docs/exit-codes.md").read_text(encoding="utf-8")
    documented = {int(code) for cell in re.findall(r"^\| ([\d, ]+) \|", text, re.MULTILINE) for code in cell.split(",")}
    assert documented == set(exit_codes())
