# SPDX-License-Identifier: Apache-2.0
"""RVTools exports made to exhaust, to reach out, or to be taken for something else."""

import importlib.util
import os
import random
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from types import ModuleType

import pytest

from tests.hostile.conftest import Watch
from v2x.errors import BadImage, InputRefused, UnsafeImage, Unsupported, V2xError
from v2x.sources import open_source

MIB = 1 << 20


def _book() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rvtools_book", Path(__file__).parents[1] / "rvtools_book.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


book = _book()


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return Path(book.write_xlsx(tmp_path / "export.xlsx", book.estate()))


def replaced(export: Path, part: str, data: bytes) -> Path:
    """The workbook with another content of one part."""
    out = export.with_name("changed.xlsx")
    with zipfile.ZipFile(export) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, data if name == part else old.read(name))
        if part not in old.namelist():
            new.writestr(part, data)
    return out


SHEET = "xl/worksheets/sheet1.xml"
STRINGS = "xl/sharedStrings.xml"


def part_of(export: Path, name: str) -> bytes:
    """A part as it is; the shared strings, which openpyxl writes none of, as they could be."""
    if name == STRINGS:
        return b"<sst>" + b"<si><t>word</t></si>" * 20 + b"</sst>"
    with zipfile.ZipFile(export) as archive:
        return archive.read(name)


LAUGHS = (
    b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">'
    b'<!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;">]>'
)


@pytest.mark.parametrize("part", [SHEET, STRINGS, "xl/workbook.xml", "_rels/.rels", "xl/_rels/workbook.xml.rels"])
def test_billion_laughs_in_any_part(export: Path, part: str) -> None:
    data = part_of(export, part)
    head, _, rest = data.partition(b"?>") if data.startswith(b"<?xml") else (b"<?xml version='1.0'", b"", data)
    with pytest.raises(UnsafeImage, match="document type"):
        open_source(replaced(export, part, head + b"?>" + LAUGHS + rest))


@pytest.mark.parametrize("encoding", ["utf-16", "cp037"])
def test_a_document_type_hidden_by_an_encoding(export: Path, encoding: str) -> None:
    body = (LAUGHS + b"<worksheet/>").decode().encode(encoding)
    head = b"" if encoding == "utf-16" else b'<?xml version="1.0" encoding="cp037"?>'
    with pytest.raises(InputRefused):
        open_source(replaced(export, SHEET, head + body))


