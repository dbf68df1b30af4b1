# SPDX-License-Identifier: Apache-2.0
"""The three uses: dry-run report, batch from a CSV plan, wizard; and the commands around them."""

import csv
import json
import sys
from pathlib import Path

import openpyxl
import pexpect
import pytest

from v2x.engine.locks import FolderLock
from v2x.model.machine import DiskBus, Firmware
from v2x.simulators.appliance import ApplianceSpec, CreateType, DiskSpec, NicSpec, write_ova, write_vmx_folder
from v2x.simulators.xapi import Pool

NETWORK = "Pool-wide network associated with eth0"

ROOT = Path(__file__).parents[2]


@pytest.fixture
def estate(raw, tmp_path):
    """A folder with three machines: two appliances and a folder with a .vmx."""
    folder = tmp_path / "exports"
    folder.mkdir()
    raws = {name: raw("odd", f"{name}.raw") for name in ("web", "db", "old")}
    for name in ("web", "db"):
        spec = ApplianceSpec(
            name=name,
            disks=(DiskSpec(raw=raws[name]),),
            nics=(NicSpec(network="Pool-wide network associated with eth0", mac=f"00:50:56:00:00:0{len(name)}"),),
            firmware=Firmware.UEFI if name == "web" else Firmware.BIOS,
        )
        write_ova(folder / f"{name}.ova", spec)
    spec = ApplianceSpec(name="old", disks=(DiskSpec(raw=raws["old"], bus=DiskBus.IDE),))
    write_vmx_folder(folder / "old", spec, expected=tmp_path / "e", disk_type=CreateType.MONOLITHIC_FLAT)
    return folder, raws


def test_the_inventory_of_a_folder(bench, estate):
    folder, _ = estate
    ran = bench.v2x("inventory", folder, "-o", "inventory.json", pool=False)
    assert ran.code == 0, ran.err
    ran = bench.v2x("inventory", folder, "--json", "--select", "W*", pool=False)
    assert [one["name"] for one in ran.json["machines"]] == ["web"]
    saved = json.loads(Path("inventory.json").read_text())
    assert sorted(one["name"] for one in saved["machines"]) == ["db", "old", "web"]
    again = bench.v2x("assess", "inventory.json", pool=False)
    assert again.code == 0, again.err


@pytest.mark.parametrize("form", ["text", "json", "csv", "xlsx", "html"])
def test_a_dry_run_report_in_every_form(bench, estate, form):
    folder, _ = estate
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    calls = len(bench.pool.ledger.calls)
    ran = bench.v2x("assess", folder, "--target", bench.target, "--format", form, "-o", f"report.{form}")
    assert ran.code == 0, ran.err
    if form == "xlsx":
        machines = openpyxl.load_workbook(f"report.{form}")["Machines"]
        assert sorted(row[0] for row in machines.iter_rows(min_row=2, values_only=True)) == ["db", "old", "web"]
    else:
        assert b"web" in Path(f"report.{form}").read_bytes()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    changed = [one.call for one in bench.pool.ledger.calls[calls:] if not one.call.startswith("session.")]
    assert changed == []


def test_what_changed_since_an_earlier_report(bench, estate):
    folder, _ = estate
    assert bench.v2x("assess", folder, "--format", "json", "-o", "old.json", pool=False).code == 0
    ran = bench.v2x("assess", folder, "--baseline", "old.json", "--json", pool=False)
    assert ran.code == 0, ran.err
    assert ran.json["changes"]["new_machines"] == ran.json["changes"]["new_findings"] == []
    (folder / "db.ova").unlink()
    ran = bench.v2x("assess", folder, "--baseline", "old.json", pool=False)
    assert ran.code == 0, ran.err
    assert "1 machine gone: db" in ran.out
    ran = bench.v2x("assess", folder, "--baseline", "old.json", "--select", "web", "--json", pool=False)
    assert ran.json["changes"]["gone_machines"] == []


@pytest.mark.parametrize(
    "content", [None, "", "{}", '{"schema": "v2x.report/1"}', '{"schema": "v2x.assessment/1"}', "[" * 9999]
)
def test_a_baseline_that_is_none(bench, estate, content):
    folder, _ = estate
    if content is not None:
        Path("old.json").write_text(content)
    ran = bench.v2x("assess", folder, "--baseline", "old.json", pool=False)
    assert ran.code == 6, ran.err
    assert "old.json" in ran.err
    assert "  try: " in ran.err


