# SPDX-License-Identifier: Apache-2.0
"""Networks and storage: asked for where nothing is certain, found by rules, made on request."""

import csv
import json
from pathlib import Path

import pytest

from v2x.simulators.appliance import ApplianceSpec, DiskSpec, NicSpec, write_ova

ROOT = Path(__file__).parents[2]
MANAGEMENT = "Pool-wide network associated with eth0"


@pytest.fixture
def ova(raw, tmp_path):
    nics = (NicSpec(network="VM Network", mac="00:50:56:00:00:01"), NicSpec(network="DMZ", mac="00:50:56:00:00:02"))
    return write_ova(tmp_path / "web.ova", ApplianceSpec(name="web", disks=(DiskSpec(raw=raw()),), nics=nics)).path


def networks_of(bench, name):
    """Names of the networks of a machine, by device."""
    vifs = sorted((bench.pool.records("VIF")[ref] for ref in bench.vm(name)["VIFs"]), key=lambda vif: vif["device"])
    return [bench.pool.records("network")[vif["network"]]["name_label"] for vif in vifs]


def test_a_network_that_nothing_speaks_for_is_asked_for(bench, ova):
    ran = bench.migrate(ova, network=None)
    assert ran.code == 2, ran.err
    (line,) = [line for line in ran.err.splitlines() if line.startswith("error:")]
    assert "[NETWORK-UNRESOLVED]" in line
    for word in ("'VM Network'", "'DMZ'", MANAGEMENT, "VLAN 10", "Internal"):
        assert word in line
    hint = " ".join(ran.err.split("try:")[1].split())
    assert "--network 'VM Network=…' --network 'DMZ=…'" in hint
    assert not bench.leftovers()
    assert not [vm for vm in bench.pool.records("VM").values() if "web" in vm["name_label"]]
    ran = bench.migrate(ova, "--network", f"VM Network={MANAGEMENT}", "--network", "DMZ=VLAN 10", network=None)
    assert ran.code == 0, ran.err
    assert networks_of(bench, "web") == [MANAGEMENT, "VLAN 10"]


def test_a_name_goes_before_the_star_and_a_number_before_a_name(bench, ova):
    words = ("--network", "1=Internal", "--network", "DMZ=VLAN 10", "--network", "VM Network=VLAN 10")
    assert bench.migrate(ova, *words).code == 0
    assert networks_of(bench, "web") == ["VLAN 10", "Internal"]


def test_rules_of_the_configuration_answer(bench, ova):
    Path("v2x.toml").write_text(
        f"""
[[network]]
source = "VM*"
target = "{MANAGEMENT}"
[[network]]
source = "DMZ"
target = "VLAN 10"
[[storage]]
datastore = "*"
target = "NFS storage"
"""
    )
    ran = bench.migrate(ova, network=None)
    assert ran.code == 0, ran.err
    assert networks_of(bench, "web") == [MANAGEMENT, "VLAN 10"]
    vdi = bench.vdis_of(bench.vm("web"))[0]
    sr = next(vdi_ for vdi_ in bench.pool.records("VDI").values() if vdi_["uuid"] == vdi.stem.split(".")[0])["SR"]
    assert bench.pool.records("SR")[sr]["name_label"] == "NFS storage"


def test_the_vlan_and_the_interface_together_find_the_network(bench, ova):
    words = ("--vlan", "VM Network=0", "--vlan", "DMZ=10", "--uplink", "eth0")
    ran = bench.migrate(ova, *words, network=None)
    assert ran.code == 0, ran.err
    assert networks_of(bench, "web") == [MANAGEMENT, "VLAN 10"]


def test_missing_vlan_networks_are_made_and_named_in_the_report(bench, ova):
    words = ("--vlan", "VM Network=0", "--vlan", "DMZ=30", "--create-networks")
    dry = bench.migrate(ova, *words, "--dry-run", network=None)
    assert dry.code == 2, "nothing is made in a dry run, so the network is still missing"
    assert not [one for one in bench.pool.records("network").values() if one["name_label"] == "DMZ"]
    ran = bench.migrate(ova, *words, network=None)
    assert ran.code == 0, ran.err
    assert networks_of(bench, "web") == [MANAGEMENT, "DMZ"]
    (made,) = [one for one in bench.pool.records("network").values() if one["name_label"] == "DMZ"]
    assert [bench.pool.records("PIF")[ref]["VLAN"] for ref in made["PIFs"]] == [30]
    findings = json.loads((bench.folder / "report.json").read_text())["findings"]
    (told,) = [one for one in findings if one["rule"] == "plan.network-made"]
    assert made["uuid"] in told["text"]
    assert "VLAN 30 on eth0" in told["text"]
    again = bench.migrate(ova, *words, network=None)
    assert again.code == 0, again.err
    assert len([one for one in bench.pool.records("network").values() if one["name_label"] == "DMZ"]) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--create-networks",), "--vlan 'VM Network=ID'"),
        (("--vlan", "VM Network=30", "--uplink", "eth9"), "no interface 'eth9'"),
        (("--vlan", "VM Network=many"), "is not SRC=ID"),
        (("--vlan", "VM Network=5000"), "is not SRC=ID"),
        (("--vlan", "Other=5"), "has no network Other"),
        (("--network", "Other=5"), "has no network Other"),
        (("--network", "VM Network=Gone"), "no network is named 'Gone'"),
    ],
)
def test_what_is_not_known_is_not_made(bench, ova, words, says):
    before = len(bench.pool.records("network"))
    ran = bench.migrate(ova, *words, network=None)
    assert ran.code == 2, ran.err
    assert says in " ".join(ran.err.split())
    assert len(bench.pool.records("network")) == before


