# SPDX-License-Identifier: Apache-2.0
"""Manual pages and shell completion, made from the tree of commands when v2x is built.

One page per command that does something, `v2x-batch-run.1`, in the man(7) macros that groff and mandoc both read.
Completion asks v2x itself at each Tab, so that its scripts hold no names of options.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from v2x import __version__

BASH = """\
# Completion of v2x in bash, loaded by bash-completion at the first Tab.
_v2x() {
    local IFS=$'\\n'
    COMPREPLY=($(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _V2X_COMPLETE=complete_bash "$1" 2>/dev/null))
}
complete -o default -F _v2x v2x
"""
ZSH = """\
#compdef v2x
# Completion of v2x in zsh: the file _v2x in a folder of $fpath. v2x answers with calls of _arguments and _files.
local answer
answer="$(_TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _V2X_COMPLETE=complete_zsh ${words[1]} 2>/dev/null)"
eval "$answer"
"""
FISH = """\
# Completion of v2x in fish.
function __v2x_complete
    set -lx _V2X_COMPLETE complete_fish
    set -lx _TYPER_COMPLETE_ARGS (commandline -cp)
    set -lx _TYPER_COMPLETE_FISH_ACTION $argv[1]
    v2x 2>/dev/null
end
complete --command v2x --no-files --condition '__v2x_complete is-args' --arguments '(__v2x_complete get-args)'
"""

_ENVIRONMENT = (
    ("V2X_SOURCE_PASSWORD, V2X_TARGET_PASSWORD", "Passwords of source and target; with _ALIAS at their end, of one."),
    ("V2X_STATE", "The folder or the database that batches are kept in."),
    ("NO_COLOR", "No colours in what is printed."),
)
_FILES = (("v2x.toml", "Sources, targets and limits by name, in the current folder or given with --config."),)


def write(folder: Path, date: str = "") -> list[Path]:
    """Writes `man/man1`, and the completion of three shells where each looks for it, below `folder` (a `share`).

    `date` is the one that the pages bear.
    """
    files = {f"man/man1/{name}.1": text for name, text in pages(date).items()}
    files["bash-completion/completions/v2x"] = BASH
    files["zsh/site-functions/_v2x"] = ZSH
    files["fish/vendor_completions.d/v2x.fish"] = FISH
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return [folder / name for name in files]


def pages(date: str = "") -> dict[str, str]:
    """The text of each manual page by its name without the section."""
    import typer.main

    from v2x.cli.commands import app

    root: Any = typer.main.get_command(app)
    found = list(_tree(root, ("v2x",)))
    names = ["-".join(path) for path, _ in found]
    return {"-".join(path): _page(path, command, names, date) for path, command in found}


def _tree(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from _tree(inner, (*path, name))


def _page(path: tuple[str, ...], command: Any, names: Iterable[str], date: str) -> str:
    from typer import Context

    name = "-".join(path)
    context = Context(command, info_name=" ".join(path))
    short, *more = _paragraphs(command.help or "")
    lines = [
        f'.TH {name.upper()} 1 "{date}" "v2x {__version__}" "v2x"',
        *(".SH NAME", f"{_plain(name)} \\- {_plain(short.rstrip('.'))}"),
        ".SH SYNOPSIS",
        f".B {_plain(' '.join(path))}",
        " ".join(_plain(piece) for piece in command.collect_usage_pieces(context)),
    ]
    described = [line for text in ([short, *more] if more else []) for line in (".PP", _plain(text))]
    lines += _section("DESCRIPTION", described[1:])
    rows: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            rows[parameter.param_type_name].append(record)
    lines += _section("ARGUMENTS", _terms(rows["argument"]))
    commands = [(inner, one.help or "") for inner, one in getattr(command, "commands", {}).items() if not one.hidden]
    lines += _section("COMMANDS", _terms((inner, _paragraphs(text)[0]) for inner, text in commands))
    lines += _section("OPTIONS", _terms(rows["option"]))
    lines += _ending(path, names)
    return "\n".join(lines) + "\n"


def _ending(path: tuple[str, ...], names: Iterable[str]) -> Iterator[str]:
    from v2x.causes import causes

    if len(path) == 1:
        yield from _section("EXIT STATUS", _terms((code, cause.line) for code, cause in causes("exit").items()))
        yield from _section("ENVIRONMENT", _terms(_ENVIRONMENT))
        yield from _section("FILES", _terms(_FILES))
    mine = "-".join(path)
    near = [name for name in names if name == "-".join(path[:-1]) or _parent(name) == mine]
    ends = [*[" (1)," for _ in near[1:]], " (1)"]
    yield from _section("SEE ALSO", [f".BR {_plain(name)}{end}" for name, end in zip(near, ends, strict=True)])


def _parent(name: str) -> str:
    return name.rpartition("-")[0]


def _section(title: str, lines: Iterable[str]) -> list[str]:
    held = list(lines)
    return [f".SH {title}", *held] if held else []


def _terms(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in rows:
        yield from (".TP", f"\\fB{_plain(term)}\\fR", _plain(text) or "\\&")


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip())] or [""]


def _plain(text: str) -> str:
    """`text` as roff prints it: its own signs escaped, in short lines of which none is taken for a request."""
    lines = textwrap.wrap(text, 66, break_long_words=False, break_on_hyphens=False)
    return "\n".join(_escaped(line) for line in lines)


def _escaped(line: str) -> str:
    found = line.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("…", "...")
    return f"\\&{found}" if found.startswith(".") else found
