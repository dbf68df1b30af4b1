# SPDX-License-Identifier: Apache-2.0
import codecs
import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v2x.errors import PlanError
from v2x.model.health import OnFail
from v2x.model.machine import Firmware
from v2x.model.migration import VerifyLevel
from v2x.model.plan import GuestConversion, GuestWish, MacPolicy, PlanRow, Running, Transfer
from v2x.model.target import HaPriority, SecureBoot
from v2x.model.units import GIB
from v2x.plan.columns import BY_NAME, COLUMNS, tidy_row
from v2x.plan.csvfile import PlanFileError, read_rows, write_rows

GOLDEN = Path(__file__).with_name("golden_plan.csv")
ROOT = Path(__file__).parents[3]

NASTY = st.one_of(
    st.text(max_size=20).filter(lambda text: not re.search(r"\dE[+-]\d", text.upper())),  # as rounded numbers look
    st.sampled_from(
        ["=1+1", "'=1+1", "''+x", "@SUM(A1)", "-2", "+49", "\t=x", 'a"b', "a,b;c\td", "line\nbreak", "cr\r\nlf",
         " edge ", "\x00nul", "\ufeffmark", "\ud800", "\u202ertl", "sep=;", "'", "x=y; *=z"]
    ),
)  # fmt: skip
ROWS = st.builds(
    PlanRow,
    machine_id=NASTY.map(lambda text: "id " + text),
    machine_name=NASTY,
    source=st.sampled_from(["vc1", "files"]),
    target=st.just("pool"),
    target_name=NASTY,
    storage=st.dictionaries(NASTY, NASTY, max_size=3),
    networks=st.dictionaries(NASTY, NASTY, max_size=3),
    mac=st.sampled_from(MacPolicy),
    vcpus=st.none() | st.integers(1, 4096),
    memory_bytes=st.none() | st.integers(1, 2**50),
    firmware=st.none() | st.sampled_from(Firmware),
    secure_boot=st.none() | st.sampled_from(SecureBoot),
    vtpm=st.none() | st.booleans(),
    template=NASTY,
    transfer=st.sampled_from(Transfer),
    guest=st.lists(st.sampled_from(GuestWish), max_size=3).map(tuple),
    verify=st.sampled_from(VerifyLevel),
    start=st.booleans(),
    wave=st.integers(1, 9999),
    order=st.integers(-9999, 9999),
    after=st.lists(NASTY, max_size=2).map(tuple),
    groups=st.lists(NASTY, max_size=2).map(tuple),
    window=st.sampled_from(["", "Sat Sun 22:00-04:00 Europe/Paris except 2026-12-24"]),
    change=NASTY,
    approved_by=NASTY,
    checks=NASTY,
    exclude=st.booleans(),
    note=NASTY,
    comment=NASTY,
)


def saved_by(rows, *, delimiter=",", encoding="utf-8", header=str, newline="\r\n") -> bytes:
    """The rows as another program would save them after reading ours."""
    records = list(csv.reader(io.StringIO(write_rows(rows).decode("utf-8-sig"), newline="")))
    out = io.StringIO(newline="")
    # Python's writer quotes only its own line end; other programs quote every kind.
    writer = csv.writer(out, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL)
    writer.writerow([header(cell) for cell in records[0]])
    writer.writerows(records[1:])
    return out.getvalue().encode(encoding)


def problems_of(text: str | bytes) -> list[str]:
    with pytest.raises(PlanFileError) as caught:
        read_rows(text.encode() if isinstance(text, str) else text)
    assert caught.value.exit_code == 2
    return [str(problem) for problem in caught.value.problems]