def test_an_rvtools_export_is_assessed_and_planned_but_not_migrated(bench, rvtools_book):
    sheets = rvtools_book.estate()
    sheets["vInfo"][0]["Powerstate"] = "poweredOff"
    export = rvtools_book.write_xlsx(Path("export.xlsx"), sheets)
    ran = bench.v2x("assess", export, "--target", bench.target, "--json")
    assert ran.code == 0, ran.err
    assert [one["name"] for one in ran.json["machines"]] == ["db", "tpl", "web"]
    ran = bench.v2x("plan", "draft", export, "--target", bench.target, "-o", "plan.csv")
    assert ran.code == 0, ran.err
    assert "web" in Path("plan.csv").read_text()
    ran = bench.migrate(export, "web")
    assert ran.code == 6, ran.err
    assert "holds no disks" in ran.err
    assert not bench.leftovers()


def test_fail_on(bench, estate):
    folder, _ = estate
    assert bench.v2x("assess", folder, "--fail-on", "blocker", pool=False).code == 0
    ran = bench.v2x("assess", folder, "--fail-on", "warning", pool=False)
    assert ran.code == 3
    assert "[FINDINGS]" in ran.err


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_an_edited_report_goes_into_the_plan(bench, estate, form):
    folder, _ = estate
    report = f"report.{form}"
    ran = bench.v2x("assess", folder, "--target", bench.target, "--format", form, "-o", report)
    assert ran.code == 0, ran.err
    if form == "csv":
        _edit(Path(report), "db", key="machine", rule="", exclude="yes", note="not yet")
        _edit(Path(report), "web", key="machine", rule="", target_name="www", wave="7")
    else:
        book = openpyxl.load_workbook(report)
        columns = {cell.value: cell.column for cell in book["Machines"][1]}
        for row in range(2, 5):
            name = book["Machines"].cell(row, columns["machine"]).value
            for column, value in {
                "db": {"exclude": "yes", "note": "not yet"},
                "web": {"target_name": "www", "wave": 7},
            }.get(name, {}).items():
                book["Machines"].cell(row, columns[column]).value = value
        book.save(report)
    ran = bench.v2x("plan", "draft", folder, "--target", bench.target, "-o", "plan.csv", "--from-report", report)
    assert ran.code == 0, ran.err
    rows = {row["machine_name"]: row for row in csv.DictReader(Path("plan.csv").read_text("utf-8-sig").splitlines())}
    assert (rows["db"]["exclude"], rows["db"]["note"]) == ("yes", "not yet")
    assert (rows["web"]["target_name"], rows["web"]["wave"], rows["web"]["exclude"]) == ("www", "7", "no")
    assert bench.v2x("plan", "check", "plan.csv").code == 0


def test_a_report_that_is_none_is_refused_before_anything(bench, estate):
    folder, _ = estate
    Path("other.csv").write_text("a,b\n1,2\n")
    ran = bench.v2x("plan", "draft", folder, "--target", bench.target, "-o", "plan.csv", "--from-report", "other.csv")
    assert ran.code == 2, ran.err
    assert "no report of v2x assess" in ran.err
    assert not Path("plan.csv").exists()


def test_an_estimate_by_a_speed_that_is_given_or_was_measured(bench, estate):
    folder, _ = estate
    ran = bench.v2x("assess", folder, "--json", "--throughput", "1MiB/s", pool=False)
    assert ran.code == 0, ran.err
    assert (ran.json["forecast"]["bytes_per_second"], ran.json["forecast"]["pace_measured"]) == (1 << 20, False)
    moved = bench.migrate(folder / "web.ova", "web", "--json")
    assert moved.code == 0, moved.err
    Path("run.json").write_text(json.dumps(moved.json))
    ran = bench.v2x("assess", folder, "--json", "--measured", "run.json", pool=False)
    assert ran.code == 0, ran.err
    assert ran.json["forecast"]["pace_measured"] is True
    assert bench.v2x("assess", folder, "--measured", "run.json", "--throughput", "1MiB", pool=False).code == 2
    Path("bad.json").write_text("{}")
    assert bench.v2x("assess", folder, "--measured", "bad.json", pool=False).code == 6
    assert bench.v2x("assess", folder, "--measured", "none.json", pool=False).code == 6


