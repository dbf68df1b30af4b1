# SPDX-License-Identifier: Apache-2.0
"""What commands print: results on stdout, messages for people on stderr, errors as one line and a remedy."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from v2x.errors import UsageError, V2xError
from v2x.files import write_whole
from v2x.text import printable

_told: list[bool] = []  # whether this run has printed its result; an error is then no document of its own


def begin() -> None:
    """A new run of the command line begins."""
    _told.clear()


def result(text: str) -> None:
    """Prints a result on stdout."""
    _told.append(True)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def document(schema: str, content: dict[str, Any]) -> None:
    """Prints one JSON document on stdout."""
    result(json.dumps({"schema": schema, **content}, indent=2, ensure_ascii=False))


def raw(data: bytes) -> None:
    """Writes bytes to stdout as they are."""
    _told.append(True)
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def note(text: str, *, quiet: bool = False) -> None:
    """A message for a person, on stderr."""
    if not quiet:
        for line in text.split("\n"):
            sys.stderr.write(_fitted(line, rest=" " * (len(line) - len(line.lstrip()))))
        sys.stderr.flush()


def _fitted(line: str, rest: str) -> str:
    """`line` with a line end; on a terminal wrapped to its width, `rest` before each further line."""
    if not sys.stderr.isatty():
        return line + "\n"
    from v2x.render.layout import wrap

    indent = line[: len(line) - len(line.lstrip())]
    width = max(40, shutil.get_terminal_size().columns)
    return "\n".join(wrap(line.lstrip(), width, first=indent, rest=rest)) + "\n"


def problem(error: V2xError, *, as_json: bool = False) -> None:
    """The one line of an error, a line for each of its details, and the remedy."""
    from v2x.causes import remedy

    hint = remedy(error)
    if as_json and not _told:
        document(
            "v2x.error/1",
            {
                "code": error.code,
                "exit_code": error.exit_code,
                "message": error.message,
                "details": list(error.details),
                "hint": hint,
            },
        )
    sys.stderr.write(_fitted(f"error: {printable(error.message, 1000)} [{error.code}]", rest="  "))
    for one in error.details:
        sys.stderr.write(_fitted(f"  - {printable(one, 1000)}", rest="    "))
    if hint:
        sys.stderr.write(_fitted(f"  try: {printable(hint, 1000)}", rest="    "))
    sys.stderr.flush()


def save(path: Path, data: bytes) -> None:
    """Writes `data` to `path` whole or not at all, readable by its owner only."""
    try:
        write_whole(path, data)
    except OSError as trouble:
        raise UsageError(f"cannot write {path}: {trouble.strerror}", hint="check the folder and its space") from None


def width() -> int:
    """Columns of the terminal that results go to; 80 where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 80


def height() -> int:
    return shutil.get_terminal_size().lines if sys.stdout.isatty() else 10_000


def colours() -> bool:
    """Whether results may be coloured: a terminal, and nobody said NO_COLOR."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def page(data: bytes) -> None:
    """Shows `data` in place of what was shown before; appends it where stdout is no terminal."""
    if sys.stdout.isatty():
        raw(b"\x1b[H\x1b[2J" + data)
    else:
        raw(data)
