# SPDX-License-Identifier: Apache-2.0
"""A known vulnerability fails; where nobody could be asked that is said, and is no pass."""

import json

from tests.release.audit import Told, understood, verdict

BAD = {"id": "PYSEC-1", "fix_versions": ["2.0"], "aliases": ["CVE-2030-1"], "description": ""}
SILENT = {"name": "b", "skip_reason": "Dependency not found on PyPI and could not be audited: b (1.0)"}


def document(*rows: dict[str, object]) -> str:
    return json.dumps({"dependencies": rows, "fixes": []})


def test_answers_are_counted_and_vulnerabilities_named() -> None:
    told = understood("pypi", document({"name": "a", "version": "1.0", "vulns": [BAD]}, SILENT), "")
    assert (told.asked, told.silent) == (1, 1)
    assert told.vulnerable == ("a 1.0: PYSEC-1, fixed in 2.0",)
    code, lines = verdict(lambda _: told)
    assert code == 1 and lines[0] == "a 1.0: PYSEC-1, fixed in 2.0"


def test_an_answer_for_all_passes() -> None:
    told = understood("pypi", document({"name": "a", "version": "1.0", "vulns": []}), "")
    assert verdict(lambda _: told) == (0, ["audit: pypi knows no vulnerability in 1 packages"])


def test_the_second_service_is_asked_when_the_first_is_silent() -> None:
    told = {"pypi": Told(0, 1, (), "pypi: no"), "osv": Told(0, 1, ("a 1.0: X",), "")}
    assert verdict(told.__getitem__)[0] == 1


def test_silence_is_no_pass() -> None:
    silent = understood("pypi", document(SILENT), "")
    broken = understood("osv", "", "Traceback\nConnectionError: no route")
    code, lines = verdict({"pypi": silent, "osv": broken}.__getitem__)
    assert code == 0 and lines[0].startswith("audit: NOT ASKED")
    assert lines[1:] == [f"  pypi: {SILENT['skip_reason']}", "  osv: ConnectionError: no route"]


def test_half_an_answer_is_none() -> None:
    half = understood("pypi", document({"name": "a", "version": "1.0", "vulns": []}, SILENT), "")
    code, lines = verdict(lambda _: half)
    assert code == 0 and "NOT ASKED" in lines[0] and "(1 answered, 1 not)" in lines[1]
