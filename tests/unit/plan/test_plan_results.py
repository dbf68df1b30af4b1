# SPDX-License-Identifier: Apache-2.0
import csv
import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from v2x.model.batch import RowStatus
from v2x.model.finding import Finding, Severity
from v2x.model.migration import BlockDigests, DiskResult, Failure, Migration, Outcome, Phase, VerifyLevel
from v2x.plan.csvfile import PlanFileError, csv_of, read_rows
from v2x.plan.results import COLUMNS, result_records, seal
from v2x.plan.xlsxfile import read_workbook, workbook_of

START, END = datetime(2026, 1, 2, 20, tzinfo=UTC), datetime(2026, 1, 2, 20, 1, 30, tzinfo=UTC)
DIGESTS = BlockDigests(algorithm="xxh3-128", block_bytes=2, size_bytes=8, runs=((0, 2),), digests=b"x" * 32)


def status(row, **changes):
    disk = DiskResult(
        source_disk="scsi0:0", label="Hard disk 1", data_bytes=4, sent_bytes=6, verified=VerifyLevel.FULL,
        digests=DIGESTS,
    )  # fmt: skip
    migration = Migration(
        id="v2x-1", machine_id=row.machine_id, machine_name=row.machine_name, target_name="t", source=row.source,
        target=row.target, phase=Phase.DONE, outcome=Outcome.MIGRATED, started=START, finished=END, vm_uuid="vm-1",
        disks=(disk,), warnings=("=slow",),
    )  # fmt: skip
    return RowStatus(
        migration=replace(migration, **changes), state="ended", wave=1, turn=0, attempt=2, size_bytes=4
    )  # fmt: skip


def table(records):
    return list(csv.DictReader(io.StringIO(csv_of(records).decode("utf-8-sig"), newline="")))


@pytest.fixture
def rows(make_row):
    return make_row(1, change="CHG-1", checks="port 443"), make_row(2, exclude=True), make_row(3)


@pytest.fixture
def records(rows):
    failure = Failure(code="NO-SPACE", message="=it is full")
    finding = Finding(
        rule="plan.vcpus-host", severity=Severity.WARNING, label="l", text="4, the largest host has 2", remedy="r",
        machine_id="uuid-1", source="files",
    )  # fmt: skip
    failed = status(rows[2], outcome=Outcome.FAILED, failure=failure, finished=None, disks=(), warnings=())
    return result_records(rows, [status(rows[0]), failed], [finding])


def test_each_row_with_what_came_of_it(records):
    done, left_out, failed = table(records)
    assert (done["change"], done["checks"], done["result_outcome"]) == ("CHG-1", "port 443", "migrated")
    assert done["result_seconds"] == "90"
    assert (done["result_started"], done["result_vm"]) == ("2026-01-02 20:00:00Z", "vm-1")
    assert (done["result_data_bytes"], done["result_sent_bytes"], done["result_attempts"]) == ("4", "6", "2")
    assert done["result_verified"] == "scsi0:0=full"
    assert done["result_digests"].startswith("scsi0:0=xxh3-128 of 2 blocks, sha256 ")
    assert done["result_findings"] == "warning: 4, the largest host has 2 [plan.vcpus-host]"
    assert [left_out[name] for name in COLUMNS] == [""] * len(COLUMNS)
    assert (failed["result_outcome"], failed["result_seconds"]) == ("failed", "")
    assert failed["result_failure"] == "NO-SPACE: =it is full"


def test_no_result_is_a_formula(records):
    """hostile: a warning that holds a name of the source cannot run in the reader's spreadsheet."""
    assert table(records)[0]["result_warnings"] == "'=slow"


def test_they_are_the_plan_again(rows, records):
    assert read_rows(csv_of(records)) == rows
    assert read_workbook(workbook_of(records)) == rows


def test_a_misspelled_column_is_still_found(records):
    head = [name.replace("target_name", "target_nam") for name in records[0]]
    with pytest.raises(PlanFileError, match="did you mean target_name"):
        read_rows(csv_of([head, *records[1:]]))


def test_a_seal_differs_with_the_content_and_its_place():
    disk = DiskResult(source_disk="a", label="a", digests=DIGESTS)
    others = [replace(DIGESTS, digests=b"y" * 32), replace(DIGESTS, runs=((1, 2),)), replace(DIGESTS, size_bytes=9)]
    assert len({seal(disk), *(seal(replace(disk, digests=one)) for one in others)}) == 4
    assert seal(replace(disk, digests=None)) == ""
