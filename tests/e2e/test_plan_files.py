# SPDX-License-Identifier: Apache-2.0
"""Plans as workbooks, and a batch's results fed back as a plan."""

import csv
import io
from pathlib import Path

import openpyxl
import pytest

from v2x.simulators.appliance import ApplianceSpec, DiskSpec, NicSpec, write_ova

NETWORK = "Pool-wide network associated with eth0"


@pytest.fixture
def exports(raw, tmp_path):
    """A folder with two appliances."""
    folder = tmp_path / "exports"
    folder.mkdir()
    for number, name in enumerate(("web", "db")):
        nics = (NicSpec(network=NETWORK, mac=f"00:50:56:00:00:0{number}"),)
        write_ova(folder / f"{name}.ova", ApplianceSpec(name=name, disks=(DiskSpec(raw=raw("odd")),), nics=nics))
    return folder


def cells(page, machine, **changes):
    head = [cell.value for cell in page[1]]
    row = next(row for row in page.iter_rows(min_row=2) if row[head.index("machine_name")].value == machine)
    for name, value in changes.items():
        row[head.index(name)].value = value


def records(text):
    return {row["machine_name"]: row for row in csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))}


def test_a_workbook_is_drafted_edited_checked_run_and_fed_back(bench, exports):
    ran = bench.v2x("plan", "draft", exports, "--target", bench.target, "-o", "plan.xlsx")
    assert ran.code == 0, ran.err
    book = openpyxl.load_workbook("plan.xlsx")
    cells(book.active, "web", after="db", change="CHG-7", checks="login page", target_name="front")
    cells(book.active, "db", wave=1, order=0)
    book.save("plan.xlsx")
    assert bench.v2x("plan", "check", "plan.xlsx").code == 0
    ran = bench.v2x("batch", "run", "plan.xlsx", "--json")
    assert ran.code == 0, ran.err
    plan_id = ran.json["plan_id"]
    done = {one["machine_name"]: one for one in ran.json["migrations"]}
    assert done["db"]["finished"] <= done["web"]["started"], "web comes after db"
    assert (done["web"]["change"], done["web"]["checks"]) == ("CHG-7", "login page")

    shown = bench.v2x("batch", "report", "--format", "csv", pool=False)
    assert shown.code == 0, shown.err
    found = records(shown.out)
    assert {row["result_outcome"] for row in found.values()} == {"migrated"}
    assert (found["web"]["after"], found["web"]["target_name"]) == ("db", "front")
    assert found["web"]["result_digests"]

    for name in ("done.csv", "done.xlsx"):
        ran = bench.v2x("batch", "report", "--format", Path(name).suffix[1:], "-o", name, pool=False)
        assert ran.code == 0, ran.err
        checked = bench.v2x("plan", "check", name)
        assert checked.code == 0, checked.err + checked.out
    imports = len(bench.pool.ledger.to_json()["imports"])
    ran = bench.v2x("batch", "run", "done.xlsx", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["plan_id"] == plan_id
    assert len(bench.pool.ledger.to_json()["imports"]) == imports, "the same plan is the same batch"


def test_results_never_overwrite_the_plan(bench, exports):
    assert bench.v2x("plan", "draft", exports, "--target", bench.target, "-o", "plan.csv").code == 0
    assert bench.v2x("batch", "run", "plan.csv").code == 0
    before = Path("plan.csv").read_bytes()
    ran = bench.v2x("batch", "report", "--format", "csv", "-o", "plan.csv", pool=False)
    assert ran.code == 2
    assert "is the plan itself" in ran.err
    assert Path("plan.csv").read_bytes() == before


def test_a_window_that_is_over_is_refused_before_anything_happens(bench, exports):
    assert bench.v2x("plan", "draft", exports, "--target", bench.target, "-o", "plan.xlsx").code == 0
    book = openpyxl.load_workbook("plan.xlsx")
    cells(book.active, "web", window="2020-01-01 20:00-22:00 Europe/Paris", after="nobody")
    book.save("plan.xlsx")
    ran = bench.v2x("plan", "check", "plan.xlsx", "--json")
    assert ran.code == 2
    assert {one["rule"] for one in ran.json["findings"]} == {"plan.window", "plan.after-unknown"}
    assert bench.v2x("batch", "run", "plan.xlsx").code == 2
    assert not bench.leftovers()