def test_an_external_entity_reads_no_file(export: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    entity = f'<!DOCTYPE x [<!ENTITY s SYSTEM "file://{tmp_path}/secret">]>'.encode()
    with pytest.raises(UnsafeImage):
        open_source(replaced(export, SHEET, entity + b"<worksheet><sheetData>&s;</sheetData></worksheet>"))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(export: Path) -> None:
    bomb = b"<worksheet><sheetData>" + b" " * (64 * MIB)
    with pytest.raises(UnsafeImage, match="unpacks to"):
        open_source(replaced(export, SHEET, bomb))


def test_a_part_that_lies_about_its_size_ends_where_it_said(export: Path) -> None:
    data = bytearray(replaced(export, SHEET, b"<worksheet>" + b" " * (8 * MIB)).read_bytes())
    central = data.rindex(b"PK\x01\x02", 0, data.rindex(SHEET.encode()))
    data[central + 24 : central + 28] = (100).to_bytes(4, "little")
    lying = export.with_name("lying.xlsx")
    lying.write_bytes(data)
    with pytest.raises(BadImage):
        open_source(lying)


def test_overlapping_members_count_each(tmp_path: Path) -> None:
    """Many entries of the directory that share one packed body."""
    body = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = b"VM,CPUs\n" + b"web,1\n" * (20 * MIB // 6)
    packed = body.compress(raw) + body.flush()
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("RVTools_tabvInfo.csv", raw)
    assert len(packed) < len(raw) // 250
    with pytest.raises(UnsafeImage):
        open_source(tmp_path / "export.zip")


def test_too_many_rows(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("v2x.workbook.xlsx.MOST_ROWS", 3)
    with pytest.raises(UnsafeImage, match="more than 3 rows"):
        open_source(export)


def test_too_many_rows_of_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("v2x.sources.rvtools_files.MOST_ROWS", 3)
    with pytest.raises(UnsafeImage, match="more than 3 rows"):
        open_source(book.write_csv(tmp_path, book.estate()))


def test_too_many_members(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for number in range(10_001):
            archive.writestr(f"{number}.csv", "")
    with pytest.raises(UnsafeImage, match="more than 10,000 files"):
        open_source(tmp_path / "export.zip")


@pytest.mark.parametrize(
    "xml",
    [
        b"<c>" * 100_000,
        b"<v>" * 100_000,
        b"<sheetData>" * 100_000,
        b"<sheetData><row>" + b"<is>" * 100_000,
        b"<sheetData><row>" * 50_000,
    ],
)
def test_deep_nesting(export: Path, xml: bytes) -> None:
    with pytest.raises(InputRefused):
        open_source(replaced(export, SHEET, b"<worksheet>" + xml))


def test_deep_nesting_of_strings(export: Path) -> None:
    with pytest.raises(UnsafeImage, match="deeper"):
        open_source(replaced(export, STRINGS, b"<sst>" + b"<si>" * 100_000))


def test_an_endless_tag(export: Path) -> None:
    noise = random.Random(1).randbytes(6 * MIB).hex().encode()
    with pytest.raises(UnsafeImage, match="tag of more than"):
        open_source(replaced(export, SHEET, b'<worksheet a="' + noise + b'"></worksheet>'))


def test_long_cells_are_kept_whole_up_to_what_excel_allows(tmp_path: Path) -> None:
    sheets = book.estate()
    sheets["vInfo"][0]["VM"] = "n" * 10_240
    sheets["vInfo"][0]["Annotation"] = "x" * 32_767
    with open_source(book.write_xlsx(tmp_path / "export.xlsx", sheets)) as source:
        machine = source.inventory().machines[0]
    assert (len(machine.name), len(machine.notes)) == (10_240, 32_767)


def test_longer_cells_are_cut(tmp_path: Path, export: Path) -> None:
    sheet = b'<worksheet><sheetData><row><c t="str"><v>VM</v></c></row><row><c t="inlineStr"><is><t>'
    path = replaced(export, SHEET, sheet + b"n" * MIB + b"</t></is></c></row></sheetData></worksheet>")
    with open_source(path) as source:
        assert len(source.inventory().machines[0].name) == 32_767
    folder = tmp_path / "csv"
    folder.mkdir()
    (folder / "vInfo.csv").write_text("VM\n" + "n" * 40_000 + "\n")
    with open_source(folder) as source:
        assert len(source.inventory().machines[0].name) == 32_767


def test_an_endless_csv_cell(tmp_path: Path) -> None:
    (tmp_path / "vInfo.csv").write_text('VM\n"' + "n" * MIB)
    with pytest.raises(BadImage, match="not CSV"):
        open_source(tmp_path)


def test_formulas_stay_text_or_their_saved_result(tmp_path: Path) -> None:
    from openpyxl import Workbook

    made = Workbook()
    page = made.worksheets[0]
    page.title = "vInfo"
    page.append(["VM", "CPUs", "Annotation"])
    page.append(["web", "=1+1", '=HYPERLINK("http://192.0.2.9","x")'])
    made.save(tmp_path / "export.xlsx")
    with open_source(tmp_path / "export.xlsx") as source:
        machine = source.inventory().machines[0]
    assert (machine.name, machine.cpu.count, machine.notes) == ("web", 0, "")


@pytest.mark.parametrize("data", [b"", b"not a workbook at all" * 100, b"PK\x03\x04" + bytes(200), b"<html></html>"])
def test_not_a_zip(tmp_path: Path, data: bytes) -> None:
    for name in ("export.xlsx", "export.zip"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadImage, match="not a zip archive") as refused:
            open_source(tmp_path / name)
        assert refused.value.exit_code == 6


def test_a_workbook_with_a_password(tmp_path: Path) -> None:
    ole = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(3 * MIB) + "EncryptedPackage".encode("utf-16-le") + bytes(100)
    (tmp_path / "export.xlsx").write_bytes(ole)
    with pytest.raises(Unsupported, match="encrypted with a password") as refused:
        open_source(tmp_path / "export.xlsx")
    assert "without one" in refused.value.hint


def test_a_workbook_of_the_old_format(tmp_path: Path) -> None:
    (tmp_path / "export.xlsx").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(1000))
    with pytest.raises(Unsupported, match="Excel 97"):
        open_source(tmp_path / "export.xlsx")


def test_an_encrypted_member(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as archive:
        archive.writestr("vInfo.csv", "VM\nweb\n")
    data = bytearray((tmp_path / "plain.zip").read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "export.zip").write_bytes(data)
    with pytest.raises(Unsupported, match="is encrypted"):
        open_source(tmp_path / "export.zip")


def test_a_link_is_not_followed(tmp_path: Path, export: Path) -> None:
    (tmp_path / "link.xlsx").symlink_to(export)
    with pytest.raises(UnsafeImage, match="symbolic link"):
        open_source(tmp_path / "link.xlsx")


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "export.xlsx")
    with pytest.raises(UnsafeImage, match="regular file"):
        open_source(tmp_path / "export.xlsx")


@pytest.mark.parametrize("seed", range(60))
def test_damage_anywhere_is_an_error_of_its_own(export: Path, seed: int) -> None:
    """Bytes changed, cut and repeated: a clear refusal or an inventory, nothing else."""
    dice = random.Random(seed)
    if seed % 2:
        data = bytearray(export.read_bytes())
    else:
        part = dice.choice([SHEET, "xl/workbook.xml", STRINGS, "xl/_rels/workbook.xml.rels", "_rels/.rels"])
        data = bytearray(part_of(export, part))
    for _ in range(dice.randint(1, 20)):
        at = dice.randrange(len(data))
        match dice.randrange(4):
            case 0:
                data[at] = dice.randrange(256)
            case 1:
                del data[at : at + dice.randint(1, 50)]
            case 2:
                data[at:at] = data[at : at + dice.randint(1, 50)]
            case _:
                data[at:at] = dice.choice([b"&amp;", b"<v>", b"</c>", b'r="ZZZZ9"', b"-1", b"\x00", b"\xff\xfe"])
        if not data:
            break
    if seed % 2:
        path = export.with_name("damaged.xlsx")
        path.write_bytes(data)
    else:
        path = replaced(export, part, bytes(data))
    try:
        with open_source(path) as source:
            source.inventory()
    except V2xError as problem:
        assert "\n" not in problem.message or len(problem.message) < 2000


def test_memory_stays_small_for_many_strings(tmp_path: Path, watched: Watch) -> None:
    """Twenty megabytes of strings in one cell's place do not become many times that."""
    path = book.write_xlsx(tmp_path / "export.xlsx", book.estate())
    noise = random.Random(2).randbytes(5 * MIB).hex().encode()
    strings = b"<sst>" + b"".join(b"<si><t>" + noise[at : at + 20] + b"</t></si>" for at in range(0, len(noise), 20))
    grown = replaced(path, STRINGS, strings + b"</sst>")
    code = (
        "import resource, sys; from v2x.errors import V2xError; from v2x.sources import open_source\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({512 * MIB}, {512 * MIB}))\n"
        f"try:\n    open_source({str(grown)!r})\nexcept V2xError as problem:\n    print(problem.code)\n"
    )
    watched.allow_program(sys.executable)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
