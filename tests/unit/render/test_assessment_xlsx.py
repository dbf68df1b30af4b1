# SPDX-License-Identifier: Apache-2.0
"""The assessment as a workbook, read back."""

import io
import zipfile

import openpyxl
import pytest

from v2x.render import render_findings
from v2x.render.spreadsheet import Column, Sheet, workbook


def data_of(build, three, **more):
    return render_findings("xlsx", three.inventory, build.facts, three.findings, now=build.now, version="0.1.0", **more)


@pytest.fixture
def book(build, three):
    return openpyxl.load_workbook(io.BytesIO(data_of(build, three)))


def rows(page):
    head, *rest = page.iter_rows(values_only=True)
    return [dict(zip(head, row, strict=True)) for row in rest]


def test_the_sheets_with_header_filter_and_widths(book):
    assert book.sheetnames == ["Summary", "Machines", "Findings", "Disks", "NICs", "Rules", "Open checks"]
    for page in book:
        assert page.freeze_panes == "A2"
        assert page.auto_filter.ref == page.dimensions
        assert page["A1"].font.bold
        assert page.column_dimensions["A"].width >= 10


def test_machines_with_numbers_as_numbers_and_verdicts_in_colour(book):
    found = rows(book["Machines"])
    assert [(one["machine"], one["verdict"]) for one in found] == [
        ("gamma", "blocked"),
        ("beta", "ready with changes"),
        ("alpha", "ready"),
    ]
    gamma = found[0]
    assert (gamma["blockers"], gamma["warnings"], gamma["vcpus"], gamma["memory_gib"], gamma["capacity_gib"]) == (
        1,
        1,
        2,
        4,
        1,
    )
    assert {book["Machines"][f"G{row}"].fill.fgColor.rgb for row in (2, 3, 4)} == {"00FBE4E2", "00FDF0D2", "00E2F4E8"}


def test_findings_disks_cards_and_rules(book):
    findings = rows(book["Findings"])
    assert [(one["machine"], one["rule"]) for one in findings] == [
        (None, "estate.warning"),
        ("gamma", "some.blocker"),
        ("gamma", "some.warning"),
        ("beta", "some.warning"),
        ("alpha", "some.info"),
    ]
    assert (
        rows(book["Disks"])[0] | {"machine": "gamma", "place": "scsi 0:0", "format": "vmdk", "capacity_gib": 1}
        == rows(book["Disks"])[0]
    )
    assert rows(book["NICs"])[0]["network"] == "LAN"
    assert {one["rule"]: one["machines"] for one in rows(book["Rules"])}["some.warning"] == 2


def test_the_summary_counts(book):
    facts = dict(book["Summary"].iter_rows(min_row=2, values_only=True))
    assert (facts["machines"], facts["ready"], facts["blocked"], facts["capacity_gib"]) == (3, 1, 1, 3)
    assert facts["target"] == "xapi://root@pool, XCP-ng 8.3.0"


def test_the_same_assessment_gives_the_same_bytes(build, three, monkeypatch):
    first = data_of(build, three)
    monkeypatch.setattr("time.localtime", lambda *given: (2031, 5, 6, 7, 8, 9, 0, 1, 0))
    assert data_of(build, three) == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        core = archive.read("docProps/core.xml").decode()
    assert core.count("2026-01-02T03:04:00Z") == 2


def test_a_sheet_that_is_full_says_so(build, monkeypatch):
    monkeypatch.setattr("v2x.render.spreadsheet.MOST_ROWS", 5)
    sheet = Sheet(title="Many", columns=(Column(header="n"),), rows=((number,) for number in range(100)))
    page = openpyxl.load_workbook(io.BytesIO(workbook([sheet], title="t", now=build.now, tones={})))["Many"]
    assert [row[0] for row in page.iter_rows(values_only=True)] == [
        "n",
        0,
        1,
        2,
        "… the sheet is full; the JSON report has the rest",
    ]
    assert page.auto_filter.ref == "A1:A5"


def test_machines_have_columns_to_edit_and_what_is_suggested(build, three, forecast):
    book = openpyxl.load_workbook(io.BytesIO(data_of(build, three, forecast=forecast)))
    found = rows(book["Machines"])
    assert [(one["machine"], one["exclude"], one["wave"], one["note"]) for one in found] == [
        ("gamma", "yes", None, None),
        ("beta", "no", 2, None),
        ("alpha", "no", 1, None),
    ]
    assert [(one["wave"], one["machines"], one["names"]) for one in rows(book["Waves"])] == [
        (1, 1, "alpha"),
        (2, 1, "beta"),
    ]
    assert book.sheetnames[:3] == ["Summary", "Machines", "Waves"]
    coloured = {cell.value for cell in book["Machines"][1] if cell.fill.fgColor.rgb == "00CFE2FB"}
    assert coloured == {"exclude", "target_name", "wave", "note"}
    assert not any(cell.fill.fgColor.rgb == "00CFE2FB" for cell in book["Waves"][1])


def test_open_checks_say_what_is_missing_and_how_to_get_it(build, three):
    lacking = build.unknown("some.rule", machines=("id-alpha",))
    three.findings = (*three.findings, lacking)
    found = rows(openpyxl.load_workbook(io.BytesIO(data_of(build, three)))["Open checks"])
    assert [(one["missing"], one["how to get it"], one["at stake"], one["machines"]) for one in found] == [
        ("Nobody knows.", "Ask somebody.", "blocker", 1)
    ]
