# SPDX-License-Identifier: Apache-2.0
"""Workbooks given as plans that somebody prepared or damaged: refused with one line, never read further."""

import io
import random
import zipfile

import pytest

from v2x.errors import InputRefused, PlanError, UnsafeImage, V2xError
from v2x.model.plan import PlanRow
from v2x.plan.xlsxfile import read_workbook, write_workbook

GOOD = write_workbook([PlanRow(machine_id="uuid-1", machine_name="web01", source="files", target="pool")])
SHEET = "xl/worksheets/sheet1.xml"


def changed(edit) -> bytes:
    """The good workbook with another sheet."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(GOOD)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, edit(old.read(name)) if name == SHEET else old.read(name))
    return out.getvalue()


def test_entities_are_refused_before_they_grow():
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    data = changed(lambda sheet: bomb + sheet[sheet.index(b"<worksheet") :])
    with pytest.raises(UnsafeImage, match="declares a document type"):
        read_workbook(data)


def test_a_part_that_unpacks_to_far_too_much_is_refused():
    with pytest.raises(UnsafeImage, match="unpacks to"):
        read_workbook(changed(lambda sheet: sheet + b" " * (64 << 20)))


def test_a_row_far_below_does_not_fill_the_memory():
    data = changed(lambda sheet: sheet.replace(b'<row r="2"', b'<row r="99999999"'))
    with pytest.raises(UnsafeImage, match="row numbered"):
        read_workbook(data)


def test_a_formula_counts_by_what_was_saved_with_it():
    cell = b'<c r="A2" t="str"><f>WEBSERVICE("http://127.0.0.1/")</f><v>uuid-9</v></c>'
    start = b'<row r="2"'

    def edit(sheet):
        at = sheet.index(start)
        first = sheet.index(b"<c ", at)
        return sheet[:first] + cell + sheet[sheet.index(b"</c>", first) + 4 :]

    (row,) = read_workbook(changed(edit))
    assert row.machine_id == "uuid-9"


@pytest.mark.parametrize("seed", range(60))
def test_damage_anywhere_is_told_in_one_line(seed):
    chance = random.Random(seed)
    data = bytearray(GOOD)
    if seed % 3 == 0:
        del data[chance.randrange(4, len(data)) :]
    else:
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(4, len(data))] = chance.randrange(256)
    try:
        read_workbook(bytes(data))
    except (PlanError, InputRefused) as problem:
        assert isinstance(problem, V2xError)
        assert "\n" not in problem.message
