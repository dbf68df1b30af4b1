# SPDX-License-Identifier: Apache-2.0
"""A live Hyper-V host (PowerShell remoting and SMB, both real protocols) to a pool, judged by libvhdi."""

import csv
import json
import shutil
import uuid
from itertools import zip_longest
from pathlib import Path

import pytest

from tests.hyperv_images import HEADERS_AT, header, read_by_libvhdi
from v2x.simulators.hyperv.service import HyperV

NETWORK = "Pool-wide network associated with eth0"


@pytest.fixture
def hyperv(tmp_path, monkeypatch):
    with HyperV(tmp_path / "hyperv") as served:
        monkeypatch.setenv("V2X_SOURCE_PASSWORD", served.password)
        yield served


def options(served):
    words = ["--source-fingerprint", served.fingerprint]
    for rule in served.rules:
        words += ["--share", rule]
    return words


def move(bench, served, name, *words):
    return bench.migrate(served.address, name, *options(served), *words)


def expected(served, *paths):
    """The disk as libvhdi reads it from the chain, the file in use first."""
    return read_by_libvhdi([served.place(path) for path in paths])


def held(path: Path, length: int) -> bytes:
    data = path.read_bytes()
    assert not any(data[length:])
    return data[:length]


def test_a_chain_of_three_arrives_as_libvhdi_reads_it(bench, hyperv):
    ran = move(bench, hyperv, "web01")
    assert ran.code == 0, ran.err
    root = "D:\\VMs\\web01\\"
    disk = expected(hyperv, root + "web01_2C7D.avhdx", root + "web01_1F0A.avhdx", root + "web01.vhdx")
    vm = bench.vm("web01")
    (vdi,) = bench.vdis_of(vm)
    assert held(vdi, len(disk)) == disk
    assert vm["HVM_boot_params"]["firmware"] == "uefi"
    vif = bench.pool.records("VIF")[vm["VIFs"][0]]
    assert vif["MAC"] == "00:15:5d:01:0a:01"
    assert bench.leftovers() == []
    # Nothing was changed at the source.
    assert {one.kind for one in hyperv.ledger.entries} <= {"login", "message", "script"}


def test_a_generation_1_machine_boots_from_its_ide_disk(bench, hyperv):
    ran = move(bench, hyperv, "old01")
    assert ran.code == 0, ran.err
    vm = bench.vm("old01")
    first, second = bench.vdis_of(vm)
    assert held(first, 32 << 20) == expected(hyperv, "D:\\VMs\\old01\\old01.vhdx")
    assert held(second, 48 << 20) == expected(hyperv, "D:\\VMs\\old01\\data.vhdx")
    assert vm["HVM_boot_params"]["firmware"] == "bios"
    # Its dynamic MAC address was never given out, so the pool makes one.
    assert bench.pool.records("VIF")[vm["VIFs"][0]]["MAC"] not in {"", "00:00:00:00:00:00"}


def test_a_running_machine_is_refused_unless_it_may_be_asked_to_shut_down(bench, hyperv):
    refused = move(bench, hyperv, "db01")
    assert refused.code == 4
    assert "[POWERED-ON]" in refused.err
    assert "--running shutdown" in refused.err
    assert hyperv.ledger.of("state") == []
    assert bench.leftovers() == []
    # A snapshot to copy from is not made on Hyper-V: what runs is not read.
    running = move(bench, hyperv, "db01", "--running", "snapshot")
    assert running.code == 6
    assert "[UNSUPPORTED]" in running.err and "--running shutdown" in running.err


def test_shutdown_and_keeping_off_are_done_told_and_kept_in_the_report(bench, hyperv):
    ran = move(bench, hyperv, "db01", "--running", "shutdown", "--keep-source-off")
    assert ran.code == 0, ran.err
    told = [(one.kind, one.before, one.after) for one in hyperv.ledger.entries if one.after and one.kind != "script"]
    assert told == [("state", "Running", "Off"), ("start_action", "Start", "Nothing")]
    report = json.loads((bench.folder / "report.json").read_text())
    (migration,) = report["migrations"]
    kept = [one for one in migration["warnings"] if one.startswith("changed at the source")]
    assert kept[0] == "changed at the source: power, Running → Off"
    assert "AutomaticStartAction, Start → Nothing; to put it back: Get-VM -Id" in kept[1]
    # Dynamic memory: what it asked for in operation, rounded up, never its maximum of 1 TiB.
    vm = bench.vm("db01")
    assert int(vm["memory_static_max"]) == 1290 << 20


def test_a_guest_that_does_not_shut_down_is_left_running(bench, hyperv):
    hyperv.estate.machines[2].refuses_shutdown = True
    ran = move(bench, hyperv, "db01", "--running", "shutdown")
    assert ran.code == 4
    assert "[SHUTDOWN-FAILED]" in ran.err
    assert hyperv.estate.machines[2].state == "Running"
    assert bench.leftovers() == []


def test_a_machine_that_was_shut_down_for_nothing_is_started_again(bench, hyperv):
    hyperv.place("D:\\VMs\\db01\\db01.vhdx").write_bytes(b"damaged" * 1000)
    ran = move(bench, hyperv, "db01", "--running", "shutdown")
    assert ran.code != 0
    assert hyperv.estate.machines[2].state == "Running"
    assert [(one.before, one.after) for one in hyperv.ledger.of("state")] == [("Running", "Off"), ("Off", "Running")]