def test_a_batch_from_a_plan(bench, estate, same_bytes, tmp_path):
    folder, raws = estate
    assert bench.v2x("plan", "draft", folder, "--target", bench.target, "-o", "plan.csv").code == 0
    ran = bench.v2x("plan", "draft", folder, "--target", bench.target, "-o", "plan.csv")
    assert ran.code == 2, "edits are not overwritten"
    rows = list(csv.DictReader(Path("plan.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert {row["machine_name"] for row in rows} == {"web", "db", "old"}
    assert bench.pool.password not in Path("plan.csv").read_text() + Path("plan.json").read_text()
    _edit(Path("plan.csv"), "db", target_name="database")
    ran = bench.v2x("plan", "check", "plan.csv")
    assert ran.code == 0, ran.err + ran.out
    ran = bench.v2x("batch", "run", "plan.csv", "--json")
    assert ran.code == 0, ran.err
    assert [one["outcome"] for one in ran.json["migrations"]] == ["migrated"] * 3
    for name, raw_name in (("web", "web"), ("database", "db"), ("old", "old")):
        same_bytes(bench.vdis_of(bench.vm(name))[0], raws[raw_name], "raw", tmp_path)
    assert Path("plan.report.html").exists()
    imports = len(bench.pool.ledger.to_json()["imports"])
    again = bench.v2x("batch", "run", "plan.csv", "--json")
    assert again.code == 0, again.err
    assert again.json["migrations"] == ran.json["migrations"]
    assert len(bench.pool.ledger.to_json()["imports"]) == imports, "what is there is not sent again"
    log = bench.v2x("batch", "report", "--format", "events").out.splitlines()
    told = [json.loads(json.loads(line)["body"]) for line in log]
    sent = [fields for fields in told if fields["kind"] == "upload"]
    named = [task for fields in sent for task in fields["tasks"].split()]
    assert len(named) == len(set(named)) == imports and all(task.startswith("OpaqueRef:") for task in named)
    assert {"time", "user", "worker", "version", "source", "target", "batch"} <= set(sent[0])


def _edit(path, machine, key="machine_name", rule=None, **changes):
    text = path.read_text(encoding="utf-8-sig").splitlines()
    reader = csv.DictReader(text)
    rows = list(reader)
    for row in rows:
        if row[key] == machine and (rule is None or row["rule"] == rule):
            row.update(changes)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, reader.fieldnames)
        writer.writeheader()
        writer.writerows(rows)


def test_a_plan_that_does_not_hold_is_refused_before_anything_happens(bench, estate):
    folder, _ = estate
    bench.v2x("plan", "draft", folder, "--target", bench.target, "-o", "plan.csv")
    _edit(Path("plan.csv"), "db", target_name="web")
    checked = bench.v2x("plan", "check", "plan.csv", "--json")
    assert checked.code == 2
    assert any(one["rule"] == "plan.duplicate-name" for one in checked.json["findings"])
    ran = bench.v2x("batch", "run", "plan.csv")
    assert ran.code == 2
    assert "web" in ran.err
    assert not bench.leftovers()
    _edit(Path("plan.csv"), "db", target_name="db", memory="a lot")
    ran = bench.v2x("plan", "check", "plan.csv")
    assert ran.code == 2
    assert "memory" in ran.err


def test_one_failure_does_not_stop_the_batch(bench, estate):
    folder, _ = estate
    bench.v2x("plan", "draft", folder, "--target", bench.target, "-o", "plan.csv")
    (folder / "old" / "old-flat.vmdk").write_bytes(b"")
    ran = bench.v2x("batch", "run", "plan.csv", "--json")
    outcomes = {one["machine_name"]: one["outcome"] for one in ran.json["migrations"]}
    assert ran.code == 4, ran.err
    assert outcomes == {"web": "migrated", "db": "migrated", "old": "failed"}


def test_aliases_and_their_secrets(bench, estate, monkeypatch):
    folder, _ = estate
    monkeypatch.delenv("V2X_TARGET_PASSWORD")
    secret = Path("pool.pw")
    secret.write_text(bench.pool.password + "\n")
    secret.chmod(0o600)
    Path("v2x.toml").write_text(
        f'[source.exports]\naddress = "{folder}"\n'
        f'[target.pool1]\naddress = "{bench.target}"\n'
        f'fingerprint = "{bench.pool.fingerprint}"\nsecret = "file:{secret.absolute()}"\n'
    )
    ran = bench.v2x("plan", "draft", "exports", "--target", "pool1", "-o", "plan.csv", pool=False)
    assert ran.code == 0, ran.err
    rows = list(csv.DictReader(Path("plan.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert {(row["source"], row["target"]) for row in rows} == {("exports", "pool1")}
    ran = bench.v2x("batch", "run", "plan.csv", "--verbose", pool=False)
    assert ran.code == 0, ran.err
    ran = bench.v2x("verify", "plan.report.json", pool=False)
    assert ran.code == 0, ran.err
    assert ran.out.count("identical") == 3


def test_verify_finds_what_changed_later(bench, estate):
    folder, _ = estate
    assert bench.migrate(folder / "web.ova").code == 0
    ran = bench.v2x("verify", "report.json", "--target", bench.target)
    assert ran.code == 0, ran.err
    (vdi,) = bench.vdis_of(bench.vm("web"))
    with vdi.open("r+b") as file:
        file.seek(4 << 20)
        file.write(b"changed")
    ran = bench.v2x("verify", "report.json", "--target", bench.target)
    assert ran.code == 4
    assert "[VERIFY-MISMATCH]" in ran.err
    assert "4,194,304" in ran.err


def test_dry_run_writes_nothing(bench, estate):
    folder, _ = estate
    ran = bench.migrate(folder / "web.ova", "--dry-run")
    assert ran.code == 0, ran.err
    assert "web becomes web" in ran.out
    assert "nothing was written" in ran.out
    assert not bench.leftovers()
    assert not Path("report.json").exists()
    assert max(len(line) for line in ran.out.splitlines()) <= 80


def test_options_change_the_machine(bench, estate):
    folder, _ = estate
    network = next(one["name_label"] for one in bench.pool.records("network").values() if "VLAN" in one["name_label"])
    ran = bench.migrate(
        folder / "web.ova", "web", "--name", "web new", "--memory", "2 GiB", "--vcpus", "2", "--mac", "new",
        "--network", f"*={network}", "--allocation", "read-all", "--verify", "sample", "--start",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    vm = bench.vm("web new")
    assert vm["power_state"] == "Running"
    assert int(vm["memory_static_max"]) == 2 << 30
    assert int(vm["VCPUs_max"]) == 2
    vif = bench.pool.records("VIF")[vm["VIFs"][0]]
    assert bench.pool.records("network")[vif["network"]]["name_label"] == network
    assert not vif["MAC"].startswith("00:50:56")


def test_what_a_machine_becomes_besides_its_disks(bench, estate):
    folder, _ = estate
    options = ("--host", "xcp-host-1", "--timezone", "Europe/Paris", "--bios-strings", "--pool-autostart")
    network = ("--target-network", "Pool-wide network associated with eth0")
    ran = bench.migrate(folder / "web.ova", *options, *network, "--ha", "best-effort")
    assert ran.code == 0, ran.err
    vm = bench.vm("web")
    assert bench.pool.records("host")[vm["affinity"]]["name_label"] == "xcp-host-1"
    assert vm["ha_restart_priority"] == "best-effort" and vm["other_config"]["auto_poweron"] == "true"
    assert bench.pool.records("pool")[bench.pool.state.pool_ref]["other_config"]["auto_poweron"] == "true"
    report = json.loads((bench.folder / "report.json").read_text())
    assert any("once HA is enabled" in warning for warning in report["migrations"][0]["warnings"])
    assert "What remains in Xen Orchestra" in ran.out
    assert "backup jobs" in (bench.folder / "report.html").read_text()
    ran = bench.migrate(folder / "db.ova", "--as-template")
    assert ran.code == 0, ran.err
    assert bench.vm("db")["is_a_template"]
    ran = bench.migrate(folder / "old", "--target-network", "Nowhere")
    assert ran.code == 4 and "no network called Nowhere" in ran.err
    assert bench.leftovers() == []


def test_staging(bench, estate, same_bytes, tmp_path):
    folder, raws = estate
    ran = bench.migrate(folder / "web.ova", "--stage", tmp_path / "stage")
    assert ran.code == 0, ran.err
    same_bytes(bench.vdis_of(bench.vm("web"))[0], raws["web"], "raw", tmp_path)
    assert not list((tmp_path / "stage").iterdir())


def test_doctor(bench, estate):
    folder, _ = estate
    ran = bench.v2x("doctor", "--source", folder, "--target", bench.target, "--json")
    assert ran.code == 0, ran.out + ran.err
    checks = {one["check"]: one for one in ran.json["checks"]}
    assert checks["target"]["ok"]
    assert "XCP-ng" in checks["target"]["found"]
    ran = bench.v2x("doctor", "--target", bench.target, pin=False)
    assert ran.code == 5
    assert bench.pool.fingerprint in ran.out


@pytest.mark.parametrize("out", ["out.vhd", "out.qcow2", "out.raw"])
def test_convert(bench, raw, out, tmp_path):
    made = write_vmx_folder(
        tmp_path / "web",
        ApplianceSpec(name="web", disks=(DiskSpec(raw=raw("odd")),)),
        expected=tmp_path / "e",
        disk_type=CreateType.MONOLITHIC_SPARSE,
    )
    ran = bench.v2x("convert", made.chains[0].descriptors[0], out, "--compare", "--json", pool=False)
    assert ran.code == 0, ran.err
    assert ran.json["compared"] is True
    again = bench.v2x("convert", made.chains[0].descriptors[0], out, pool=False)
    assert again.code == 2
    assert "--force" in again.err
    back = bench.v2x("convert", out, "back.raw", "--json", pool=False)
    assert back.code == 0, back.err
    assert Path("back.raw").read_bytes() == made.expected[0].read_bytes()


def test_convert_does_not_guess(bench, raw):
    Path("disk.dat").write_bytes(raw("odd").read_bytes())
    ran = bench.v2x("convert", "disk.dat", "out.vhd", pool=False)
    assert ran.code == 2
    assert "--from" in ran.err
    assert bench.v2x("convert", "disk.dat", "out.vhd", "--from", "raw", pool=False).code == 0


def test_the_demo_with_an_own_appliance(bench, estate):
    folder, _ = estate
    for _ in range(2):  # the machine of the first run must not be in the way of the second
        ran = bench.v2x("demo", folder / "web.ova", "--folder", "demo", pool=False)
        assert ran.code == 0, ran.err
        assert "1 disk read back, every byte equal" in ran.out
        assert max(map(len, ran.out.splitlines())) <= 60
        for name in ("assessment.html", "plan.csv", "report.html", "report.json", "inventory.json"):
            assert (Path("demo") / name).stat().st_size
    with Pool(Path("demo") / "pool") as kept:
        assert sum(one["name_label"] == "web" for one in kept.records("VM").values()) == 1


def test_the_demo_says_that_nothing_could_be_migrated(bench, raw):
    spec = ApplianceSpec(
        name="wide",
        disks=(DiskSpec(raw=raw("odd")),),
        nics=tuple(NicSpec(network="LAN", mac=f"00:50:56:00:01:{number:02x}") for number in range(20)),
    )
    write_ova(Path("wide.ova"), spec)
    ran = bench.v2x("demo", "wide.ova", pool=False)
    assert ran.code == 3, ran.out + ran.err
    assert "nothing was migrated" in ran.err
    assert "assessment.html" in ran.err


@pytest.mark.parametrize("name", ["notes.txt", "vdi.txt"])
def test_the_demo_removes_nothing_that_it_did_not_make(bench, estate, name):
    folder, _ = estate
    mine = Path("demo", "pool", name)
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    ran = bench.v2x("demo", folder / "web.ova", "--folder", "demo", pool=False)
    assert ran.code == 2
    assert "--folder" in ran.err
    assert mine.read_text() == "mine"


def test_convert_by_qemu_img_and_what_a_disk_is(bench, raw, tmp_path):
    made = write_vmx_folder(
        tmp_path / "web",
        ApplianceSpec(name="web", disks=(DiskSpec(raw=raw("odd")),)),
        expected=tmp_path / "e",
        disk_type=CreateType.MONOLITHIC_SPARSE,
    )
    disk = made.chains[0].descriptors[0]
    told = bench.v2x("convert", disk, "--info", "--json", pool=False)
    assert told.json["size_bytes"] == made.expected[0].stat().st_size
    assert told.json["data_bytes"] < told.json["size_bytes"]
    for out in ("q.qcow2", "q.raw"):
        ran = bench.v2x("convert", disk, out, "--tool", "qemu-img", "--compare", pool=False)
        assert ran.code == 0, ran.err
    assert Path("q.raw").read_bytes() == made.expected[0].read_bytes()
    refused = bench.v2x("convert", made.vmx, "x.vhd", "--tool", "qemu-img", pool=False)
    assert refused.code == 2


def test_progress_is_shown_on_a_terminal_and_nowhere_else(bench, estate):
    folder, _ = estate
    words = ["-m", "v2x", "migrate", str(folder / "web.ova"), "--target", bench.target, "--report", "r.json"]
    environment = {
        "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "TERM": "xterm", "LANG": "C.UTF-8",
        "V2X_TARGET_PASSWORD": bench.pool.password,
    }  # fmt: skip
    child = pexpect.spawn(
        sys.executable, [*words, "--target-fingerprint", bench.pool.fingerprint], encoding="utf-8", timeout=30,
        dimensions=(24, 80), env=environment,
    )  # fmt: skip
    child.expect("copy ")
    child.expect(r"\d+%\|")
    child.expect(r"B/s")
    child.expect("verify ")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    quiet = bench.migrate(folder / "db.ova")
    assert "%|" not in quiet.err
    assert bench.v2x("migrate", folder / "old" / "old.vmx", "--target", bench.target, "--quiet").err == ""


@pytest.mark.parametrize("form", ["chunked", "tar", "raw", "qcow2"])
def test_other_ways_to_send_a_disk(bench, estate, same_bytes, tmp_path, form):
    folder, raws = estate
    ran = bench.migrate(folder / "web.ova", "--upload-format", form)
    assert ran.code == 0, ran.err
    assert {one.format for one in bench.pool.ledger.imports} <= {form, "raw"}
    same_bytes(bench.vdis_of(bench.vm("web"))[0], raws["web"], "raw", tmp_path)


@pytest.fixture
def appliance(raw, tmp_path):
    spec = ApplianceSpec(name="web", disks=(DiskSpec(raw=raw()),), nics=(NicSpec(mac="00:50:56:00:00:01"),))
    return write_ova(tmp_path / "web.ova", spec).path


def test_a_second_batch_run_changes_nothing_while_the_first_one_has_the_state(bench, estate, tmp_path):
    folder, _raws = estate
    assert bench.v2x("plan", "draft", folder, "--target", bench.target, "-o", "plan.csv").code == 0
    (tmp_path / "state").mkdir()
    lock = FolderLock(tmp_path / "state")
    ran = bench.v2x("batch", "run", "plan.csv", pool=False)
    lock.release()
    assert ran.code == 4 and "[STATE-LOCKED]" in ran.err
    status = bench.v2x("batch", "status", pool=False)
    assert status.code == 2 and "no batch has been run" in status.err


def test_a_later_run_does_not_take_the_digests_away(bench, appliance, tmp_path):
    words = ("migrate", appliance, "--network", f"*={NETWORK}", "--target", bench.target)
    assert bench.v2x(*words).code == 0
    first = (tmp_path / "web.v2x.json").read_bytes()
    again = bench.v2x(*words, "--json")
    assert again.code == 0 and again.json["migrations"][0]["outcome"] == "already migrated"
    assert (tmp_path / "web.v2x.json").read_bytes() == first
    (later,) = tmp_path.glob("web.v2x.*.json")
    assert bench.v2x("verify", "web.v2x.json", "--target", bench.target).code == 0
    nothing = bench.v2x("verify", later, "--target", bench.target)
    assert nothing.code == 2 and "[NO-DIGESTS]" in nothing.err


def test_a_report_that_cannot_be_written_is_told_before_anything_is_copied(bench, appliance):
    words = ("migrate", appliance, "--network", f"*={NETWORK}", "--target", bench.target)
    ran = bench.v2x(*words, "--report", "nowhere/x.json")
    assert ran.code == 2 and "nowhere" in ran.err and not bench.leftovers()
    assert not [one for one in bench.pool.records("VM").values() if one["name_label"] == "web"]


def test_a_transport_of_vsphere_is_refused_elsewhere(bench, appliance):
    ran = bench.migrate(appliance, "--transport", "nfc")
    assert ran.code == 2 and "--transport nfc" in ran.err
