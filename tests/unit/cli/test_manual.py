# SPDX-License-Identifier: Apache-2.0
"""Manual pages say what --help says, in roff that man and mandoc take; completion works in real shells."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
import typer.main

from v2x import __version__
from v2x.cli import manual
from v2x.cli.commands import app

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("share")
    manual.write(folder, "2026-01-02")
    return folder


@pytest.fixture
def path_with_v2x(tmp_path: Path) -> str:
    """A PATH on which v2x is this checkout's."""
    program = tmp_path / "bin/v2x"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m v2x "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


def shown(page: Path) -> str:
    """The page as `man` shows it, without the breaks of its lines."""
    plain = {**os.environ, "MANWIDTH": "500", "MAN_KEEP_FORMATTING": "", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"}
    told = subprocess.run(["man", "--local-file", page], env=plain, capture_output=True, text=True, check=True)
    assert not told.stderr, told.stderr
    return re.sub(r"\s+", " ", re.sub(".\b", "", told.stdout))


def test_each_command_has_a_page_of_its_own(share: Path) -> None:
    root = typer.main.get_command(app)
    wanted = {"v2x"}
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        wanted |= {f"v2x-{name}", *(f"v2x-{name}-{inner}" for inner in getattr(command, "commands", ()))}
    assert {path.stem for path in share.glob("man/man1/*.1")} == wanted
    assert "v2x-batch-cutover" in wanted


def test_a_page_says_what_help_says(share: Path) -> None:
    page = shown(share / "man/man1/v2x-migrate.1")
    told = subprocess.run(
        [sys.executable, "-m", "v2x", "migrate", "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    options = re.findall(r"^ +(--[\w-]+)", told, re.MULTILINE)
    assert len(options) > 40 and all(f"{option} " in page for option in options)
    assert "v2x-migrate - Moves one machine, now" in page
    assert f"v2x {__version__}" in page and "2026-01-02" in page
    assert "address, path or alias of the source" in page


def test_the_first_page_names_commands_exit_codes_and_the_other_pages(share: Path) -> None:
    page = shown(share / "man/man1/v2x.1")
    assert "75 stopped but resumable" in page and "v2x-doctor(1)" in page and "V2X_SOURCE_PASSWORD" in page
    assert "v2x-batch-run(1)" in shown(share / "man/man1/v2x-batch.1")


def test_mandoc_finds_no_fault(share: Path) -> None:
    pages = sorted(share.glob("man/man1/*.1"))
    told = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *pages], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (0, "")


@pytest.mark.parametrize("text", [".start", "'quoted' \\fB", "a-b", "x" * 200 + " .y"])
def test_no_text_becomes_a_request_of_roff(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.1"
    page.write_text(f'.TH X 1 "2026-01-02" "" ""\n.SH NAME\nx \\- y\n.SH TEXT\n{manual._plain(text)}\n')
    assert text in shown(page).replace("\u2010", "-")


def test_completion_in_bash(share: Path, path_with_v2x: str) -> None:
    script = share / "bash-completion/completions/v2x"
    ask = f"""
source {script}
COMP_WORDS=(v2x batch cu); COMP_CWORD=2
_v2x v2x; printf '%s\\n' "${{COMPREPLY[@]}}"
COMP_WORDS=(v2x migrate --quies); COMP_CWORD=2
_v2x v2x; printf '%s\\n' "${{COMPREPLY[@]}}"
complete -p v2x
"""
    told = subprocess.run(
        ["bash", "--norc", "-c", ask],
        env={**os.environ, "PATH": path_with_v2x},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stderr == ""
    assert told.stdout.split() == ["cutover", "--quiesce", "complete", "-o", "default", "-F", "_v2x", "v2x"]


def test_completion_in_fish(share: Path, path_with_v2x: str, tmp_path: Path) -> None:
    script = share / "fish/vendor_completions.d/v2x.fish"
    environment = {**os.environ, "PATH": path_with_v2x, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    for line, wanted in (("v2x batch cu", "cutover"), ("v2x migrate --quies", "--quiesce")):
        told = subprocess.run(
            ["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert [row.split("\t")[0] for row in told.stdout.splitlines()] == [wanted], told


def test_completion_in_zsh_at_the_first_tab(share: Path, path_with_v2x: str, tmp_path: Path) -> None:
    """zsh completes in its line editor only, so that it needs a terminal."""
    (tmp_path / ".zshrc").write_text(
        f"fpath=({share}/zsh/site-functions $fpath)\nautoload -Uz compinit\n"
        f"compinit -u -d {tmp_path}/dump\nPS1='ready> '\n"
    )
    environment = {**os.environ, "PATH": path_with_v2x, "ZDOTDIR": str(tmp_path), "TERM": "dumb"}
    zsh = pexpect.spawn("zsh", ["-i"], env=environment, timeout=60, encoding="utf-8")
    try:
        zsh.expect_exact("ready> ")
        zsh.send("v2x batch cuto\t")
        zsh.expect_exact("cutover")
    finally:
        zsh.close(force=True)
