# SPDX-License-Identifier: Apache-2.0
"""The check of the documentation finds what it is there to find."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

PAGES = {
    (): "Usage: v2x [OPTIONS] COMMAND [ARGS]...\n\nOptions:\n  --config <path>  file\n  --version   print\n",
    ("plan",): "Usage: v2x plan [OPTIONS] COMMAND [ARGS]...\n",
    (
        "plan",
        "draft",
    ): "Usage: v2x plan draft [OPTIONS] {SOURCE}\n\nOptions:\n  -o, --output <path>  file\n  --quiet  say less\n",
    ("migrate",): "Usage: v2x migrate [OPTIONS] {SOURCE} [VM]\n\nOptions:\n  --target TARGET  where\n"
    "  --verify <none|full>\n",
}


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    file = Path(__file__).parents[1] / "docs_check.py"
    spec = importlib.util.spec_from_file_location("v2x_docs_check", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def faults(checker: ModuleType, text: str) -> list[str]:
    return [fault for line in checker.commands_in(text, "f") for fault in checker.faults_of(line, PAGES.get)]


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nv2x migrate a.ova --target xapi://h --verify=full\n```",
        "```console\n$ v2x plan draft dir/ -o plan.csv --quiet   # a comment\nplan written\n```",
        "```sh\nv2x --config v2x.toml plan draft x\n```",
        "   ```sh\n   .venv/bin/v2x migrate a.ova \\\n     --target t\n   ```",
        "`v2x migrate S VM --target T [--verify none\\|full]…` and `v2x plan draft S`",
        "```text\nv2x nothing --of-this\n```",
        "v2x prose --is-not-code",
    ],
)
def test_right_commands_pass(checker: ModuleType, text: str):
    assert faults(checker, text) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("```sh\nv2x migrat a.ova\n```", "`v2x` has no command migrat"),
        ("```sh\nv2x plan drafts a\n```", "`v2x plan` has no command drafts"),
        ("```console\n$ v2x migrate a --sr X\n```", "`v2x migrate` has no option --sr"),
        ("```sh\nv2x migrate a \\\n  --ver none\n```", "`v2x migrate` has no option --ver"),
        ("```sh\nv2x --quiet migrate a\n```", "`v2x` has no option --quiet"),
        ("see `v2x plan draft S --out F`", "`v2x plan draft` has no option --out"),
        ("```sh\nv2x migrate 'a\n```", "cannot be read as a command line: No closing quotation"),
    ],
)
def test_wrong_commands_are_named(checker: ModuleType, text: str, fault: str):
    assert faults(checker, text) == [fault]


def test_continued_lines_are_one_command(checker: ModuleType):
    lines = list(checker.commands_in("```sh\nv2x migrate a \\\n  --target t\nv2x plan draft b\n```", "f"))
    assert [(line.number, line.text) for line in lines] == [(3, "v2x migrate a --target t"), (4, "v2x plan draft b")]


def test_links(checker: ModuleType, tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "there.md").write_text("# The `Title` here\n")
    readme = tmp_path / "README.md"
    readme.write_text(
        "[a](docs/there.md) [b](docs/there.md#the-title-here) [c](https://example.org/x) [own](#top)\n"
        "[gone](docs/gone.md)\n[no heading](docs/there.md#other)\n[out](../../etc/passwd)\n# Top\n"
        "```\n[in code](nowhere.md)\n```\n"
    )
    found = list(checker.broken_links(readme.read_text(), readme, tmp_path))
    assert found == [(2, "docs/gone.md"), (3, "docs/there.md#other"), (4, "../../etc/passwd")]


def test_every_fault_says_its_place(checker: ModuleType, tmp_path: Path):
    readme = tmp_path / "README.md"
    readme.write_text("text\n\n```sh\nv2x nope\n```\n[x](y.md)\n")
    assert checker.check(tmp_path, [readme], PAGES.get) == [
        "README.md:4: `v2x` has no command nope",
        "README.md:6: no such file or heading: y.md",
    ]


def test_the_program_knows_its_commands(checker: ModuleType):
    page = checker.program_help(())
    assert page is not None
    assert checker.takes_commands(page)
    assert checker.program_help(("no-such-command",)) is None