def test_a_machine_that_was_started_meanwhile_is_not_sealed(bench, hyperv, monkeypatch):
    from v2x.migrate import steps

    copied = steps.copy_disk

    def started_after(*arguments, **named):
        done = copied(*arguments, **named)
        hyperv.estate.machines[0].state = "Running"
        return done

    monkeypatch.setattr(steps, "copy_disk", started_after)
    ran = move(bench, hyperv, "web01")
    assert ran.code == 4
    assert "[POWERED-ON]" in ran.err
    vms = [one for one in bench.pool.records("VM").values() if one["name_label"] == "web01"]
    assert all("start" in one["blocked_operations"] for one in vms)


def test_a_file_that_was_written_to_meanwhile_is_not_sealed(bench, hyperv, monkeypatch):
    """Whoever opens a VHDX for writing gives it new identifiers first; its time may follow much later."""
    from v2x.migrate import steps

    copied = steps.copy_disk

    def written_after(*arguments, **named):
        done = copied(*arguments, **named)
        file = hyperv.place("D:\\VMs\\web01\\web01_2C7D.avhdx")
        with file.open("r+b") as image:
            for sequence, at in enumerate(HEADERS_AT, start=3):
                image.seek(at)
                image.write(header(sequence, data_write=uuid.UUID(int=7)))
        return done

    monkeypatch.setattr(steps, "copy_disk", written_after)
    ran = move(bench, hyperv, "web01")
    assert ran.code == 4
    assert "[SOURCE-CHANGED]" in ran.err


def test_a_second_run_adopts_what_the_first_made(bench, hyperv):
    assert move(bench, hyperv, "web01").code == 0
    again = move(bench, hyperv, "web01")
    assert again.code == 0, again.err
    assert len([one for one in bench.pool.records("VM").values() if one["name_label"] == "web01"]) == 1


def test_live_collected_and_saved_inventories_are_one(bench, hyperv, tmp_path):
    """The document of the host, taken by hand to a file, gives what the live source gives."""
    live = bench.v2x("inventory", hyperv.address, "--json", *options(hyperv)).json
    collected = tmp_path / "collected.json"
    collected.write_text("".join(hyperv.collected(hyperv.estate.hosts[0], [])), encoding="utf-16")
    from_file = bench.v2x("inventory", collected, "--json").json
    for one, other in zip_longest(live["machines"], from_file["machines"]):
        assert one == other
    assert live["networks"] == from_file["networks"]
    assert live["hosts"] == from_file["hosts"]


def test_a_collected_file_with_its_disks_beside_migrates(bench, hyperv, tmp_path):
    folder = tmp_path / "copied"
    folder.mkdir()
    for file in hyperv.place("D:\\VMs\\web01\\web01.vhdx").parent.iterdir():
        shutil.copy2(file, folder)
    collected = folder / "host.json"
    collected.write_text("".join(hyperv.collected(hyperv.estate.hosts[0], [])))
    ran = bench.migrate(collected, "web01")
    assert ran.code == 0, ran.err
    root = "D:\\VMs\\web01\\"
    disk = expected(hyperv, root + "web01_2C7D.avhdx", root + "web01_1F0A.avhdx", root + "web01.vhdx")
    (vdi,) = bench.vdis_of(bench.vm("web01"))
    assert held(vdi, len(disk)) == disk
    lost = bench.migrate(collected, "old01")
    assert lost.code == 6
    assert "[MISSING-DISK]" in lost.err


def test_a_batch_of_them_stops_what_runs_and_keeps_it_off(bench, hyperv, tmp_path):
    drafted = bench.v2x(
        "plan",
        "draft",
        hyperv.address,
        *options(hyperv),
        "--target",
        bench.target,
        "-o",
        tmp_path / "plan.csv",
        "--network",
        f"*={NETWORK}",
    )
    assert drafted.code == 0, drafted.err
    with (tmp_path / "plan.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row |= {"running": "shutdown", "sr": row.get("sr", "")}
    with (tmp_path / "plan.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    ran = bench.v2x("batch", "run", tmp_path / "plan.csv", "--keep-source-off", "--state", tmp_path / "state")
    assert ran.code == 0, ran.err
    assert {vm["name_label"] for vm in bench.pool.records("VM").values()} >= {"web01", "old01", "db01"}
    assert {vm.start_action for vm in hyperv.estate.machines} == {"Nothing"}
    assert {vm.state for vm in hyperv.estate.machines} == {"Off"}


def test_a_share_that_is_not_there_is_found_before_the_machine_goes_down(bench, hyperv):
    rules = [rule.replace("\\D$", "\\E$") for rule in hyperv.rules]
    shares = [word for rule in rules for word in ("--share", rule)]
    ran = bench.migrate(
        hyperv.address, "db01", "--running", "shutdown", "--source-fingerprint", hyperv.fingerprint, *shares
    )
    assert ran.code == 6 and "[MISSING-SHARE]" in ran.err, ran.err
    assert hyperv.ledger.of("state") == [], "it was not asked to shut down"
    assert bench.leftovers() == []
