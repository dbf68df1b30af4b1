# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import fields, replace

import pytest

from v2x.errors import PlanError, UsageError
from v2x.model.health import OnFail
from v2x.model.machine import Firmware
from v2x.model.migration import VerifyLevel
from v2x.model.plan import GuestConversion, GuestWish, MacPolicy, PlanRow, Running, Transfer
from v2x.model.target import HaPriority, SecureBoot
from v2x.plan.csvfile import PlanFileError
from v2x.plan.store import load_plan, plan_id, save_plan


def test_a_saved_plan_is_loaded_as_it_was(tmp_path, make_plan, make_row, facts):
    plan = replace(make_plan(make_row(1), make_row(2, note=" edges \r\n")), facts={"pool": facts})
    saved = save_plan(plan, tmp_path / "plan.csv")
    assert load_plan(tmp_path / "plan.csv") == saved
    assert saved.rows[1].note == "edges"
    assert saved.inventories == plan.inventories
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.csv", "plan.json"]


def test_an_edited_cell_changes_the_id_and_nothing_else(tmp_path, make_plan, make_row):
    path = tmp_path / "plan.csv"
    saved = save_plan(make_plan(make_row(1), make_row(2)), path)
    path.write_bytes(path.read_bytes().replace(b"web02", b"web99"))
    loaded = load_plan(path)
    assert loaded.rows == (make_row(1), make_row(2, machine_name="web99"))
    assert loaded.id != saved.id
    assert replace(loaded, id=saved.id, rows=saved.rows) == saved


def test_a_removed_line_is_gone(tmp_path, make_plan, make_row):
    path = tmp_path / "plan.csv"
    save_plan(make_plan(make_row(1), make_row(2)), path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))
    assert [row.machine_id for row in load_plan(path).rows] == ["uuid-1"]


def test_every_field_is_part_of_the_id(make_row):
    other = {
        "machine_id": "x", "machine_name": "x", "source": "x", "target": "x", "target_name": "x", "storage": {"*": "x"},
        "networks": {"0": "x"}, "mac": MacPolicy.NEW, "vcpus": 9, "memory_bytes": 9, "firmware": Firmware.BIOS,
        "secure_boot": SecureBoot.AUTO, "vtpm": True, "template": "x", "transfer": Transfer.WARM,
        "convert": GuestConversion.AUTO, "guest": tuple(GuestWish), "running": Running.SNAPSHOT,
        "verify": VerifyLevel.NONE, "start": True, "autostart": True, "ha": HaPriority.RESTART,
        "host": "x", "timezone": "UTC", "bios_strings": True, "as_template": True, "resource_set": "x",
        "wave": 9, "order": 9, "hooks": ("x",), "after": ("x",), "groups": ("x",), "window": "daily 1:00-2:00 UTC",
        "change": "x",
        "approved_by": "x", "checks": "x", "on_fail": OnFail.ROLLBACK, "retire": "x",
        "role": "x", "exclude": True, "note": "x", "comment": "x",
    }  # fmt: skip
    assert set(other) == {field.name for field in fields(PlanRow)}
    ids = {plan_id([replace(make_row(1), **{name: value})]) for name, value in other.items()}
    # But for the name of who approves it: that is given for an id.
    assert plan_id([make_row(1, approved_by="x")]) == plan_id([make_row(1)])
    assert len(ids | {plan_id([make_row(1)])}) == len(other)


def test_sorting_the_rows_is_no_edit(make_row):
    assert plan_id([make_row(1), make_row(2)]) == plan_id([make_row(2), make_row(1)])
    assert plan_id([make_row(1), make_row(1)]) != plan_id([make_row(1)])
    assert len(plan_id([])) == 64


def test_wrong_cells_name_the_file(tmp_path, make_plan, make_row):
    path = tmp_path / "plan.csv"
    save_plan(make_plan(make_row(1)), path)
    path.write_bytes(path.read_bytes().replace(b",cold,", b",lukewarm,"))
    with pytest.raises(PlanFileError, match=r"plan\.csv: 1 error: row 2, column transfer: 'lukewarm'"):
        load_plan(path)


def test_missing_halves_are_named(tmp_path, make_plan, make_row):
    path = tmp_path / "plan.csv"
    with pytest.raises(PlanError, match=r"cannot read .*plan\.csv: No such file"):
        load_plan(path)
    save_plan(make_plan(make_row(1)), path)
    (tmp_path / "plan.json").unlink()
    with pytest.raises(PlanError, match=r"cannot read .*plan\.json") as caught:
        load_plan(path)
    assert "must stay beside plan.csv" in caught.value.hint


DEEP = b'{"schema": "v2x.plan/1", "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    "damage", [b"{", b"[]", b'{"schema": "v2x.plan/99"}', b'{"schema": "v2x.plan/1"}', b"\xff", DEEP]
)
def test_a_damaged_half_is_refused(tmp_path, make_plan, make_row, damage):
    path = tmp_path / "plan.csv"
    save_plan(make_plan(make_row(1)), path)
    (tmp_path / "plan.json").write_bytes(damage)
    with pytest.raises(PlanError, match="is not the other half of a plan"):
        load_plan(path)


def test_one_file_cannot_be_both(tmp_path, make_plan, make_row):
    with pytest.raises(UsageError, match="would be both files"):
        save_plan(make_plan(make_row(1)), tmp_path / "plan.json")


def test_a_folder_that_takes_no_files_is_named(tmp_path, make_plan, make_row):
    with pytest.raises(UsageError, match=r"cannot write .*No such file"):
        save_plan(make_plan(make_row(1)), tmp_path / "absent" / "plan.csv")


def test_no_secret_is_written(tmp_path, make_plan, make_row):
    save_plan(make_plan(make_row(1)), tmp_path / "plan.csv")
    document = json.loads((tmp_path / "plan.json").read_text())
    known = {"alias", "address", "ca_file", "fingerprint", "secret", "resource_set"}
    known |= {"settings", "shares", "smb_user", "smb_encryption", "experimental_vmcx"}
    assert set(document["targets"][0]) == known
    assert document["targets"][0]["secret"] == ""
