# SPDX-License-Identifier: Apache-2.0
import importlib.util
import io
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v2x.errors import InputRefused, PlanError, UsageError
from v2x.plan.columns import COLUMNS, tidy_row
from v2x.plan.csvfile import PlanFileError
from v2x.plan.store import load_plan, save_plan
from v2x.plan.xlsxfile import read_workbook, write_workbook

_spec = importlib.util.spec_from_file_location("plan_shapes", Path(__file__).with_name("test_plan_csvfile.py"))
shapes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(shapes)


def edited(data: bytes, edit) -> bytes:
    """The workbook after `edit` did something to its sheet, saved by another program."""
    book = openpyxl.load_workbook(io.BytesIO(data))
    edit(book.active)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def place(name: str) -> int:
    return next(number for number, column in enumerate(COLUMNS, 1) if column.name == name)


@settings(max_examples=40, deadline=None)
@given(st.lists(shapes.ROWS, max_size=3))
def test_a_workbook_is_read_back(rows):
    assert list(read_workbook(write_workbook(rows))) == [tidy_row(row) for row in rows]


def test_signs_that_a_workbook_cannot_hold(make_row):
    row = make_row(note="bell \x07 and _x0007_ and \ufffe", machine_name="=1+1")
    assert read_workbook(write_workbook([row])) == (row,)


def test_every_cell_is_text_and_none_is_a_formula(make_row):
    page = openpyxl.load_workbook(io.BytesIO(write_workbook([make_row(machine_name="=1+1", note="2026-01-02")]))).active
    cells = [cell for row in page.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s"}
    assert {cell.number_format for cell in cells} == {"@"}


def test_another_program_saves_it_with_numbers_ticks_and_columns_of_its_own(make_row):
    def edit(page):
        page.cell(2, place("vcpus")).value = 8
        page.cell(2, place("start")).value = True
        page.cell(2, place("memory")).value = " 4,5 gib "
        page.insert_cols(1)
        page.cell(1, 1).value = "My own"
        page.cell(2, 1).value = "anything"

    (row,) = read_workbook(edited(write_workbook([make_row()]), edit))
    assert (row.vcpus, row.start, row.memory_bytes) == (8, True, 9 * 2**29)


def test_blank_rows_and_a_leading_sheet_keep_the_numbers(make_row):
    def edit(page):
        page.insert_rows(3, amount=2)
        page.cell(5, place("wave")).value = "soon"
        page.parent.create_sheet("Cover", 0).cell(1, 1).value = "our migration"

    with pytest.raises(PlanFileError) as caught:
        read_workbook(edited(write_workbook([make_row(1), make_row(2)]), edit))
    assert [(one.row, one.column) for one in caught.value.problems] == [(5, "wave")]


def test_an_id_that_excel_took_for_a_number_is_reported(make_row):
    def edit(page):
        page.cell(2, 1).value = 4213450000000000123456

    with pytest.raises(PlanFileError, match="was rounded by a spreadsheet"):
        read_workbook(edited(write_workbook([make_row()]), edit))


def test_a_plan_kept_as_a_workbook(tmp_path, make_plan, make_row):
    path = tmp_path / "plan.xlsx"
    saved = save_plan(make_plan(make_row(1), make_row(2)), path)
    assert load_plan(path) == saved
    path.write_bytes(edited(path.read_bytes(), lambda page: setattr(page.cell(2, place("note")), "value", "mine")))
    assert load_plan(path).rows == (make_row(1, note="mine"), make_row(2))


def test_a_workbook_by_the_wrong_name_is_known_by_its_content(tmp_path, make_plan, make_row):
    saved = save_plan(make_plan(make_row(1)), tmp_path / "plan.xlsx")
    (tmp_path / "plan.csv").write_bytes((tmp_path / "plan.xlsx").read_bytes())
    assert load_plan(tmp_path / "plan.csv").rows == saved.rows


def test_a_cell_too_long_for_a_workbook_is_refused(make_row):
    with pytest.raises(UsageError, match="has 40,000 signs"):
        write_workbook([replace(make_row(), note="x" * 40_000)])


def test_a_workbook_that_is_no_plan():
    book = openpyxl.Workbook()
    book.active.append(["a", "b"])
    out = io.BytesIO()
    book.save(out)
    with pytest.raises(PlanError, match="has no header line"):
        read_workbook(out.getvalue())
    with pytest.raises(InputRefused):
        read_workbook(b"PK\x03\x04 nothing")
