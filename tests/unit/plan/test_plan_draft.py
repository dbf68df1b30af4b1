# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from v2x.errors import PlanError
from v2x.mapping.build import build_machine
from v2x.model.finding import Finding, Severity
from v2x.model.machine import DiskBacking, Firmware, Guest, GuestIdKind, PowerState
from v2x.model.placement import NetworkRule, Rules, StorageRule
from v2x.model.plan import Endpoint, MacPolicy, Transfer
from v2x.model.target import HaPriority, SecureBoot
from v2x.model.units import GIB
from v2x.plan.check import check_plan
from v2x.plan.draft import draft_plan
from v2x.plan.store import load_plan, plan_id, save_plan

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TARGETS = (Endpoint(alias="pool", address="xapi://root@pool.example"),)
SOURCES = (Endpoint(alias="files", address="/srv/ova"),)


@pytest.fixture
def draft(facts, tables, make_inventory):
    def make(*machines, pool=None, **options):
        return draft_plan(
            {"files": make_inventory(*machines)},
            {"pool": pool or facts},
            tables,
            sources=SOURCES,
            targets=TARGETS,
            now=NOW,
            **options,
        )

    return make


def test_every_choice_is_filled_in_and_explained(draft, make_machine):
    (row,) = draft(make_machine()).rows
    assert (row.machine_id, row.machine_name, row.source, row.target) == ("uuid-1", "web01", "files", "pool")
    assert (row.target_name, row.storage, row.networks) == ("web01", {"*": "NFS"}, {"0": "Servers"})
    assert (row.mac, row.vcpus, row.memory_bytes) == (MacPolicy.KEEP, 2, 4 * GIB)
    assert (row.firmware, row.secure_boot, row.vtpm) == (Firmware.UEFI, SecureBoot.FALSE, False)
    assert (row.template, row.transfer, row.exclude, row.start) == ("debian-12", Transfer.COLD, False, False)
    assert row.comment.split(" | ")[:3] == [
        "storage: default SR of the pool, 100 GiB free",
        "networks: 0 VLAN 20 on eth0",
        "template: for Debian 12",
    ]


def test_a_draft_passes_its_own_check_and_survives_its_files(draft, tables, make_machine, tmp_path):
    plan = draft(*(make_machine(f"web{number:02}", number) for number in range(1, 9)))
    assert check_plan(plan, plan.facts, tables) == []
    assert save_plan(plan, tmp_path / "plan.csv") == plan
    assert load_plan(tmp_path / "plan.csv") == plan
    assert plan.id == plan_id(plan.rows)


def test_building_from_the_drafted_row_changes_nothing(draft, facts, tables, make_machine):
    """What the draft fills in is what an empty row would have led to."""
    machine = make_machine()
    (row,) = draft(machine).rows
    empty = replace(row, vcpus=None, memory_bytes=None, firmware=None, secure_boot=None, vtpm=None, template="")
    assert build_machine(machine, row, facts, tables) == build_machine(machine, empty, facts, tables)


def test_machines_are_spread_over_the_room_there_is(draft, make_machine):
    """The default SR has room for one of them only."""
    plan = draft(make_machine("a", 1), make_machine("b", 2), make_machine("c", 3))
    assert [row.storage["*"] for row in plan.rows] == ["NFS", "SAN; tier=1", "SAN; tier=1"]


def test_templates_and_blockers_are_excluded_with_the_reason(draft, make_machine):
    broken = make_machine("b", 2)
    broken = replace(broken, disks=(replace(broken.disks[0], backing=DiskBacking.MISSING),))
    finding = Finding(
        rule="encrypted", severity=Severity.BLOCKER, label="Encrypted", text="disk 1 is encrypted", remedy="decrypt",
        machine_id="uuid-3", source="files",
    )  # fmt: skip
    mild = replace(finding, severity=Severity.WARNING, machine_id="uuid-4")
    rows = draft(
        make_machine("a", 1, is_template=True),
        broken,
        make_machine("c", 3),
        make_machine("d", 4),
        findings={"files": [finding, mild]},
    ).rows
    assert [row.exclude for row in rows] == [True, True, True, False]
    assert rows[0].comment.startswith("excluded: template of the source | ")
    assert "is missing" in rows[1].comment
    assert rows[2].comment.startswith("excluded: disk 1 is encrypted | ")


def test_running_and_suspended_machines_are_told(draft, make_machine):
    rows = draft(
        make_machine("a", 1, power_state=PowerState.ON), make_machine("b", 2, power_state=PowerState.SUSPENDED)
    ).rows
    assert "running now: a cold transfer needs it shut down" in rows[0].comment
    assert "suspended now" in rows[1].comment
    assert not any(row.exclude for row in rows)


def test_a_name_in_use_is_told(draft, make_machine):
    assert "'old01' is already on the target" in draft(make_machine("old01")).rows[0].comment


