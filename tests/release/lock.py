# SPDX-License-Identifier: Apache-2.0
"""The locked requirements: `python -m tests.release.lock check` or `write`.

Two files beside the CI's scripts name one version of every package, with the SHA-256 of each of its files, for every
platform and Python that v2x runs on: `requirements.lock` for development, `runtime.lock` for what users run. They name
no index, so that they serve behind any mirror, and offline. `check` fails where one is not of today's pyproject.toml.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = {"requirements.lock": ("dev",), "runtime.lock": ()}
"""File in .ci to the extras that it holds beside the plain dependencies."""
_STAMP = "# of pyproject.toml: sha256:"
_PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?$")
_HASH = re.compile(r"^\s+--hash=sha256:(?P<sum>[0-9a-f]{64})\s*\\?$")
_VIA = re.compile(r"^\s+#(?: via)? +(?!via$)(?P<by>[\w.-]+)")


@dataclass(frozen=True, slots=True)
class Pin:
    """One locked package; `by` are those that ask for it, by canonical names."""

    name: str
    version: str
    marker: str
    sums: tuple[str, ...]
    by: tuple[str, ...]

    @property
    def wanted_here(self) -> bool:
        return not self.marker or Marker(self.marker).evaluate()


def wanted(project: Path, extras: Iterable[str]) -> list[str]:
    """The requirements of a pyproject.toml, its plain ones and those of `extras`, sorted."""
    table = tomllib.loads(project.read_text("utf-8"))["project"]
    found = list(table["dependencies"])
    for extra in extras:
        found += table["optional-dependencies"][extra]
    return sorted(set(found))


def stamp(requirements: list[str]) -> str:
    return hashlib.sha256(json.dumps(requirements).encode()).hexdigest()


def read(text: str) -> list[Pin]:
    """The pins of a lock. ValueError for a line that is none of what a lock holds."""
    rows: list[tuple[re.Match[str], list[str], list[str]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if pin := _PIN.match(line):
            rows.append((pin, [], []))
        elif rows and (sum_ := _HASH.match(line)):
            rows[-1][1].append(sum_["sum"])
        elif rows and (via := _VIA.match(line)):
            rows[-1][2].append(str(canonicalize_name(via["by"])))
        elif not (rows and re.fullmatch(r"\s+# via", line)):
            raise ValueError(f"line {number}: {line.strip()[:80]}")
    return [
        Pin(str(canonicalize_name(pin["name"])), pin["version"], pin["marker"] or "", tuple(sums), tuple(by))
        for pin, sums, by in rows
    ]


def faults(text: str, requirements: list[str]) -> Iterator[str]:
    """What is wrong with a lock of `requirements`."""
    if f"{_STAMP}{stamp(requirements)}\n" not in text:
        yield "is not of today's pyproject.toml: make lock"
    if re.search(r"https?://|--index|--extra-index|--find-links|--trusted-host", text):
        yield "names an index"
    try:
        pins = {pin.name: pin for pin in read(text)}
    except ValueError as problem:
        yield f"cannot be read: {problem}"
        return
    for line in requirements:
        requirement = Requirement(line)
        pin = pins.get(str(canonicalize_name(requirement.name)))
        if pin is None:
            yield f"lacks {requirement.name}"
        elif not requirement.specifier.contains(Version(pin.version), prereleases=True):
            yield f"has {pin.name} {pin.version}, wanted {requirement.specifier}"
    for pin in pins.values():
        if not pin.sums:
            yield f"has no hash for {pin.name}"
        if not pin.by:
            yield f"does not say who asks for {pin.name}"


def check(root: Path) -> list[str]:
    found = []
    for name, extras in LOCKS.items():
        file = root / ".ci" / name
        text = file.read_text("utf-8") if file.exists() else ""
        found += [f".ci/{name} {fault}" for fault in faults(text, wanted(root / "pyproject.toml", extras))]
    plain, dev = (
        {pin.name: pin.version for pin in read((root / ".ci" / name).read_text("utf-8"))}
        for name in ("runtime.lock", "requirements.lock")
    )
    differing = sorted(name for name, version in plain.items() if dev.get(name) != version)
    return found + [f"the two locks differ in {name}" for name in differing]


def write(root: Path) -> None:
    """Makes both locks anew, of the newest versions that fit. Asks the index that pip and uv are set up with."""
    for name, extras in LOCKS.items():
        file = root / ".ci" / name
        tied = [] if name == "requirements.lock" else ["--constraint", ".ci/requirements.lock"]
        made = subprocess.run(
            [
                *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet", "--universal"),
                *("--python-version", "3.11", "--generate-hashes", "--no-header", "--no-emit-index-url"),
                *(f"--extra={extra}" for extra in extras),
                *tied,
            ],
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        # Where two ask for a package, the constraint file is named as a third, which asks for nothing.
        made = re.sub(r"^ +#(?: via|  ) +-c .*\n", lambda found: _kept_via(found[0]), made, flags=re.MULTILINE)
        head = f"# Made by `make lock`. Each package that v2x {_purpose(extras)}, for every platform.\n"
        file.write_text(f"{head}{_STAMP}{stamp(wanted(root / 'pyproject.toml', extras))}\n{made}", "utf-8")


def _kept_via(line: str) -> str:
    return "    # via\n" if " via " in line else ""


def _purpose(extras: tuple[str, ...]) -> str:
    return "is developed and tested with" if extras else "runs with"


def main(words: list[str]) -> int:
    if words == ["write"]:
        write(ROOT)
    elif words != ["check"]:
        print("usage: python -m tests.release.lock check|write", file=sys.stderr)
        return 2
    found = check(ROOT)
    print("\n".join(found) or "locks: of today's pyproject.toml, every file with its hash", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