@settings(max_examples=150, deadline=None)
@given(st.lists(ROWS, max_size=3))
def test_written_rows_are_read_back(rows):
    assert list(read_rows(write_rows(rows))) == [tidy_row(row) for row in rows]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(ROWS, min_size=1, max_size=2),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\r\n", "\n", "\r"]),
)
def test_other_programs_may_save_it(rows, delimiter, encoding, newline):
    data = saved_by(rows, delimiter=delimiter, encoding=encoding, newline=newline)
    assert list(read_rows(data)) == [tidy_row(row) for row in rows]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    """hostile: bytes that are no plan end in PlanError and nothing else."""
    for blob in (data, b"machine_id,source,target,storage\n" + data):
        try:
            read_rows(blob)
        except PlanError as problem:
            assert problem.hint


@settings(max_examples=100, deadline=None)
@given(NASTY)
def test_no_cell_is_a_formula(text):
    """hostile: a machine's name cannot run as a formula in the reader's spreadsheet."""
    row = PlanRow(machine_id="i", machine_name=text, source="s", target="t", note=text)
    for record in csv.reader(io.StringIO(write_rows([row]).decode("utf-8-sig"), newline="")):
        assert not any(cell[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"} and cell[:1] for cell in record)


def test_a_negative_order_is_safe_and_comes_back(make_row):
    row = make_row(order=-5)
    assert b"'-5" in write_rows([row])
    assert read_rows(write_rows([row])) == (row,)


def test_golden(make_row):
    rows = (
        make_row(1, target_name="web01", storage={"*": "Local storage", "scsi0:1": "NFS; tier=1"},
                 networks={"0": "LAN"}, vcpus=4, memory_bytes=4 * GIB, firmware=Firmware.UEFI,
                 secure_boot=SecureBoot.FALSE, vtpm=False,
                 template="debian-12", comment='storage: default SR, "quoted"'),
        make_row(2, machine_name="=cmd|' /C calc'!A0", mac=MacPolicy.NEW, transfer=Transfer.WARM,
                 convert=GuestConversion.AUTO, guest=tuple(GuestWish), running=Running.SHUTDOWN,
                 verify=VerifyLevel.SAMPLE, start=True, autostart=True, ha=HaPriority.BEST_EFFORT, host="xcp-1",
                 timezone="+02:00", bios_strings=True, as_template=True, resource_set="U8kmJKszJC0", wave=2, order=10,
                 after=("web01", "uuid-9"), groups=("anti-affinity:web tier", "erp"),
                 window="Sat Sun 22:00-04:00 Europe/Paris except 2026-12-24..2027-01-02", change="CHG-1",
                 approved_by="Ada", checks="tcp:443, log in once", on_fail=OnFail.ROLLBACK,
                 retire="DHCP reservation; licence 17",
                 hooks=("tell", "snapshot-db"), role="dc", exclude=True,
                 note="Büro\n2. Stock"),
    )  # fmt: skip
    assert write_rows(rows) == GOLDEN.read_bytes()
    assert read_rows(GOLDEN.read_bytes()) == rows


@pytest.mark.parametrize(
    ("column", "cell", "says"),
    [
        ("machine_id", "1,23E+15",
         "'1,23E+15' was rounded by a spreadsheet; valid: the id as the draft had it, as text"),
        ("host", "4.2E+3", "'4.2E+3' was rounded by a spreadsheet; valid: the id as the draft had it, as text"),
        ("storage", "*=NFS; scsi0:1=1,23E+15",
         "'1,23E+15' was rounded by a spreadsheet; valid: the name or uuid as the target has it, as text"),
        ("mac", "00:50:56:AA:00:01", "'00:50:56:AA:00:01' is an address, or what a spreadsheet left of one; "
         "valid: keep, new"),
        ("guest", "clean-hibernation, tools", "'clean-hibernation, tools' has the unknown word 'tools'; "
         "valid: words with commas between: remove-tools, clean-hibernation, bitlocker-suspended"),
        ("mac", "5.056E+09", "'5.056E+09' is an address, or what a spreadsheet left of one; valid: keep, new"),
    ],
)  # fmt: skip
def test_what_a_spreadsheet_mangled_is_reported_not_used(column, cell, says):
    cells = {"machine_id": "uuid-1", "source": "files", "target": "pool"} | {column: cell}
    text = ";".join(cells) + "\n" + ";".join(f'"{one}"' for one in cells.values()) + "\n"
    assert problems_of(text) == [f"row 2, column {column}: {says}"]


def test_the_sources_spelling_of_an_id_counts(make_row):
    base = {("files", "uuid-1"): make_row(1, vcpus=8)}
    (row,) = read_rows(b"machine_id,source\nUUID-1 ,Files\n", base=base)
    assert (row.machine_id, row.source, row.vcpus) == ("uuid-1", "files", 8)
    twice = base | {("files", "UUID-1"): make_row(1, machine_id="UUID-1")}
    assert read_rows(b"machine_id,source\nUUID-1,files\n", base=twice)[0].machine_id == "UUID-1"


def test_columns_in_any_order_and_case(make_row):
    rows = read_rows(
        b"Wave;MACHINE ID;Target-Name;source;target;memory;My own column\n2;uuid-1; web ;files;pool;1,5 GiB;x\n\n"
    )
    assert rows == (make_row(1, machine_name="", wave=2, target_name="web", memory_bytes=3 * GIB // 2),)


def test_missing_columns_come_from_the_draft(make_row):
    drafted = make_row(1, vcpus=8, storage={"*": "NFS"}, note="mine")
    rows = read_rows(b"machine_id,note\nuuid-1,theirs\n", base={("files", "uuid-1"): drafted})
    assert rows == (make_row(1, vcpus=8, storage={"*": "NFS"}, note="theirs"),)


def test_an_emptied_cell_is_the_default_not_the_draft(make_row):
    base = {("files", "uuid-1"): make_row(1, vcpus=8, storage={"*": "NFS"})}
    (row,) = read_rows(b"machine_id,source,target,vcpus,storage\nuuid-1,,,,\n", base=base)
    assert (row.source, row.target, row.vcpus, row.storage) == ("files", "pool", None, {})


def test_the_draft_of_another_source_is_not_used(make_row):
    base = {(source, "uuid-1"): make_row(1, source=source, vcpus=8) for source in ("a", "b")}
    (row,) = read_rows(b"machine_id,source\nuuid-1,b\n", base=base)
    assert (row.source, row.vcpus) == ("b", 8)
    assert problems_of("machine_id,source,target\nuuid-1,,pool\n") == [
        "row 2, column source: is empty; valid: the alias that plan.json or v2x.toml gives it"
    ]


def test_a_separator_line_of_excel(make_row):
    assert read_rows(b"sep=;\r\nmachine_id;source;target;machine_name\r\nuuid-1;files;pool;web01\r\n") == (make_row(1),)


def test_utf_16_without_a_mark(make_row):
    for encoding in ("utf-16-le", "utf-16-be"):
        assert read_rows(saved_by([make_row(1)], encoding=encoding)) == (make_row(1),)


def test_all_errors_at_once_with_row_column_value_and_what_is_valid():
    found = problems_of(
        "machine_id,source,target,vcpus,memory,firmware,vtpm,networks,wave\n"
        "a,s,t,many,\"4,096 MiB\",uefi,no,0=LAN,1\n"
        ",s,t,0,4 GiB,uboot,maybe,0=,0\n"
    )  # fmt: skip
    assert found == [
        "row 2, column vcpus: 'many' is not a whole number; valid: a whole number from 1 to 4096",
        "row 2, column memory: '4,096 MiB' could mean 4096 or 4.096; valid: the number without a separator, as 4096",
        "row 3, column machine_id: is empty",
        "row 3, column vcpus: '0' is out of range; valid: a whole number from 1 to 4096",
        "row 3, column firmware: 'uboot' is none of the known words; valid: bios, uefi",
        "row 3, column vtpm: 'maybe' is neither yes nor no; valid: yes or no",
        "row 3, column networks: '0=' has a pair without both sides; valid: pairs as *=NAME or ID=NAME with ; between "
        "them; names with = or ; stand in quotes",
        "row 3, column wave: '0' is out of range; valid: a whole number from 1 to 9999",
    ]


def test_the_message_lists_twenty():
    lines = "".join(f"id{number},s,t,x\n" for number in range(30))
    with pytest.raises(PlanFileError) as caught:
        read_rows(b"machine_id,source,target,vcpus\n" + lines.encode(), "my.csv")
    assert len(caught.value.problems) == 30
    assert caught.value.message == "my.csv: 30 errors"
    assert caught.value.details[0].startswith("row 2, column vcpus: 'x'")
    assert caught.value.details[20:] == ("and 10 more",)


def test_a_single_error_stands_in_the_message():
    with pytest.raises(PlanFileError) as caught:
        read_rows(b"machine_id,source,target,vcpus\nid,s,t,x\n", "my.csv")
    assert caught.value.message.startswith("my.csv: 1 error: row 2, column vcpus: 'x'")
    assert caught.value.details == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("machine_id,taget_name,source,target\n",
         "row 1, column taget_name: is no column of a plan; did you mean target_name?"),
        ("machine_id,source,source,target\n", "row 1, column source: stands there twice"),
        ("source,target\n", "row 1, column machine_id: is missing"),
        ("machine_id,source,target\na,b,c,d\n", "row 2: has 4 cells under 3 columns; is a name unquoted?"),
        ("machine_id,source,target\n4.21345E+15,b,c\n",
         "row 2, column machine_id: '4.21345E+15' was rounded by a spreadsheet; "
         "valid: the id as the draft had it, as text"),
        ('machine_id,source,target\n"a,b,c\n', "row 2: is not CSV: unexpected end of data"),
        ('machine_id,source,target\n"a"b,b,c\n', "row 2: is not CSV: ',' expected after '\"'"),
        ("machine_id,source,target\n" + "a" * 200_000 + ",b,c\n",
         "row 2: is not CSV: field larger than field limit (131072)"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_told_by_its_place(text, says):
    assert problems_of(text) == [says]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"a,b\n1,2\n", codecs.BOM_UTF8, b"sep=,\n"])
def test_a_file_without_a_header_is_no_plan(data):
    with pytest.raises(PlanError, match="has no header line"):
        read_rows(data)


def test_a_file_in_another_encoding_is_refused_with_the_remedy():
    with pytest.raises(PlanError, match=r"is not UTF-8 or UTF-16 text \(byte 12\)") as caught:
        read_rows("machine_id,Bür".encode("latin-1"))
    assert "CSV UTF-8" in caught.value.hint


def test_the_documentation_has_every_column_and_its_example_is_a_plan():
    page = (ROOT / "docs" / "plan-csv.md").read_text()
    for column in COLUMNS:
        assert f"| `{column.name}` |" in page, column.name
    example = page.split("```csv\n")[1].split("```")[0]
    rows = read_rows(example.encode())
    assert len(rows) == 2
    assert example.splitlines()[0].split(",") == list(BY_NAME)


@pytest.mark.parametrize(
    ("drafted", "saved", "read"),
    [
        ("0042", "42", "0042"),
        ("1E5", "100000", "1E5"),
        ("1E5", "1.00E+05", "1E5"),
        ("1234567E3", "1,23E+09", "1234567E3"),
        ("0042", "43", "43"),
        ("web", "42", "42"),
        ("1E5", "1.01E+05", "1.01E+05"),
        ("0042", "", "0042"),
    ],
)
def test_a_name_that_a_spreadsheet_took_for_a_number(make_row, drafted, saved, read):
    row = make_row(machine_name=drafted, target_name=drafted)
    text = write_rows([row]).decode("utf-8-sig").splitlines()
    head, cells = (next(csv.reader([line])) for line in text)
    cells[head.index("target_name")] = saved
    out = io.StringIO()
    csv.writer(out).writerows([head, cells])
    (found,) = read_rows(out.getvalue().encode(), "plan.csv", {(row.source, row.machine_id): row})
    assert found.target_name == (read if saved else "")
    assert found.machine_name == drafted