@pytest.mark.parametrize(
    ("select", "names"),
    [
        ((), ["web01", "Web02", "db"]),
        (("web*",), ["web01", "Web02"]),
        (("uuid-3",), ["db"]),
        (("prod/*",), ["db"]),
        (("db", "WEB01"), ["web01", "db"]),
    ],
)
def test_selection(draft, make_machine, select, names):
    machines = make_machine("web01", 1), make_machine("Web02", 2), make_machine("db", 3, folder="prod")
    assert [row.machine_name for row in draft(*machines, select=select).rows] == names


def test_nothing_selected_is_an_error(draft, make_machine):
    with pytest.raises(PlanError, match="no machine is selected"):
        draft(make_machine(), select=("x*",))
    with pytest.raises(PlanError, match="the sources have no machines"):
        draft()


def test_no_target_is_an_error(facts, tables, make_inventory, make_machine):
    for targets, known in (((), {"pool": facts}), (TARGETS, {})):
        with pytest.raises(PlanError, match="no target"):
            draft_plan({"files": make_inventory(make_machine())}, known, tables, sources=(), targets=targets, now=NOW)


def test_an_xva_draft_keeps_the_network_names(draft, facts, make_machine):
    offline = replace(facts, kind="xva", storage=(), networks=(), templates=())
    (row,) = draft(make_machine(), pool=offline).rows
    assert (row.storage, row.networks, row.exclude) == ({}, {"0": "VM Network"}, False)
    assert "template" not in row.comment


def test_a_pool_without_storage_excludes_with_the_reason(draft, facts, make_machine):
    (row,) = draft(make_machine(), pool=replace(facts, storage=())).rows
    assert row.exclude
    assert "no storage repository for disks" in row.comment


def test_the_order_of_the_source_is_kept(draft, make_machine):
    assert draft(make_machine(start_order=7)).rows[0].order == 7


def test_starting_ha_and_the_targets_resource_set_are_taken_over(draft, facts, tables, make_inventory, make_machine):
    (row,) = draft(make_machine(start_action="powerOn", ha_priority="low")).rows
    assert (row.autostart, row.ha, row.resource_set) == (True, HaPriority.BEST_EFFORT, "")
    assert "autostart: as on the source | ha: best-effort, its priority on the source is low" in row.comment
    (row,) = draft(make_machine()).rows
    assert (row.autostart, row.ha) == (False, HaPriority.NONE)
    target = replace(TARGETS[0], resource_set="U8km")
    plan = draft_plan(
        {"files": make_inventory(make_machine())}, {"pool": facts}, tables, sources=SOURCES, targets=[target], now=NOW
    )
    assert plan.rows[0].resource_set == "U8km"


def test_an_uncertain_network_stays_open_with_its_candidates_and_the_row_stays_in(draft, tables, make_machine):
    nic = make_machine().nics[0]
    nics = (nic, replace(nic, position=1, network="Prod", mac="00:50:56:00:01:01"))
    plan = draft(make_machine(nics=nics))
    (row,) = plan.rows
    assert (row.networks, row.exclude, row.vcpus) == ({"0": "Servers"}, False, 2)
    wanted = "networks: 0 VLAN 20 on eth0, 1 TO CHOOSE ('Prod': the pool has no network of this name): LAN, Servers"
    assert wanted in row.comment.split(" | ")
    assert [one.rule for one in check_plan(plan, plan.facts, tables)] == ["plan.network-unresolved"]


def test_rules_fill_cells_and_take_room(draft, make_machine):
    machine = make_machine()
    disk = machine.disks[0]
    disks = (replace(disk, datastore="ssd1"), replace(disk, id="scsi0:1", position=1, datastore="hdd"))
    rules = Rules(
        networks=(NetworkRule(source="VM*", target="LAN"),), storage=(StorageRule(datastore="ssd*", target="NFS"),)
    )
    rows = draft(make_machine("a", 1, disks=disks), make_machine("b", 2, disks=disks[1:]), rules=rules).rows
    assert [row.networks for row in rows] == [{"0": "LAN"}] * 2
    # The default SR has 100 GiB: 60 for the disk that a rule sends there, so the others go elsewhere.
    assert rows[0].storage == {"scsi0:0": "NFS", "*": "NFS"}
    assert rows[1].storage == {"*": "SAN; tier=1"}
    assert "storage: scsi0:0 by rule, default SR" in rows[0].comment


def test_a_rule_that_names_nothing_stops_the_draft(draft, make_machine):
    with pytest.raises(PlanError, match="no storage repository is named 'Gone'"):
        draft(make_machine(), rules=Rules(storage=(StorageRule(datastore="*", target="Gone"),)))


def test_a_windows_that_may_be_sealed_is_told_and_nothing_confirmed_for_it(draft, make_machine):
    windows = Guest(os_id="windows2019srv_64Guest", os_id_kind=GuestIdKind.VMWARE)
    sealed, plain = draft(make_machine("a", 1, guest=windows, vtpm=True), make_machine("b", 2, guest=windows)).rows
    assert "guest: it is Windows and has a TPM; to convert it, suspend BitLocker" in sealed.comment
    assert "guest:" not in plain.comment
    assert sealed.guest == plain.guest == ()
