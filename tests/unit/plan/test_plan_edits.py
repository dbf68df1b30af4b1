# SPDX-License-Identifier: Apache-2.0
"""What people wrote into a report, read back in the shapes that spreadsheets save."""

import io
from pathlib import Path

import openpyxl
import pytest

from v2x.errors import InputRefused, PlanError
from v2x.plan import apply_edits, csv_edits, draft_plan, read_edits
from v2x.plan.csvfile import PlanFileError
from v2x.workbook.edited_sheet import sheet_rows

HEAD = "machine,machine_id,exclude,target_name,wave,note,verdict,rule\r\n"


def edits(text, name="report.csv"):
    return csv_edits(text.encode(), name)


def test_edits_of_a_machine_are_read(tables):
    found = edits(HEAD + 'web,vm-1,yes,web-new,3,"ask Ann, then go",ready,\r\n')
    one = found["vm-1"]
    assert (one.exclude, one.target_name, one.wave, one.note) == (True, "web-new", 3, "ask Ann, then go")
    assert not one.blocked


@pytest.mark.parametrize(
    "data",
    [
        ("\ufeff" + HEAD + "web,vm-1,no,w,2,n,ready,\r\n").encode(),
        (HEAD + "web,vm-1,no,w,2,n,ready,\r\n").replace(",", ";").encode(),
        (HEAD + "web,vm-1,no,w,2,n,ready,\r\n").replace(",", "\t").encode("utf-16"),
        b"sep=;\r\n" + (HEAD + "web,vm-1,no,w,2.0,n,ready,\r\n").replace(",", ";").encode(),
        ("Note,Wave,Machine ID,Target Name,Exclude\n" + "n,2,vm-1,w,FALSE\n").encode(),
    ],
    ids=["mark", "semicolons", "utf-16 tabs", "sep", "other order"],
)
def test_every_shape_that_spreadsheets_save(data):
    one = csv_edits(data, "report.csv")["vm-1"]
    assert (one.exclude, one.target_name, one.wave, one.note) == (False, "w", 2, "n")


def test_findings_rows_without_edits_change_nothing_and_edits_there_count():
    found = edits(HEAD + "web,vm-1,no,,1,,blocked,\r\nweb,vm-1,,,,,blocked,disk.shared\r\nweb,vm-1,,,,later,,x.y\r\n")
    assert (found["vm-1"].exclude, found["vm-1"].note, found["vm-1"].blocked) == (False, "later", True)


def test_disarmed_cells_are_read_as_they_were():
    assert edits(HEAD + "web,'=vm-1,no,'+plus,,'-x,ready,\r\n")["=vm-1"].target_name == "+plus"


def test_everything_wrong_is_said_at_once_with_its_row():
    with pytest.raises(PlanFileError) as refused:
        edits(HEAD + "a,vm-1,maybe,,0,,,\r\nb,vm-2,yes,,,,,\r\nb,vm-2,no,,,,,x.y\r\n")
    text = "\n".join(refused.value.details)
    assert "row 2, column exclude: 'maybe' is neither yes nor no" in text
    assert "row 2, column wave: '0' is out of range" in text
    assert "row 4, column exclude: differs from row 3 of the same machine" in text


@pytest.mark.parametrize("text", ["", "a,b\r\n1,2\r\n", "machine_id,verdict\r\nvm-1,ready\r\n"])
def test_another_file_is_refused(text):
    with pytest.raises(PlanError, match="no report of v2x assess"):
        edits(text)


@pytest.fixture
def plan(facts, tables, make_inventory, make_machine):
    def make(*machines, **options):
        from tests.unit.plan.conftest import NOW  # the fixtures' own time
        from v2x.model.plan import Endpoint

        return draft_plan(
            {"files": make_inventory(*machines)},
            {"pool": facts},
            tables,
            sources=(Endpoint(alias="files", address="/srv/ova"),),
            targets=(Endpoint(alias="pool", address="xapi://root@pool.example"),),
            now=NOW,
            **options,
        )

    return make


def test_edits_go_into_the_rows_of_the_draft(plan, make_machine):
    drafted = plan(make_machine("web", id="vm-1"), make_machine("db", id="vm-2"))
    found = edits(HEAD + "web,vm-1,yes,web-new,3,mine,ready,\r\ngone,vm-9,no,,,,ready,\r\n")
    edited, strangers = apply_edits(drafted, found)
    web, db = edited.rows
    assert (web.exclude, web.target_name, web.wave, web.note) == (True, "web-new", 3, "mine")
    assert db == drafted.rows[1]
    assert strangers == ("vm-9",)
    assert edited.id != drafted.id


def test_a_machine_with_another_id_is_known_by_a_name_that_only_one_has(plan, make_machine):
    drafted = plan(*(make_machine(name, id=f"{name}-{at}") for at, name in enumerate(("web", "db", "db"))))
    found = edits(HEAD + "web,old-1,,www,,,,\r\ndb,old-2,,data,,,,\r\nmail,old-3,,post,,,,\r\n")
    edited, strangers = apply_edits(drafted, found)
    assert [row.target_name for row in edited.rows] == ["www", "db", "db"]
    assert strangers == ("old-2", "old-3")


@pytest.mark.parametrize(("verdict", "excluded"), [("ready", True), ("blocked", False)])
def test_no_takes_in_a_machine_that_the_report_advised_to_leave_out_only(plan, make_machine, verdict, excluded):
    drafted = plan(make_machine("web", id="vm-1", is_template=True))
    assert drafted.rows[0].exclude
    edited, _ = apply_edits(drafted, edits(HEAD + f"web,vm-1,no,,,,{verdict},\r\n"))
    assert edited.rows[0].exclude is excluded


def workbook(path: Path, *rows, sheet="Machines"):
    book = openpyxl.Workbook()
    page = book.active
    page.title = sheet
    for row in rows:
        page.append(row)
    book.save(path)
    return path


COLUMNS = ("machine_id", "machine", "exclude", "target_name", "wave", "note", "verdict")


def test_a_workbook_is_read_by_its_sheet_of_machines(tmp_path):
    path = workbook(
        tmp_path / "report.xlsx",
        ["machine", "machine_id", "exclude", "target_name", "wave", "note", "verdict", "memory_gib"],
        ["web", "vm-1", True, "web-new", 2, "mine", "blocked", 4],
        ["db", "vm-2", "no", None, None, None, "ready", 8],
    )
    found = read_edits(sheet_rows(path, "Machines", COLUMNS), "report.xlsx")
    assert (found["vm-1"].exclude, found["vm-1"].wave, found["vm-1"].blocked) == (True, 2, True)
    assert (found["vm-2"].exclude, found["vm-2"].wave) == (False, None)


def test_a_workbook_without_the_sheet_is_refused(tmp_path):
    path = workbook(tmp_path / "other.xlsx", ["a"], sheet="Data")
    with pytest.raises(InputRefused, match="no sheet Machines"):
        list(sheet_rows(path, "Machines", COLUMNS))


def test_what_is_no_workbook_is_refused(tmp_path):
    path = tmp_path / "report.xlsx"
    path.write_bytes(io.BytesIO(b"PK\x03\x04 nothing").getvalue())
    with pytest.raises(InputRefused):
        list(sheet_rows(path, "Machines", COLUMNS))
    with pytest.raises(InputRefused, match="cannot read"):
        list(sheet_rows(tmp_path / "absent.xlsx", "Machines", COLUMNS))
