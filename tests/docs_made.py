# SPDX-License-Identifier: Apache-2.0
"""The pages of the documentation that are made from the program: `python -m tests.docs_made` says if one is stale.

    python -m tests.docs_made --write

writes them anew: commands.md from the command line itself, plan-columns.md from the columns, codes.md from the pages of
`v2x explain`.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from v2x.causes import FAMILIES, causes
from v2x.cli.commands import app
from v2x.cli.pages import DO, WHAT, page_of
from v2x.plan.columns import COLUMNS

DOCS = Path(__file__).parents[1] / "docs"
HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Made by `python -m tests.docs_made --write`; `make check` keeps it in step with the program. -->
"""
COMMON = 10
"""An option that as many commands have, with the same words, is told once."""
ROW = re.compile(r"^  (?P<name>\S.*?)(?:\s{2,}(?P<said>\S.*))?$")

Command = Any
Rows = list[tuple[str, str]]


def commands(group: Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        elif not command.hidden:
            yield (*path, name)


def helped(path: tuple[str, ...]) -> tuple[str, str, Rows, Rows]:
    """Usage, summary, arguments and options of a command, as `--help` has them."""
    ran = CliRunner().invoke(app, [*path, "--help"], prog_name="v2x", env={"COLUMNS": "1000", "NO_COLOR": "1"})
    assert ran.exit_code == 0, f"{path}: {ran.output}"
    usage, _, rest = ran.output.removeprefix("Usage: ").partition("\n")
    parts = re.split(r"^(Arguments|Options):$", rest, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    return usage, " ".join(parts[0].split()), _rows(found.get("Arguments", "")), _rows(found.get("Options", ""))


def _rows(text: str) -> Rows:
    rows: Rows = []
    for line in text.splitlines():
        if match := ROW.match(line):
            rows.append((match["name"].strip(), match["said"] or ""))
        elif line.strip():
            name, said = rows[-1]
            rows[-1] = (name, f"{said} {line.strip()}".strip())
    return rows


def cell(text: str) -> str:
    """Text for a cell of a table: nothing in it is markup but code."""
    text = " ".join(text.split()).replace("|", "\\|")
    return re.sub(r"[<>*_\[\]](?![^`]*`(?:[^`]*`[^`]*`)*[^`]*$)", lambda found: "\\" + found[0], text)


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(cell(one) for one in row) + " |" for row in rows)]) + "\n"


def commands_page() -> str:
    """docs/commands.md."""
    every = {path: helped(path) for path in commands(typer.main.get_command(app))}
    counted = Counter(row for _, _, _, options in every.values() for row in options)
    common = sorted((row for row, count in counted.items() if count >= COMMON), key=lambda row: (-counted[row], row))
    text = HEAD + (
        "# Every command and option\n\n"
        "What `--help` says of each command, on one page. [cli.md](cli.md) tells what belongs together, with addresses "
        "and examples.\n\n## Options of most commands\n\n"
    )
    text += table(("option", "what it does"), [(f"`{name}`", said) for name, said in common])
    for path, (usage, summary, arguments, options) in every.items():
        text += f"\n## {' '.join(('v2x', *path))}\n\n{cell(summary)}\n\n```text\n{usage}\n```\n"
        own = [(f"`{name}`", said) for name, said in [*arguments, *(row for row in options if row not in common)]]
        text += "\n" + table(("argument or option", "what it does"), own) if own else ""
        also = [name.split()[0].rstrip(",") for name, said in options if (name, said) in common]
        text += "\nAnd of most commands: " + ", ".join(f"`{name}`" for name in also) + ".\n"
    return text


def columns_page() -> str:
    """docs/plan-columns.md."""
    rows = [
        (f"`{one.name}`", one.meaning, "has to be there" if one.required else _empty(one.default)) for one in COLUMNS
    ]
    return (
        HEAD + "# Every column of a plan\n\n"
        "A plan is a CSV file or a workbook with these columns, in any order; [plan-csv.md](plan-csv.md) tells how it "
        "is drafted, edited and checked. Columns that begin with `result_` are passed over; a column that is not here "
        "is refused. An empty cell stands for what the last column says.\n\n"
        + table(("column", "what it says", "empty"), rows)
    )


def _empty(default: Any) -> str:
    if default in (None, "", {}, (), []):
        return "as its meaning says"
    value = default.value if isinstance(default, Enum) else "yes" if default is True else default
    return f"`{'no' if value is False else value}`"


def codes_page() -> str:
    """docs/codes.md."""
    titles = {
        "own": "Error codes of v2x",
        "exit": "Exit codes",
        "xapi": "XAPI pools and their storage",
        "vsphere": "Faults of vSphere",
        "vddk": "VDDK",
        "windows": "SMB, WinRM and Hyper-V",
        "tools": "qemu-img, qemu-nbd and nbdkit",
    }
    assert titles.keys() == FAMILIES.keys()
    text = HEAD + (
        "# All codes\n\n"
        "Every code that v2x shows in brackets, and every answer of others that it knows. `v2x explain CODE` prints "
        "the page of one, with what lies behind it; it takes names, numbers in any notation, and lines of programs in "
        "quotes. Rules of the assessment are in [rules.md](rules.md).\n"
    )
    for family, title in titles.items():
        rows = []
        for one in causes(family).values():
            said = dict(page_of(one).parts)
            rows.append((f"`{one.id}`" + (f" `{one.name}`" if one.name else ""), said[WHAT], said[DO]))
        text += f"\n## {title}\n\n" + table(("code", "what happened", "what to do"), rows)
    return text


PAGES = {"commands.md": commands_page, "plan-columns.md": columns_page, "codes.md": codes_page}


def main(arguments: list[str]) -> int:
    stale = [name for name, make in PAGES.items() if _read(DOCS / name) != make()]
    if "--write" in arguments:
        for name in stale:
            (DOCS / name).write_text(PAGES[name](), "utf-8")
        return 0
    for name in stale:
        print(f"docs/{name} is not what the program says: python -m tests.docs_made --write")
    return 1 if stale else 0


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
