# SPDX-License-Identifier: Apache-2.0
"""Approvals, edited plans and machines that changed, through the command line against a simulated pool."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.planning import edit_plan
from tests.warming import wait_for
from v2x.simulators.appliance import ApplianceSpec, CreateType, DiskSpec, write_ova, write_vmx_folder

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from v2x.cli import run; sys.exit(run(sys.argv[1:]))"


@pytest.fixture
def site(bench, raw, tmp_path):
    """Two appliances and the plan of their move, with what a test does to them."""
    folder = tmp_path / "exports"
    folder.mkdir()
    for name in ("web", "db"):
        write_ova(folder / f"{name}.ova", ApplianceSpec(name=name, disks=(DiskSpec(raw=raw("odd", f"{name}.raw")),)))
    assert bench.v2x("plan", "draft", folder, "--target", bench.target, "-o", "plan.csv").code == 0

    class Site:
        def __init__(self):
            self.bench, self.running = bench, []

        def batch(self, *words):
            return bench.v2x("batch", *words, pool=False)

        def started(self, *words):
            arguments = [*map(str, words), "--target-fingerprint", bench.pool.fingerprint, "--quiet"]
            program = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *arguments], env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=bench.folder,
            )  # fmt: skip
            self.running.append(program)
            return program

        def rows(self):
            ran = self.batch("status", "--json")
            return {one["migration"]["machine_name"]: one for one in ran.json["rows"]} if ran.code == 0 else {}

        def wait_for(self, condition, seconds=60):
            wait_for(condition, seconds, every=0.1)

        def edit(self, machine, **changes):
            edit_plan(machine, **changes)

    made = Site()
    yield made
    for program in made.running:
        if program.poll() is None:
            program.kill()
        program.communicate()


def stopped(program):
    program.send_signal(signal.SIGINT)
    program.communicate(timeout=30)
    return program.returncode


def test_nothing_is_taken_out_of_service_before_it_is_approved(site):
    bench = site.bench
    program = site.started("batch", "run", "plan.csv", "--require-approval")
    site.wait_for(lambda: any(row["waits_for"].startswith("approval") for row in site.rows().values()))
    batch = site.batch("status", "--json").json["id"]
    said = site.batch("status", batch)
    assert "web waits for approval: v2x batch approve" in said.out
    assert f"{batch} --machine web --by NAME" in " ".join(said.out.split())
    assert bench.leftovers() == []
    ran = site.batch("approve", "--machine", "web", "--by", "Ada", "--change", "CHG-1")
    assert ran.code == 0, ran.err
    assert "web: approved by Ada (CHG-1)" in ran.out
    site.wait_for(lambda: site.rows()["web"]["state"] == "ended")
    assert site.rows()["db"]["waits_for"].startswith("approval")
    # The demand goes with the batch: who continues it has to keep it too.
    assert stopped(program) == 130
    program = site.started("batch", "resume")
    site.wait_for(lambda: site.rows()["db"]["waits_for"].startswith("approval"))
    assert site.batch("approve", "--by", "Bob").code == 0
    site.wait_for(lambda: site.rows()["db"]["state"] == "ended")
    _, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    report = site.batch("report", "--json").json
    assert {one["machine_name"]: one["approved_by"] for one in report["migrations"]} == {"web": "Bob", "db": "Bob"}
    assert [(one["by"], one["machine_name"]) for one in report["approvals"]] == [("Ada", "web"), ("Bob", "")]
    assert all([phase["phase"] for phase in one["phases"]][:2] == ["preflight", "checkpoint"]
               for one in report["migrations"])  # fmt: skip
    shown = site.batch("report")
    assert "Approved by: Bob" in shown.out and "all machines: approved by Bob" in shown.out
    assert "Phases  preflight" in shown.out


def test_a_plan_is_approved_before_it_is_run_and_an_edited_one_is_not(site):
    ran = site.batch("approve", "--plan", "plan.csv", "--by", "Ada", "--json")
    assert ran.code == 0, ran.err
    assert sorted(ran.json["machines"]) == ["db", "web"]
    ran = site.bench.v2x("batch", "run", "plan.csv", "--require-approval", "--json")
    assert ran.code == 0, ran.err
    assert [one["outcome"] for one in ran.json["migrations"]] == ["migrated"] * 2
    assert [one["plan_id"] for one in ran.json["approvals"]] == [ran.json["plan_id"]]
    # The results name who approved, and are the same plan still.
    done = site.batch("report", "--format", "csv", "-o", "done.csv")
    assert done.code == 0, done.err
    assert {row["approved_by"] for row in csv.DictReader(Path("done.csv").read_text("utf-8-sig").splitlines())} == {
        "Ada"
    }
    again = site.bench.v2x("batch", "run", "done.csv", "--json")
    assert again.code == 0 and again.json["plan_id"] == ran.json["plan_id"]
    evidence = site.batch("report", "--evidence", "proofs", "--json")
    assert site.batch("report", "--check", evidence.json["archives"][0]).code == 0
    # An edited plan is another one: its rows wait again.
    site.edit("web", target_name="web-2")
    program = site.started("batch", "run", "plan.csv", "--require-approval")
    site.wait_for(lambda: site.rows().get("web", {}).get("waits_for", "").startswith("approval"))
    assert stopped(program) == 130
    assert all(one["name_label"] != "web-2" for one in site.bench.pool.records("VM").values())
    assert site.batch("approve", "plan.csv", "--by", "Ada").code == 0


def test_what_was_approved_is_taken_back(site):
    assert site.batch("approve", "--plan", "plan.csv", "--by", "Ada").code == 0
    assert site.batch("approve", "--plan", "plan.csv", "--by", "Ada", "--revoke", "--machine", "db").code == 0
    program = site.started("batch", "run", "plan.csv", "--require-approval")
    site.wait_for(lambda: site.rows().get("web", {}).get("state") == "ended")
    assert site.rows()["db"]["waits_for"].startswith("approval")
    assert stopped(program) == 130
    ran = site.batch("approve", "--revoke", "--machine", "db", "--by", "Ada")
    assert ran.code == 2 and "none of it was approved" in ran.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--plan", "plan.csv"), "nobody is named who approves"),
        (("--plan", "plan.csv", "--by", " "), "nobody is named who approves"),
        (("--plan", "plan.csv", "--by", "Ada", "--machine", "nobody"), "no machine nobody"),
        (("--plan", "plan.csv", "--by", "Ada", "--wave", "7"), "no machine is in wave 7"),
        (("--plan", "plan.csv", "--by", "Ada", "--wave", "1", "--machine", "web"), "at once"),
        (("--plan", "none.csv", "--by", "Ada"), "cannot read none.csv"),
        (("b1", "--plan", "plan.csv", "--by", "Ada"), "at once"),
        (("--by", "Ada"), "no batch has been run"),
    ],
)
def test_an_approval_of_nothing_is_refused(site, words, says):
    ran = site.batch("approve", *words)
    assert ran.code == 2 and says in ran.err
    assert "Traceback" not in ran.err


def test_an_edited_plan_is_never_mixed_with_the_batch_that_was_begun(site):
    program = site.started("batch", "run", "plan.csv", "--require-approval")
    site.wait_for(lambda: len(site.rows()) == 2)
    old = site.batch("status", "--json").json["id"]
    site.edit("web", target_name="portal", note="renamed")
    locked = site.bench.v2x("batch", "run", "plan.csv")
    assert locked.code == 4 and "[STATE-LOCKED]" in locked.err
    assert "- web: target_name web → portal; note (empty) → renamed" in locked.err
    ran = site.batch("approve", "plan.csv", "--by", "Ada")
    assert ran.code == 2 and "which of the two is approved?" in ran.err
    assert stopped(program) == 130
    refused = site.bench.v2x("batch", "run", "plan.csv")
    assert refused.code == 2 and "[PLAN-EDITED]" in refused.err
    assert f"v2x batch resume {old}" in refused.err and "target_name web → portal" in refused.err
    assert site.batch("status", "--json").json["id"] == old, "nothing was begun"
    assert site.batch("approve", "--plan", "plan.csv", "--machine", "db", "--by", "Ada").code == 0
    program = site.started("batch", "run", "plan.csv", "--replace")
    site.wait_for(lambda: site.rows()["db"]["migration"]["outcome"] == "migrated")
    assert site.rows()["web"]["waits_for"].startswith("approval"), "the demand passes on to the edited plan"
    assert stopped(program) == 130
    assert site.batch("approve", "--by", "Ada").code == 0
    ran = site.bench.v2x("batch", "run", "plan.csv", "--json")
    assert ran.code == 0, ran.err
    assert {one["target_name"]: one["outcome"] for one in ran.json["migrations"]} == {
        "portal": "migrated", "db": "migrated",
    }  # fmt: skip
    before = site.batch("report", old, "--json").json["migrations"]
    assert {one["failure"]["code"] for one in before} == {"PLAN-REPLACED"}


def test_a_machine_that_changed_is_left_out_by_itself_and_taken_up_again(bench, raw, tmp_path, site):
    spec = ApplianceSpec(name="app", disks=(DiskSpec(raw=raw("odd", "app.raw")),), memory_bytes=1 << 30)
    write_vmx_folder(
        tmp_path / "exports" / "app", spec, expected=tmp_path / "app", disk_type=CreateType.MONOLITHIC_FLAT
    )
    write_ova(tmp_path / "exports" / "api.ova", ApplianceSpec(name="api", disks=(DiskSpec(raw=raw("odd", "api.raw")),)))
    assert bench.v2x("plan", "draft", tmp_path / "exports", "--target", bench.target, "-o", "all.csv").code == 0
    (vmx,) = (tmp_path / "exports" / "app").rglob("*.vmx")
    vmx.write_text(vmx.read_text().replace('"1024"', '"2048"'))
    (tmp_path / "exports" / "api.ova").unlink()
    ran = bench.v2x("batch", "run", "all.csv", "--json")
    assert ran.code == 4, ran.err
    assert "1 GiB of memory then, 2 GiB now [plan.changed]" in ran.err
    done = {one["machine_name"]: one for one in ran.json["migrations"]}
    assert {name: one["outcome"] for name, one in done.items()} == {
        "web": "migrated", "db": "migrated", "app": "blocked", "api": "blocked",
    }  # fmt: skip
    assert done["app"]["failure"]["code"] == "SOURCE-DIFFERS"
    assert "--accept-changes" in done["app"]["failure"]["hint"]
    assert "it is not at its source any more" in done["api"]["failure"]["message"]
    assert any(one["rule"] == "plan.changed" for one in ran.json["findings"])
    # A migrated machine may be gone from its source; a changed one is taken as it is now, by the same batch.
    (tmp_path / "exports" / "web.ova").unlink()
    checked = bench.v2x("plan", "check", "all.csv", "--accept-changes", "--json")
    assert [(one["machine_name"], one["rule"]) for one in checked.json["findings"] if one["severity"] == "blocker"] == [
        ("api", "plan.changed")
    ]
    again = bench.v2x("batch", "run", "all.csv", "--json")
    assert again.json["plan_id"] == ran.json["plan_id"]
    assert {one["machine_name"]: one["outcome"] for one in again.json["migrations"]} == {
        "web": "migrated", "db": "migrated", "app": "migrated", "api": "blocked",
    }  # fmt: skip
    assert bench.vm("app")["uuid"]
