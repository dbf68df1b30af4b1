# SPDX-License-Identifier: Apache-2.0
"""A plan edited in LibreOffice and saved there, as CSV and as a workbook: nothing but the edit is another, and it runs.

Run by `make test-spreadsheet`, which installs LibreOffice.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.spreadsheet_edit import edit
from tests.strangers_path import walk
from v2x.model.plan import Transfer
from v2x.plan import load_plan, save_plan
from v2x.simulators.appliance import ApplianceSpec, DiskSpec, NicSpec, write_ova

NETWORK = "Pool-wide network associated with eth0"
pytestmark = pytest.mark.spreadsheet


@pytest.fixture
def plan(bench, raw):
    """A draft of three appliances, with names that a spreadsheet could take for something else."""
    Path("exports").mkdir()
    for number, name in enumerate(("web", "0042", "1E5")):
        nics = (NicSpec(network=NETWORK, mac=f"00:50:56:00:00:0{number}"),)
        disks = (DiskSpec(raw=raw("odd")),)
        write_ova(Path("exports") / f"{name}.ova", ApplianceSpec(name=name, disks=disks, nics=nics))
    return lambda name: drafted(bench, name)


def drafted(bench, name):
    ran = bench.v2x("plan", "draft", "exports", "--target", bench.target, "-o", name)
    assert ran.code == 0, ran.err
    return Path(name)


def by_name(path):
    return {row.machine_name: row for row in load_plan(path).rows}


@pytest.mark.parametrize("name", ["plan.csv", "plan.xlsx"])
def test_an_edited_plan_runs(bench, plan, name):
    path = plan(name)
    before = by_name(path)
    edit(
        path,
        "web",
        {"target_name": "front", "memory": "3 GiB", "window": "Sat 22:00-05:00 UTC", "wave": "2", "note": "=new"},
    )
    ran = bench.v2x("plan", "check", path)
    assert ran.code == 0, ran.err + ran.out
    after = by_name(path)
    wanted = replace(before["web"], target_name="front", memory_bytes=3 << 30, window="Sat 22:00-05:00 UTC", wave=2)
    assert replace(after["web"], note="") == wanted
    for other in ("0042", "1E5"):
        assert after[other] == before[other]
    edit(path, "web", {"window": ""})
    ran = bench.v2x("batch", "run", path)
    assert ran.code == 0, ran.err
    assert int(bench.vm("front")["memory_static_max"]) == 3 << 30
    assert bench.vm("0042") and bench.vm("1E5")


@pytest.mark.parametrize(("name", "saved"), [("plan.csv", "plan.xlsx"), ("plan.xlsx", "plan.csv")])
def test_saved_in_the_other_format(bench, plan, name, saved):
    path = plan(name)
    before = by_name(path)
    edit(path, "web", {"order": "7"}, Path(saved))
    after = by_name(Path(saved))
    assert after == {**before, "web": replace(before["web"], order=7)}


def test_every_column_survives(bench, plan):
    path = plan("plan.csv")
    whole = load_plan(path)
    rows = tuple(
        replace(
            row, transfer=Transfer.WARM, wave=3, order=5, window="Sat 22:00-05:00 UTC", change="2026-11-28",
            checks="tcp:443", approved_by="=cmd|' /C calc'!A0", comment="001, 1/2 and 12:30", autostart=True,
            after=("web",), hooks=("10",),
        )
        for row in whole.rows
    )  # fmt: skip
    save_plan(replace(whole, rows=rows), path)
    before = by_name(path)
    edit(path, "web", {"note": "seen"})
    after = by_name(path)
    assert after == {**before, "web": replace(before["web"], note="seen")}


def test_the_path_of_a_stranger(tmp_path):
    """From the wizard over a plan that is edited to a rollback, as docs/recordings has it."""
    place = tmp_path / "place"
    place.mkdir()
    way = walk(Path(__file__).parents[2], place, tmp_path, demo=False)
    assert {"wizard-machines", "wizard-review"} <= way.pictures.keys()
    widest = max(len(line.rstrip()) for line in way.terminal.scrolled.splitlines())
    assert widest <= 80
