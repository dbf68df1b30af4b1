# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from v2x.model.finding import Finding, Severity
from v2x.model.health import OnFail
from v2x.model.inventory import MachineGroup, Together
from v2x.model.plan import Endpoint
from v2x.plan import check_plan
from v2x.plan.draft import draft_plan
from v2x.plan.relations import apart, check_relations, group_cells, named, teams, waits_for

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def said(*rows, now=NOW):
    return [(found.rule, found.machine_name or found.subject, found.text) for found in check_relations(rows, now)]


def test_names_and_ids_of_rows_in_any_case(make_row):
    rows = (make_row(1), make_row(2, target_name="db"), make_row(3, after=("UUID-1", "DB")))
    assert waits_for(rows) == {("files", "uuid-3"): (rows[0], rows[1])}
    assert said(*rows) == []


def test_of_two_sources_its_own_is_meant(make_row):
    rows = (make_row(1), make_row(1, source="other", machine_id="x"), make_row(2, after=("web01",)))
    assert named("web01", rows[2], rows) == (rows[0],)
    assert named("web01", replace(rows[2], source="third"), rows) == rows[:2]


@pytest.mark.parametrize(
    ("after", "changes", "rule", "text"),
    [
        ("nobody", {}, "plan.after-unknown", "'nobody' is no id or name of the plan"),
        ("twin", {"target_name": "twin", "machine_name": "twin"}, "plan.after-unknown",
         "'twin' may be any of uuid-1, uuid-2"),
        ("uuid-1", {"exclude": True}, "plan.after-left-out", "'uuid-1' is left out"),
        ("uuid-1", {"order": 1}, "plan.after-later", "'uuid-1' is in wave 1, order 1, this one before it"),
        ("uuid-1", {"wave": 2}, "plan.after-later", "'uuid-1' is in wave 2, order 0, this one before it"),
    ],
)  # fmt: skip
def test_what_cannot_be_waited_for(make_row, after, changes, rule, text):
    twin = {key: value for key, value in changes.items() if key.endswith("name")}
    rows = (make_row(1, **changes), make_row(2, **twin), make_row(3, after=(after,)))
    assert said(*rows) == [(rule, "web03", text)]


def test_a_circle_is_told_once_with_its_way(make_row):
    rows = [make_row(one, after=(f"uuid-{other}",)) for one, other in ((1, 2), (2, 3), (3, 1))]
    rows.append(make_row(4, after=("uuid-1",)))
    assert said(*rows) == [("plan.after-circle", "web01", "each waits for the next: web01 → web02 → web03 → web01")]
    assert [one[0] for one in said(make_row(1, after=("web01",)))] == ["plan.after-circle"]


def test_a_long_chain_and_a_lattice_are_no_circle(make_row):
    chain = [make_row(one, after=(f"uuid-{one - 1}",) if one > 1 else ()) for one in range(1, 1500)]
    assert said(*chain) == []
    assert said(make_row(1), make_row(2, after=("web01",)), make_row(3, after=("web01", "web02"))) == []


def test_what_belongs_together_is_told_where_it_is_split(make_row):
    rows = [make_row(number, wave=number, groups=("erp", "affinity:tier")) for number in (1, 2)]
    assert said(*rows) == [
        ("plan.group-split", "web01", "erp: wave 1: web01; wave 2: web02"),
        ("plan.group-split", "web01", "affinity:tier: wave 1: web01; wave 2: web02"),
    ]
    assert said(*(replace(row, wave=1) for row in rows)) == []
    # A rule of one source says nothing of the machines of another; a word of one's own does.
    other = [rows[0], replace(rows[1], source="other")]
    assert [one[2].partition(":")[0] for one in said(*other)] == ["erp"]


def test_a_shared_disk_goes_whole(make_row):
    rows = [make_row(number, groups=("shared-disk:quorum.vmdk",)) for number in (1, 2)]
    assert said(*rows) == []
    assert said(rows[0], replace(rows[1], exclude=True)) == [
        ("plan.shared-disk-split", "web01", "shared-disk:quorum.vmdk: wave 1: web01; left out: web02")
    ]
    assert said(rows[0], replace(rows[1], wave=2))[0][0] == "plan.shared-disk-split"


@pytest.mark.parametrize("group", ["anti-affinity:web", "failover-cluster:web", "ANTI_AFFINITY:web"])
def test_partners_do_not_go_at_once(make_row, group):
    rows = [make_row(number, groups=(group,)) for number in (1, 2, 3)]
    text = f"{group.casefold()}: web01, web02, web03 all in wave 1, order 0"
    assert said(*rows) == [("plan.partners", "web01", text)]
    assert said(rows[0], replace(rows[1], order=1), replace(rows[2], wave=2)) == []
    moved = apart(rows)
    assert [row.order for row in moved] == [0, 1, 2]
    assert said(*moved) == []
    assert "never at once" in moved[1].comment


