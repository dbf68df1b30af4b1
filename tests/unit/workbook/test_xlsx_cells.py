# SPDX-License-Identifier: Apache-2.0
"""Workbooks as different programs write them, made of bare parts."""

import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from v2x.errors import BadImage
from v2x.workbook.packed import Archive
from v2x.workbook.xlsx import Workbook

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
Make = Callable[..., list[dict[str, Any]]]


def parts(
    sheet: str, strings: str = "", prefix: str = "", book: str = "", target: str = "worksheets/sheet1.xml"
) -> dict[str, str]:
    space = f'xmlns:{prefix}="{MAIN}"' if prefix else f'xmlns="{MAIN}"'
    p = f"{prefix}:" if prefix else ""
    found = {
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r1" Type="{REL}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<{p}workbook {space} xmlns:r="{REL}">{book}<{p}sheets>'
        f'<{p}sheet name="Data" sheetId="1" r:id="rId1"/></{p}sheets></{p}workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">'
        f'<Relationship Id="rId1" Type="{REL}/worksheet" Target="{target}"/>'
        f'<Relationship Id="rId2" Type="{REL}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f"<{p}worksheet {space}><{p}sheetData>{sheet}</{p}sheetData></{p}worksheet>",
    }
    if strings:
        found["xl/sharedStrings.xml"] = f"<{p}sst {space}>{strings}</{p}sst>"
    return found


@pytest.fixture
def rows(tmp_path: Path) -> Make:
    def read(*given: Any, **named: Any) -> list[dict[str, Any]]:
        path = tmp_path / "book.xlsx"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in parts(*given, **named).items():
                archive.writestr(name, text)
        with path.open("rb") as file, closing(Archive(file, "book.xlsx")) as archive:
            return list(
                Workbook(archive).rows("Data", lambda headers: {at: word for at, word in headers.items() if word})
            )

    return read


HEAD = '<row r="1"><c r="A1" t="str"><v>a</v></c><c r="B1" t="str"><v>b</v></c><c r="D1" t="str"><v>d</v></c></row>'


def test_kinds_of_cells(rows: Make) -> None:
    sheet = HEAD + (
        '<row r="2"><c r="A2"><v>1.5</v></c><c r="B2" t="b"><v>1</v></c>'
        '<c r="D2" t="inlineStr"><is><t>in</t></is></c></row>'
        '<row r="3"><c r="A3" t="e"><v>#N/A</v></c><c r="B3" t="n"><v>nonsense</v></c>'
        '<c r="D3" t="d"><v>2024-01-01</v></c></row>'
        '<row r="4"><c r="A4"><v>1e400</v></c><c r="B4"/><c r="D4" t="str"><v></v></c></row>'
    )
    assert rows(sheet) == [{"a": 1.5, "b": True, "d": "in"}, {"d": "2024-01-01"}]


def test_columns_between_and_beyond_are_left_out(rows: Make) -> None:
    sheet = HEAD + '<row><c r="C2"><v>3</v></c><c r="D2"><v>4</v></c><c r="XFD2"><v>5</v></c></row>'
    assert rows(sheet) == [{"d": 4.0}]


def test_cells_without_a_reference_follow_one_another(rows: Make) -> None:
    sheet = '<row><c t="str"><v>a</v></c><c t="str"><v>b</v></c></row><row><c><v>1</v></c><c><v>2</v></c></row>'
    assert rows(sheet) == [{"a": 1.0, "b": 2.0}]


def test_the_saved_result_of_a_formula_is_taken_and_the_formula_is_not(rows: Make) -> None:
    sheet = HEAD + '<row><c r="A2"><f>WEBSERVICE("http://192.0.2.1/")</f><v>7</v></c><c r="B2"><f>1+1</f></c></row>'
    assert rows(sheet) == [{"a": 7.0}]


def test_shared_strings_rich_text_phonetics_and_escapes(rows: Make) -> None:
    strings = (
        "<si><r><t>two </t></r><r><t>runs</t></r></si>"
        '<si><t xml:space="preserve"> 漢</t><rPh sb="0" eb="1"><t>kan</t></rPh></si>'
        "<si><t>a_x000D_b_xD800_</t></si>"
    )
    cells = "".join(f'<c r="{at}2" t="s"><v>{number}</v></c>' for number, at in enumerate("ABD"))
    assert rows(HEAD + f"<row>{cells}</row>", strings) == [{"a": "two runs", "b": " 漢", "d": "a\rb_xD800_"}]


def test_a_prefix_on_every_element(rows: Make) -> None:
    sheet = '<x:row><x:c r="A1" t="str"><x:v>a</x:v></x:c></x:row><x:row><x:c r="A2" t="s"><x:v>0</x:v></x:c></x:row>'
    assert rows(sheet, "<x:si><x:t>word</x:t></x:si>", prefix="x") == [{"a": "word"}]


@pytest.mark.parametrize(
    "target", ["/xl/worksheets/sheet1.xml", "./worksheets/sheet1.xml", "../xl/worksheets/sheet1.xml"]
)
def test_targets_in_every_form(rows: Make, target: str) -> None:
    assert rows(HEAD + '<row><c r="A2"><v>1</v></c></row>', target=target) == [{"a": 1.0}]


@pytest.mark.parametrize(
    "cell", ['<c r="A2" t="s"><v>5</v></c>', '<c r="A2" t="s"><v>-1</v></c>', '<c r="A2" t="s"><v>x</v></c>']
)
def test_a_string_that_is_not_there_is_damage(rows: Make, cell: str) -> None:
    with pytest.raises(BadImage, match="which is not there"):
        rows(HEAD + f"<row>{cell}</row>", "<si><t>x</t></si>")


@pytest.mark.parametrize("reference", ["a2", "AAAA2", "ZZZ2", "2", "Ä2", "$A$2"])
def test_references_that_are_none_are_damage(rows: Make, reference: str) -> None:
    with pytest.raises(BadImage):
        rows(HEAD + f'<row><c r="{reference}"><v>1</v></c></row>')
