# SPDX-License-Identifier: Apache-2.0
"""Plans as workbooks, and a batch's results fed back as a plan."""

import csv
import io
from pathlib import Path

import openpyxl
import pytest

from tests.vsphere_estate import patterned
from v2x.simulators.appliance import ApplianceSpec, CreateType, DiskSpec, NicSpec, write_ova, write_vmx_folder
from v2x.simulators.vsphere import DiskSpec as VsphereDisk
from v2x.simulators.vsphere import MachineSpec
from v2x.simulators.vsphere import NicSpec as VsphereNic

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


def test_what_changed_since_the_draft_is_named_and_taken_when_asked(bench, raw, tmp_path):
    write_vmx_folder(
        tmp_path / "vm", ApplianceSpec(name="app", disks=(DiskSpec(raw=raw("odd", "a.raw")),), memory_bytes=1 << 30),
        expected=tmp_path / "e", disk_type=CreateType.MONOLITHIC_FLAT,
    )  # fmt: skip
    assert bench.v2x("plan", "draft", tmp_path / "vm", "--target", bench.target, "-o", "plan.csv").code == 0
    (vmx,) = (tmp_path / "vm").rglob("*.vmx")
    text = vmx.read_text()
    assert 'memSize = "1024"' in text or 'memsize = "1024"' in text
    vmx.write_text(text.replace('"1024"', '"2048"'))
    ran = bench.v2x("plan", "check", "plan.csv", "--json")
    assert ran.code == 2
    (found,) = [one for one in ran.json["findings"] if one["rule"] == "plan.changed"]
    assert found["text"] == "1 GiB of memory then, 2 GiB now"
    assert bench.v2x("batch", "run", "plan.csv").code == 2
    assert not bench.leftovers()
    before = Path("plan.csv").read_bytes()
    assert bench.v2x("plan", "check", "plan.csv", "--accept-changes").code == 0
    assert Path("plan.csv").read_bytes() == before
    ran = bench.v2x("batch", "run", "plan.csv")
    assert ran.code == 0, ran.err
    assert bench.v2x("plan", "check", "plan.csv", "--offline", "--accept-changes").code == 2


def test_several_sources_with_names_of_ones_own(bench, exports, raw, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_ova(other / "app.ova", ApplianceSpec(name="app", disks=(DiskSpec(raw=raw("odd", "b.raw")),)))
    words = ("plan", "draft", f"old={exports}", f"lab={other}", "--target", bench.target, "-o", "plan.csv")
    ran = bench.v2x(*words)
    assert ran.code == 0, ran.err
    found = records(Path("plan.csv").read_text(encoding="utf-8-sig"))
    assert {name: row["source"] for name, row in found.items()} == {"web": "old", "db": "old", "app": "lab"}
    ran = bench.v2x("batch", "run", "plan.csv", "--json")
    assert ran.code == 0, ran.err
    assert {one["source"] for one in ran.json["migrations"]} == {"old", "lab"}
    ran = bench.v2x(*words[:2], f"a={exports}", f"a={other}", *words[4:-1], "again.csv")
    assert ran.code == 2
    assert "two sources are called a" in ran.err


def test_a_plan_of_an_rvtools_export_runs_from_the_live_source(
    bench, rvtools_book, simulated_vsphere, monkeypatch, tmp_path
):
    vcenter = simulated_vsphere(estate="empty", password="secret")
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "secret")
    image = patterned(tmp_path / "web.raw", 4 << 20, seed=1)
    spec = MachineSpec(
        name="web",
        disks=(VsphereDisk(image=image),),
        nics=(VsphereNic(network="VM Network"),),
        memory_mib=8192,
        power="poweredOff",
    )
    machine = vcenter.add_vm(spec)
    config = machine.values["config"]
    sheets = rvtools_book.estate()
    row = next(row for row in sheets["vInfo"] if row["VM"] == "web")
    row |= {"VM UUID": config.instanceUuid, "Powerstate": "poweredOff"}
    export = rvtools_book.write_xlsx(Path("export.xlsx"), {"vInfo": [row]})
    words = ("--target", bench.target, "--select", "web", "--network", f"*={NETWORK}")
    assert bench.v2x("plan", "draft", f"prod={export}", "-o", "plan.csv", *words).code == 0
    ran = bench.v2x("plan", "check", "plan.csv", "--json")
    assert "plan.not-live" in {one["rule"] for one in ran.json["findings"]}
    ran = bench.v2x("batch", "run", "plan.csv")
    assert ran.code == 2
    assert "NOT-LIVE" in ran.err and "--source prod=vsphere://" in " ".join(ran.err.split())
    assert bench.v2x("plan", "check", "plan.csv", "--source", "lab=x").code == 2

    live = f"prod=vsphere://{vcenter.user}@127.1:{vcenter.port}"
    pins = ("--source-fingerprint", vcenter.fingerprint, "--target-fingerprint", bench.pool.fingerprint)
    ran = bench.v2x("plan", "check", "plan.csv", "--source", live, *pins, "--json", pool=False)
    (changed,) = [one for one in ran.json["findings"] if one["rule"] == "plan.changed"]
    assert "vCPUs then" in changed["text"]
    ran = bench.v2x("plan", "check", "plan.csv", "--source", live, "--accept-changes", *pins, pool=False)
    kept = records(Path("plan.csv").read_text(encoding="utf-8-sig"))["web"]
    assert kept["vcpus"] == "4", "what the row says stays"
    assert "plan.unknown-nic" in ran.out, "the export has two adapters, the machine one"
    text = Path("plan.csv").read_text(encoding="utf-8-sig")
    Path("plan.csv").write_text(text.replace(kept["networks"], f"*={NETWORK}"), encoding="utf-8-sig")
    ran = bench.v2x("batch", "run", "plan.csv", *pins, "--quiet", pool=False)
    assert ran.code == 0, ran.err
    assert bench.vm("web")["VCPUs_max"] == 4