def edit(path, **cells):
    rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    for row in rows:
        row.update(cells)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_a_plan_leaves_open_what_is_not_certain_and_runs_once_it_is_filled_in(bench, ova):
    plan = Path("plan.csv")
    ran = bench.v2x("plan", "draft", ova, "--target", bench.target, "-o", plan)
    assert ran.code == 0, ran.err
    assert "1 of them with networks for you to choose" in " ".join(ran.out.split())
    (row,) = csv.DictReader(plan.read_text(encoding="utf-8-sig").splitlines())
    assert (row["networks"], row["exclude"]) == ("", "no")
    assert "0 TO CHOOSE ('VM Network'" in row["comment"]
    checked = bench.v2x("plan", "check", plan, "--json")
    assert checked.code == 2
    assert [one["rule"] for one in checked.json["findings"]] == ["plan.network-unresolved"] * 2
    assert bench.v2x("batch", "run", plan).code == 2
    assert not bench.leftovers()
    edit(plan, networks=f"0={MANAGEMENT}; 1=VLAN 10")
    assert bench.v2x("plan", "check", plan).code == 0
    ran = bench.v2x("batch", "run", plan)
    assert ran.code == 0, ran.err
    assert networks_of(bench, "web") == [MANAGEMENT, "VLAN 10"]


def test_a_draft_takes_networks_from_the_command_line(bench, ova):
    words = ("--network", "VM*=Internal", "--network", "DMZ=VLAN 10")
    assert bench.v2x("plan", "draft", ova, "--target", bench.target, "-o", "plan.csv", *words).code == 0
    (row,) = csv.DictReader(Path("plan.csv").read_text(encoding="utf-8-sig").splitlines())
    assert row["networks"] == "0=Internal; 1=VLAN 10"


def test_a_batch_makes_networks_only_when_nothing_else_is_wrong(bench, ova):
    """A saved plan of a source that tells VLANs: the draft's inventory says VLAN 31 for one network."""
    plan = Path("plan.csv")
    words = ("--network", f"VM Network={MANAGEMENT}")
    assert bench.v2x("plan", "draft", ova, "--target", bench.target, "-o", plan, *words).code == 0
    ran = bench.v2x("batch", "run", plan, "--create-networks")
    assert ran.code == 2
    assert "--vlan 'DMZ=ID'" in " ".join(ran.err.split())
    edit(plan, networks=f"*={MANAGEMENT}", memory="0.5 KiB", vcpus="4000")
    before = len(bench.pool.records("network"))
    assert bench.v2x("batch", "run", plan, "--create-networks").code == 2
    assert len(bench.pool.records("network")) == before


def test_a_resource_set_comes_from_the_option_the_target_or_the_plan(bench, ova, tmp_path):
    def belongs(name):
        return json.loads(bench.vm(name)["other_config"].get("xo:resource_set", '""'))

    def migrate(name, *words):
        ran = bench.v2x("migrate", ova, "--name", name, "--network", f"*={MANAGEMENT}", "--mac", "new", "--target",
                        "pool", "--report", tmp_path / f"{name}.json", *words)  # fmt: skip
        assert ran.code == 0, ran.err
        return ran

    config = f'[target.pool]\naddress = "{bench.target}"\n'
    Path("v2x.toml").write_text(config)
    migrate("none")
    assert belongs("none") == ""
    assert "recompute all limits" in migrate("own", "--resource-set", "Set-A").out
    assert belongs("own") == "Set-A"
    Path("v2x.toml").write_text(f'{config}resource_set = "Set-B"\n')
    migrate("default")
    assert belongs("default") == "Set-B"
    plan = tmp_path / "plan.csv"
    ran = bench.v2x("plan", "draft", ova, "--network", f"*={MANAGEMENT}", "--target", "pool", "-o", plan)
    assert ran.code == 0, ran.err
    rows = list(csv.DictReader(plan.read_text(encoding="utf-8-sig").splitlines()))
    assert [row["resource_set"] for row in rows] == ["Set-B"]


def test_files_have_no_network_to_choose(bench, ova):
    ran = bench.migrate(ova, "--source-network", "10.0.0.0/8")
    assert ran.code == 2 and "SOURCE-NETWORK" in ran.err and "mount" in ran.err
    assert not [vm for vm in bench.pool.records("VM").values() if "web" in vm["name_label"]]
