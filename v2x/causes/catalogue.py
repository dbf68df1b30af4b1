# SPDX-License-Identifier: Apache-2.0
"""Reads the rows of *.toml in this folder, and finds one."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from v2x import errors
from v2x.errors import Retry, V2xError

_KEYS = frozenset({"name", "code", "kind", "line", "why", "do", "retry", "pattern"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Whose answers a file holds. `kind` is the error that a row is told as where it says nothing else."""

    file: str
    speaker: str
    kind: type[V2xError]


FAMILIES = {
    "xapi": Family(file="xapi.toml", speaker="an answer of the pool (XAPI)", kind=errors.TargetError),
    "vsphere": Family(file="vsphere.toml", speaker="a fault of vSphere", kind=errors.SourceError),
    "vddk": Family(file="vddk.toml", speaker="an error of VMware's VDDK", kind=errors.SourceError),
    "windows": Family(file="windows.toml", speaker="a status of Windows", kind=errors.SourceError),
    "tools": Family(file="tools.toml", speaker="an error of qemu-img, qemu-nbd or nbdkit", kind=errors.SourceError),
    "own": Family(file="own.toml", speaker="an error of v2x", kind=V2xError),
    "exit": Family(file="exit.toml", speaker="an exit code of v2x", kind=V2xError),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What an answer means. `line` is the cause in one line, in which {0}, {1} … stand for parameters of the answer.

    `do` is the remedy, `why` what lies behind it; `name` is what the vendor calls a number; `reported` is v2x's own
    code for it; `pattern` finds it in what a program printed.
    """

    family: str
    id: str
    name: str
    line: str
    why: str
    do: str
    kind: type[V2xError]
    reported: str
    retry: Retry | None
    pattern: str

    def filled(self, parameters: list[str]) -> str:
        """`line` with the parameters of the answer; "unknown" for those that did not come."""

        def at(match: re.Match[str]) -> str:
            index = int(match[1])
            return parameters[index] if index < len(parameters) and parameters[index] else "unknown"

        return re.sub(r"\{(\d)\}", at, self.line)

    @property
    def plain(self) -> str:
        """`line` where there is no answer to fill it from."""
        return re.sub(r"\{\d\}", "…", self.line)

    def error(self, said: str = "") -> V2xError:
        """The error for it, with `said` in place of `line`."""
        return self.kind(said or self.plain, hint=self.do, code=self.reported, retry=self.retry)


@cache
def causes(family: str) -> dict[str, Cause]:
    """The rows of a family by their id, in the order of the file. ValueError names a row that lacks something."""
    known = FAMILIES[family]
    text = resources.files("v2x.causes").joinpath(known.file).read_text("utf-8")
    return {id_: _read(family, id_, row) for id_, row in tomllib.loads(text).items()}


def _read(family: str, id_: str, row: dict[str, str]) -> Cause:
    where = f"{FAMILIES[family].file}: [{id_}]"
    if not row.keys() <= _KEYS or not all(row.get(key, "").strip() for key in ("line", "why", "do")):
        raise ValueError(f"{where} needs line, why and do, and may have {', '.join(sorted(_KEYS))}")
    kind = getattr(errors, row["kind"]) if "kind" in row else FAMILIES[family].kind
    return Cause(
        family=family,
        id=id_,
        name=row.get("name", ""),
        line=row["line"],
        why=row["why"],
        do=row["do"],
        kind=kind,
        reported=row.get("code", kind.code),
        retry=Retry(row["retry"]) if "retry" in row else None,
        pattern=row.get("pattern", ""),
    )


def cause(family: str, code: str | int) -> Cause | None:
    """The row of a code; a number is looked up as windows.toml and vddk.toml write it."""
    if isinstance(code, int):
        code = f"VDDK-{code}" if family == "vddk" else f"0x{code & 0xFFFFFFFF:08X}"
    return causes(family).get(code)


def remedy(error: V2xError) -> str:
    """What an error says is to be done; where it says nothing, what the page of its code does, without its dot."""
    if error.hint:
        return error.hint
    page = causes("own").get(error.code)
    text = page.do.rstrip(".") if page is not None else ""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def said_by(text: str) -> Cause | None:
    """The row of the first pattern that fits what qemu-img, qemu-nbd or nbdkit printed."""
    return next((one for one in causes("tools").values() if re.search(one.pattern, text)), None)


def found_in(text: str) -> list[Cause]:
    """Every row that somebody may mean by `text`: its id or the vendor's name, whatever their case, a number in another
    notation, or a line that a program printed."""
    wanted = text.strip().casefold()
    number = _number(wanted)
    found = [
        one
        for family in FAMILIES
        for one in causes(family).values()
        if wanted in {one.id.casefold(), one.name.casefold()} - {""} or (family == "windows" and _same(one.id, number))
    ]
    if not found and re.fullmatch(r"sr_backend_failure_\d+", wanted):
        found = [causes("xapi")["SR_BACKEND_FAILURE"]]
    if not found and (said := said_by(text)) is not None:
        found = [said]
    return found


def _number(text: str) -> int | None:
    """A number as Windows and its tools show one: hexadecimal, decimal, or decimal below zero."""
    if re.fullmatch(r"0x[0-9a-f]{1,8}", text):
        return int(text, 16)
    # Short ones are exit codes of v2x.
    return int(text) & 0xFFFFFFFF if re.fullmatch(r"-\d{6,10}|\d{9,10}", text) else None


def _same(id_: str, number: int | None) -> bool:
    return number is not None and int(id_, 16) == number