def test_machines_tied_to_hosts_may_go_apart(make_row):
    assert said(*(make_row(number, wave=number, groups=("host-affinity:licences",)) for number in (1, 2))) == []


def test_two_domain_controllers_of_one_group_or_none(make_row):
    def rules(*groups):
        return [one[0] for one in said(*(make_row(at, role="DC", groups=one) for at, one in enumerate(groups, 1)))]

    assert rules((), ()) == ["plan.partners"]
    assert rules(("site-a",), ("site-a",)) == ["plan.partners"]
    assert rules(("site-a",), ("site-b",)) == []
    assert rules(("anti-affinity:dcs",), ("anti-affinity:dcs",)) == ["plan.partners"]  # told once
    assert said(make_row(1, role="dc"), make_row(2, role="dc", order=1)) == []


def test_a_window_that_is_over_or_none(make_row):
    assert said(make_row(window="Sat 22:00-04:00 Europe/Paris")) == []
    over = make_row(window="2026-01-01 20:00-22:00 UTC")
    assert said(over) == [("plan.window", "web01", "'2026-01-01 20:00-22:00 UTC' does not come again")]
    assert said(over, now=None) == []
    assert said(make_row(window="soon UTC"))[0][0] == "plan.window"


def test_the_draft_takes_groups_of_the_source_and_keeps_partners_apart(make_machine, make_inventory, facts, tables):
    machines = tuple(make_machine(f"web{number:02}", number) for number in (1, 2, 3))
    groups = (
        MachineGroup(name="web, both", kind=Together.ANTI_AFFINITY, machines=("uuid-1", "uuid-2")),
        MachineGroup(name="shop", kind=Together.VAPP, machines=("uuid-2", "uuid-3")),
    )
    inventory = replace(make_inventory(*machines), groups=groups)
    assert group_cells(inventory)["uuid-2"] == ("anti-affinity:web both", "vapp:shop")
    plan = draft_plan(
        {"files": inventory}, {"pool": facts}, tables, sources=[Endpoint(alias="files", address="/srv")],
        targets=[Endpoint(alias="pool", address="xapi://root@pool")], now=NOW,
    )  # fmt: skip
    assert [(row.groups, row.order) for row in plan.rows] == [
        (("anti-affinity:web both",), 0),
        (("anti-affinity:web both", "vapp:shop"), 1),
        (("vapp:shop",), 0),
    ]


def test_the_draft_knows_domain_controllers_and_lets_one_go_at_a_time(make_machine, make_inventory, facts, tables):
    machines = tuple(make_machine(f"dc{number:02}", number) for number in (1, 2, 3))
    told = [
        Finding(
            rule="identity.domain-controller",
            severity=severity,
            label="l",
            text="t",
            remedy="r",
            machine_id=f"uuid-{at}",
        )
        for at, severity in ((1, Severity.WARNING), (2, Severity.WARNING), (3, Severity.UNKNOWN))
    ]
    plan = draft_plan(
        {"files": make_inventory(*machines)}, {"pool": facts}, tables, now=NOW, findings={"files": told},
        sources=[Endpoint(alias="files", address="/srv")],
        targets=[Endpoint(alias="pool", address="xapi://root@pool")],
    )  # fmt: skip
    assert [(row.role, row.order) for row in plan.rows] == [("dc", 0), ("dc", 1), ("", 0)]
    assert [teams(row) for row in plan.rows] == [("role/dc",), ("role/dc",), ()]
    assert said(*plan.rows) == []


def test_the_check_of_a_plan_tells_them(make_plan, make_row, facts, tables):
    plan = make_plan(make_row(1, after=("web09",)), make_row(2, exclude=True))
    found = {one.rule: one for one in check_plan(plan, {"pool": facts}, tables, now=NOW)}
    assert found["plan.after-unknown"].severity is Severity.BLOCKER


def test_a_way_back_that_will_not_be_gone_by_itself(make_row):
    back = {"on_fail": OnFail.ROLLBACK}
    assert said(make_row(start=True, **back)) == []
    assert said(make_row(**back)) == [("plan.on-fail", "web01", "v2x does not start it, so nothing is looked at")]
    assert said(make_row(start=True, role="DC", **back))[0][0] == "plan.on-fail"
