# SPDX-License-Identifier: Apache-2.0
"""Holds the documentation against the program: `python -m tests.docs_check`.

Every command line in README.md and docs/, in a code block (`v2x …` or `$ v2x …`) or in backquotes, must name a command
that `v2x … --help` knows and options which that help lists. Every relative link must lead to a file and, where it has
a fragment, to a heading in it. Prints each fault as file:line and exits 1 if there is any.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^\s*(?:```|~~~)\s*(?P<language>[\w-]*)")
SHELLS = {"sh", "bash", "shell", "console"}
SPAN = re.compile(r"`(v2x [^`]+)`")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)")
OPTION = re.compile(r"(?<![\w-])(--?[A-Za-z][\w-]*)")
OPTION_LINE = re.compile(r"^\s{2,}(?P<names>-[^\s,]+(?:,\s*--?[\w-]+)*)(?:\s(?P<value>[^\s]+))?")

Help = Callable[[tuple[str, ...]], "str | None"]


@dataclass(frozen=True)
class Line:
    """A command line found in the documentation."""

    file: str
    number: int
    text: str


def commands_in(text: str, file: str) -> Iterator[Line]:
    """The command lines of a Markdown text; a line that ends in a backslash goes on in the next one."""
    language: str | None = None
    pending = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if fence := FENCE.match(line):
            language = fence["language"] if language is None else None
            pending = ""
        elif language is None:
            yield from (Line(file, number, _plain(span)) for span in SPAN.findall(line))
        elif language in SHELLS:
            joined = pending + line.strip()
            pending = joined.removesuffix("\\") if joined.endswith("\\") else ""
            command = re.sub(r"^(?:\$ )?(?:\.venv/bin/)?v2x ", "v2x ", joined)
            if command.startswith("v2x ") and not pending:
                yield Line(file, number, command)


def _plain(span: str) -> str:
    """A synopsis as one possible command line: brackets and alternatives taken out."""
    return re.sub(r"[\[\]…]|\\?\|[\w-]+", " ", span)


def faults_of(line: Line, help_of: Help) -> Iterator[str]:
    """What is wrong with a command line: an unknown command, or options that its help does not list."""
    try:
        words = shlex.split(line.text, comments=True)[1:]
    except ValueError as error:
        yield f"cannot be read as a command line: {error}"
        return
    path: tuple[str, ...] = ()
    skip = False
    for word in words:
        page = help_of(path) or ""
        if skip:
            skip = False
        elif word in {"|", ">", "<", "&&", "||", ";", "&", "·"}:
            return
        elif OPTION.fullmatch(word.partition("=")[0]):
            values = options_in(page)
            name = word.partition("=")[0]
            if name not in values:
                yield f"`{' '.join(('v2x', *path))}` has no option {name}"
            skip = values.get(name, False) and "=" not in word
        elif takes_commands(page):
            if help_of((*path, word)) is None:
                yield f"`{' '.join(('v2x', *path))}` has no command {word}"
                return
            path = (*path, word)


def takes_commands(page: str) -> bool:
    return bool(re.search(r"^Usage:.* COMMAND\b", page, re.MULTILINE))


def options_in(page: str) -> dict[str, bool]:
    """Each option of a help page, and whether a value follows it."""
    found: dict[str, bool] = {}
    for line in page.splitlines():
        if match := OPTION_LINE.match(line):
            for name in OPTION.findall(match["names"]):
                value = match["value"] or ""
                found[name] = bool(value) and (value.startswith(("<", "[")) or value.isupper() or value[:1].isupper())
    return found


@cache
def program_help(path: tuple[str, ...]) -> str | None:
    """The help page of a command; None where the program does not know it."""
    ran = subprocess.run(
        [sys.executable, "-m", "v2x", *path, "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.stdout if ran.returncode == 0 else None


def broken_links(text: str, file: Path, root: Path) -> Iterator[tuple[int, str]]:
    """(line, target) of each relative link that leads nowhere."""
    inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        if FENCE.match(line):
            inside = not inside
        for link in () if inside else LINK.finditer(line):
            if not re.match(r"[a-z]+:", link["target"]) and not _leads_somewhere(link["target"], file, root):
                yield number, link["target"]


def _leads_somewhere(link: str, file: Path, root: Path) -> bool:
    target, _, fragment = link.partition("#")
    place = (file.parent / target).resolve() if target else file
    if not place.exists() or not place.is_relative_to(root):
        return False
    return not fragment or place.suffix != ".md" or fragment in anchors(place.read_text("utf-8"))


def anchors(text: str) -> set[str]:
    """The fragments by which GitHub and its like reach the headings of a Markdown text, and those it names itself."""
    found = set(re.findall(r'<a id="([\w-]+)"></a>', text))
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.replace(" ", "-"))
    return found


def documents(root: Path) -> list[Path]:
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def check(root: Path, files: Sequence[Path], help_of: Help) -> list[str]:
    """Every fault of `files`, one line each."""
    found: list[str] = []
    for file in files:
        text = file.read_text("utf-8")
        name = file.relative_to(root).as_posix()
        for line in commands_in(text, name):
            found += [f"{line.file}:{line.number}: {fault}" for fault in faults_of(line, help_of)]
        for number, target in broken_links(text, file, root):
            found.append(f"{name}:{number}: no such file or heading: {target}")
    return found


def main() -> int:
    files = documents(ROOT)
    lines = sum(len(list(commands_in(file.read_text("utf-8"), ""))) for file in files)
    if not lines:
        print("the documentation has no command lines: is this the right folder?", file=sys.stderr)
        return 1
    faults = check(ROOT, files, program_help)
    for fault in faults:
        print(fault)
    print(f"{len(files)} documents, {lines} command lines, {len(faults)} faults", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
