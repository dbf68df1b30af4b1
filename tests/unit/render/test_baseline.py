# SPDX-License-Identifier: Apache-2.0
"""What changed since an earlier assessment, in every format that tells it."""

import io
import json
from dataclasses import replace

import openpyxl
import pytest

from v2x.errors import BadImage
from v2x.render import render_findings
from v2x.render.baseline import read_baseline
from v2x.render.layout import columns


@pytest.fixture
def earlier(build, three):
    """The three machines as they were: one more, one less, one ready that is blocked now, one finding that is gone."""
    alpha, beta, gamma = three.inventory.machines
    gone = build.machine("delta")
    findings = (
        build.finding(beta, "warning", text="With another figure."),
        build.finding(beta, "warning", rule="old.rule", label="An old one"),
        build.finding(gone, "blocker"),
        build.finding(None, "warning", rule="estate.old", label="Of the estate once"),
    )
    data = render_findings("json", build.inventory(beta, gamma, gone), None, findings, now=build.now, version="0.0.9")
    del alpha
    return read_baseline(data, "old.json")


def document(build, three, form, baseline, **more):
    data = render_findings(
        form, three.inventory, build.facts, three.findings, now=build.now, version="0.1.0", baseline=baseline, **more
    )
    return data if form == "xlsx" else data.decode()


def changes(build, three, baseline):
    return json.loads(document(build, three, "json", baseline))["changes"]


def test_machines_and_verdicts(build, three, earlier):
    found = changes(build, three, earlier)
    assert [(one["name"], one["verdict"]) for one in found["new_machines"]] == [("alpha", "ready")]
    assert [(one["name"], one["verdict"]) for one in found["gone_machines"]] == [("delta", "blocked")]
    assert [(one["name"], one["before"], one["now"]) for one in found["verdicts"]] == [("gamma", "ready", "blocked")]


def test_findings_of_machines_both_know_and_of_the_estate(build, three, earlier):
    found = changes(build, three, earlier)
    assert [(one["machine_name"], one["rule"]) for one in found["new_findings"]] == [
        ("", "estate.warning"),
        ("gamma", "some.blocker"),
        ("gamma", "some.warning"),
    ]
    assert [(one["machine_name"], one["rule"]) for one in found["gone_findings"]] == [
        ("", "estate.old"),
        ("beta", "old.rule"),
    ]


def test_another_text_of_the_same_finding_is_no_change(build, three, earlier):
    assert all(one["machine_name"] != "beta" for one in changes(build, three, earlier)["new_findings"])


def test_two_findings_of_one_rule_and_part_count_twice(build):
    machine = build.machine()
    one, two = build.finding(machine), build.finding(machine, text="Again.")
    old = render_findings("json", build.inventory(machine), None, [one], now=build.now, version="1")
    new = render_findings(
        "json", build.inventory(machine), None, [one, two], now=build.now, version="1", baseline=read_baseline(old, "o")
    )
    assert len(json.loads(new)["changes"]["new_findings"]) == 1


def test_a_machine_with_another_id_is_known_by_its_name(build, three):
    old = json.loads(document(build, three, "json", None))
    for machine in old["machines"]:
        machine["id"] += "-old"
    for finding in old["findings"]:
        finding["machine_id"] += "-old" if finding["machine_id"] else ""
    found = changes(build, three, read_baseline(json.dumps(old).encode(), "old.json"))
    assert not any(found[key] for key in ("new_machines", "gone_machines", "verdicts", "new_findings", "gone_findings"))


def test_two_machines_of_one_name_are_not_taken_for_each_other(build):
    def inventory(*ids):
        return build.inventory(*(build.machine("web", id=one) for one in ids))

    old = render_findings("json", inventory("a", "b"), None, [], now=build.now, version="1")
    new = render_findings(
        "json", inventory("c", "d"), None, [], now=build.now, version="1", baseline=read_baseline(old, "o")
    )
    found = json.loads(new)["changes"]
    assert (len(found["new_machines"]), len(found["gone_machines"])) == (2, 2)


def test_cautions_name_what_else_differs(build, three, earlier):
    cautions = changes(build, three, earlier)["cautions"]
    assert cautions == [
        "The earlier assessment was against no target, this one is against xapi://root@pool.",
        "The earlier assessment was made by v2x 0.0.9, which may not have had all rules.",
    ]
    other = replace(earlier, source=replace(earlier.source, address="/elsewhere"))
    assert "The earlier assessment was of another source: /elsewhere." in changes(build, three, other)["cautions"]


def test_without_an_earlier_one_nothing_is_said(build, three):
    assert "changes" not in json.loads(document(build, three, "json", None))
    assert "What changed" not in document(build, three, "text", None)
    assert "What changed" not in document(build, three, "html", None)


@pytest.mark.parametrize("width", [80, 40])
def test_text(build, three, earlier, width):
    text = document(build, three, "text", earlier, width=width)
    words = " ".join(text.split())
    assert "What changed since 2026-01-02 03:04 UTC" in words
    assert "1 new machine: alpha (ready)" in words
    assert "1 machine gone: delta" in words
    assert "1 verdict changed: gamma (ready → blocked)" in words
    assert "3 new findings: blocker: A blocker of some kind [some.blocker]: gamma" in words
    assert "2 findings gone: warning: Of the estate once [estate.old]: the estate" in words
    assert all(columns(line) <= width for line in text.splitlines())


def test_text_of_no_change(build, three):
    same = read_baseline(document(build, three, "json", None).encode(), "old.json")
    assert "What changed since 2026-01-02 03:04 UTC\n  Nothing.\n" in document(build, three, "text", same)
    assert "Nothing: the same machines" in document(build, three, "html", same)


def test_html(build, three, earlier):
    page = document(build, three, "html", earlier)
    assert '<h2 id="changes">What changed since 2026-01-02 03:04 UTC</h2>' in page
    section = page[page.index('id="changes"') : page.index('id="estate"')]
    for word in ("alpha", "delta", "gamma", "New findings", "Findings gone", "An old one"):
        assert word in section


def test_xlsx(build, three, earlier):
    page = openpyxl.load_workbook(io.BytesIO(document(build, three, "xlsx", earlier)))["Changes"]
    found = [row[:2] for row in page.iter_rows(min_row=2, values_only=True)]
    assert ("new machine", "alpha") in found
    assert ("verdict", "gamma") in found
    assert len(found) == 3 + 3 + 2


def test_only_some_machines(build, three, earlier):
    found = changes(build, three, earlier.only(lambda word: word == "beta"))
    assert found["gone_machines"] == []
    assert [one["rule"] for one in found["gone_findings"]] == ["estate.old", "old.rule"]


@pytest.mark.parametrize("data", [b"", b"null", b"{}", b'{"schema": "v2x.assessment/2"}', b"\xff", b"[" * 100_000])
def test_anything_else_is_no_baseline(data):
    with pytest.raises(BadImage, match="not an assessment of v2x") as refused:
        read_baseline(data, "old.json")
    assert "--format json" in refused.value.hint
