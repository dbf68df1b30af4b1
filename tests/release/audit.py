# SPDX-License-Identifier: Apache-2.0
"""Asks for known vulnerabilities of what users run: `python -m tests.release.audit`.

pip-audit asks PyPI, then OSV. A vulnerability fails. Where no service can be asked (no network, a mirror that has no
such service) the output says NOT ASKED and of how many packages nothing is known; that fails nothing, and is no pass.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.release.lock import ROOT

SERVICES = ("pypi", "osv")
ACCEPTED: Mapping[str, str] = {}
"""Vulnerability to the reason why it does not concern v2x."""
_LOCK = ".ci/runtime.lock"
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Told:
    """What a service told: `asked` packages with an answer, `silent` without one, `vulnerable` as lines."""

    asked: int
    silent: int
    vulnerable: tuple[str, ...]
    why: str = ""


def ask(service: str) -> Told:
    """The answers of `service` for every package of the lock."""
    argv = [sys.executable, "-m", "pip_audit", "--requirement", _LOCK, "--require-hashes", "--disable-pip"]
    argv += ["--vulnerability-service", service, "--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    try:
        ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Told(0, 0, (), f"{service} did not answer within {_SECONDS} s")
    return understood(service, ran.stdout, ran.stderr)


def understood(service: str, output: str, problem: str) -> Told:
    """pip-audit's JSON; where it has none, its last line of complaint is the reason."""
    try:
        rows: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = next(iter(problem.strip().splitlines()[-1:]), "it said nothing")
        return Told(0, 0, (), f"{service}: {last[:160]}")
    silent = [row for row in rows if "vulns" not in row]
    found = [
        f"{row['name']} {row['version']}: {vuln['id']}, fixed in {', '.join(vuln['fix_versions']) or 'no version yet'}"
        for row in rows
        for vuln in row.get("vulns", ())
        if not {vuln["id"], *vuln.get("aliases", ())} & set(ACCEPTED)
    ]
    why = f"{service}: {silent[0].get('skip_reason', 'no answer')}"[:160] if silent else ""
    return Told(len(rows) - len(silent), len(silent), tuple(found), why)


def verdict(ask_service: Callable[[str], Told]) -> tuple[int, list[str]]:
    """Exit code and lines."""
    reasons = []
    for service in SERVICES:
        told = ask_service(service)
        if told.vulnerable:
            return 1, [*told.vulnerable, f"audit: {service} knows vulnerabilities; move the lock on: make lock"]
        if told.asked and not told.silent:
            return 0, [f"audit: {service} knows no vulnerability in {told.asked} packages"]
        reasons.append(f"  {told.why}" + (f" ({told.asked} answered, {told.silent} not)" if told.asked else ""))
    return 0, ["audit: NOT ASKED, nothing is known of vulnerabilities: no service could be reached", *reasons]


def main() -> int:
    code, lines = verdict(ask)
    print("\n".join(lines), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
