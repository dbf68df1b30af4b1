# SPDX-License-Identifier: Apache-2.0
"""The licences of what v2x imports: `python -m tests.release.licences` prints them, and exits 1 where one bars.

v2x is Apache-2.0 and runs its Python dependencies in its own process: none of them may be under the GPL or AGPL. LGPL
is allowed, unchanged and replaceable as a package is, and named. A package whose metadata says nothing bars too.
"""

import importlib.metadata
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from tests.release.lock import ROOT, read

_PERMISSIVE = re.compile(
    r"\b(MIT|BSD|0BSD|ISC|Apache|PSF|Python Software Foundation|Python-2\.0|Zlib|Unlicense|CC0|HPND|MIT-CMU)\b", re.I
)
_LESSER = re.compile(r"\bLGPL|Lesser General Public|Library General Public", re.I)
_GENERAL = re.compile(r"\bA?GPL|\bAffero\b|\bGNU General Public", re.I)
_FILES = re.compile(r"\bMPL|Mozilla Public", re.I)


class Kind(IntEnum):
    """From what asks for least to what bars."""

    PERMISSIVE = 0
    WEAK = 1
    LGPL = 2
    UNKNOWN = 3
    GPL = 4


@dataclass(frozen=True, slots=True)
class Licence:
    name: str
    version: str
    text: str
    kind: Kind


def kind_of(expression: str) -> Kind:
    """The kind of an SPDX expression or of a licence's usual name. Of alternatives the mildest counts."""
    if "(" in expression and re.search(r"\b(AND|OR)\b", expression):
        parts = [part for part in re.split(r"[()]|\bAND\b|\bOR\b", expression) if part.strip()]
        return max((_single(part) for part in parts), default=Kind.UNKNOWN)
    ways = re.split(r"\s+OR\s+|;\s*or\s+", expression)
    return min(max(_single(part) for part in re.split(r"\s+AND\s+|;\s+", way)) for way in ways)


def _single(text: str) -> Kind:
    if _LESSER.search(text):
        return Kind.LGPL
    if _GENERAL.search(text):
        return Kind.GPL
    if _FILES.search(text):
        return Kind.WEAK
    return Kind.PERMISSIVE if _PERMISSIVE.search(text) else Kind.UNKNOWN


def licence_of(name: str) -> Licence:
    """What the metadata of an installed package says. PackageNotFoundError where it is not installed."""
    found = importlib.metadata.metadata(name)
    classes = [c.rpartition(" :: ")[2] for c in found.get_all("Classifier") or () if c.startswith("License ::")]
    text = found.get("License-Expression") or " AND ".join(classes)
    if not text or kind_of(text) is Kind.UNKNOWN:
        text = next(iter((found.get("License") or "").strip().splitlines()), text)[:80]
    return Licence(
        name, importlib.metadata.version(name), text or "says nothing", kind_of(text) if text else Kind.UNKNOWN
    )


def report(names: Iterable[str]) -> tuple[list[Licence], list[str]]:
    """The licences of `names`, and those of them that are not installed here."""
    known, absent = [], []
    for name in sorted(names):
        try:
            known.append(licence_of(name))
        except importlib.metadata.PackageNotFoundError:
            absent.append(name)
    return known, absent


def runtime_names(root: Path) -> list[str]:
    """Every package that a plain `pip install v2x` brings here."""
    return [pin.name for pin in read((root / ".ci/runtime.lock").read_text("utf-8")) if pin.wanted_here]


def barred(known: Sequence[Licence], absent: Sequence[str]) -> list[str]:
    """Why this must not be released."""
    told = {Kind.GPL: "is under the GPL or AGPL", Kind.UNKNOWN: "does not say its licence"}
    found = [f"{one.name} {one.version} {told[one.kind]}: {one.text}" for one in known if one.kind in told]
    return found + [f"{name} is not installed, so its licence is not known: make setup" for name in absent]


def main() -> int:
    known, absent = report(runtime_names(ROOT))
    for one in known:
        print(f"{one.name:22} {one.version:18} {one.text}")
    lesser = [f"{one.name} ({one.text})" for one in known if one.kind is Kind.LGPL]
    print(f"licences: {len(known)} packages; LGPL: {', '.join(lesser) or 'none'}", file=sys.stderr)
    found = barred(known, absent)
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
