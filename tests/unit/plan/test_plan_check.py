# SPDX-License-Identifier: Apache-2.0
import time
from dataclasses import replace

import pytest

from v2x.model.finding import Severity
from v2x.model.machine import Cpu, Guest, GuestIdKind, GuestVolume, Memory, PowerState
from v2x.model.placement import NetworkRule, Rules
from v2x.model.plan import GuestConversion, GuestWish, MacPolicy, Running, Transfer
from v2x.model.units import GIB, TIB
from v2x.plan import rules
from v2x.plan.check import check_plan


@pytest.fixture
def check(facts, tables):
    def run(plan, pool=None, **options):
        return check_plan(plan, {"pool": pool or facts}, tables, **options)

    return run


def ids(findings) -> list[str]:
    return [finding.rule for finding in findings]


def test_a_sound_plan_has_no_findings(check, make_plan, make_row):
    assert check(make_plan(make_row(1), make_row(2, storage={"*": "SAN; tier=1"}))) == []


def test_a_plan_without_rows_to_run(check, make_plan, make_row):
    assert [finding.text for finding in check(make_plan())] == ["there are no rows"]
    (finding,) = check(make_plan(make_row(1, exclude=True)))
    assert (finding.rule, finding.text) == ("plan.empty", "every row is excluded")


def test_excluded_rows_are_left_out(check, make_plan, make_row):
    wrong = make_row(9, exclude=True, source="gone", storage={"*": "nowhere"})
    assert check(make_plan(make_row(1), wrong, make_row(1, exclude=True))) == []


def test_a_machine_in_two_rows(check, make_plan, make_row):
    found = check(make_plan(make_row(1), make_row(1, target_name="other"), make_row(1, target_name="third")))
    assert ids(found).count("plan.duplicate-machine") == 1
    assert "plan.duplicate-mac" in ids(found)


def test_unknown_source_target_and_machine(check, make_plan, make_row):
    found = check(make_plan(make_row(1, source="vc"), make_row(2, target="lab"), make_row(7)))
    assert [(finding.rule, finding.text) for finding in found] == [
        ("plan.unknown-source", "'vc'; valid: files"),
        ("plan.unknown-target", "'lab'; valid: pool"),
        ("plan.unknown-machine", "files has no machine 'uuid-7'"),
    ]


def test_two_machines_of_one_name(check, make_plan, make_row):
    found = check(
        make_plan(make_row(1, target_name="same"), make_row(2, target_name=" same ", storage={"*": "sr-san"}))
    )
    assert [(finding.rule, finding.text, finding.subject) for finding in found] == [
        ("plan.duplicate-name", "'same' on pool: uuid-1, uuid-2", "same")
    ]


def test_a_name_and_mac_on_the_target(check, make_plan, make_row, make_machine):
    machine = make_machine("web01", 0x99)
    plan = make_plan(make_row(0x99, target_name="old01"), machines=(machine,))
    assert [(finding.rule, finding.text) for finding in check(plan)] == [
        ("plan.name-on-target", "'old01' on pool"),
        ("plan.mac-on-target", "00:50:56:00:00:99 of 'old01' on pool"),
    ]
    assert check(plan, done={machine.id}) == []
    fresh = replace(plan, rows=(replace(plan.rows[0], target_name="web", mac=MacPolicy.NEW),))
    assert check(fresh) == []


def test_one_mac_on_two_machines(check, make_plan, make_row, make_machine):
    twins = (make_machine("a", 1), replace(make_machine("b", 2), nics=make_machine("a", 1).nics))
    rows = (make_row(1, machine_name="a"), make_row(2, machine_name="b", storage={"*": "sr-san"}))
    (finding,) = check(make_plan(*rows, machines=twins))
    assert (finding.rule, finding.text) == ("plan.duplicate-mac", "00:50:56:00:00:01: a, b")
    assert check(make_plan(rows[0], replace(rows[1], mac=MacPolicy.NEW), machines=twins)) == []


def test_one_mac_twice_in_a_machine(check, make_plan, make_row, make_machine):
    machine = make_machine("a", 1)
    machine = replace(machine, nics=(machine.nics[0], replace(machine.nics[0], position=1)))
    assert ids(check(make_plan(make_row(1), machines=(machine,)))) == ["plan.duplicate-mac"]


def test_storage_and_networks_that_do_not_resolve(check, make_plan, make_row):
    row = make_row(1, storage={"*": "NFS", "scsi0:0": "Nope"}, networks={"0": "Nix"})
    found = check(make_plan(row))
    assert [(finding.rule, finding.text) for finding in found] == [
        ("plan.storage", "no storage repository is named 'Nope'; valid: NFS, SAN; tier=1"),
        ("plan.network", "no network is named 'Nix'; valid: LAN, Servers"),
    ]


def test_ids_that_the_machine_lacks(check, make_plan, make_row):
    found = check(make_plan(make_row(1, storage={"scsi0:O": "NFS"}, networks={"1": "LAN"})))
    assert [(finding.rule, finding.text) for finding in found] == [
        ("plan.unknown-disk", "'scsi0:O'; valid: *, scsi0:0"),
        ("plan.unknown-nic", "'1'; valid: *, 0"),
    ]


def test_rows_that_cannot_be_made(check, make_plan, make_row):
    found = check(make_plan(make_row(1, template="debian-99"), make_row(2, vtpm=True, storage={"*": "sr-san"})))
    assert ids(found) == ["plan.unmappable"]
    assert found[0].text == "no template is named 'debian-99'; valid: debian-12, other-install-media"


def test_warm_needs_a_live_source(check, make_plan, make_row):
    row = make_row(1, transfer=Transfer.WARM)
    (finding,) = check(make_plan(row))
    assert (finding.rule, finding.text) == ("plan.warm", "files is of kind ovf")
    assert check(make_plan(row, kind="vsphere")) == []


@pytest.fixture
def full_machines(make_machine):
    """Three machines whose disks of 60 GiB are full, as far as the source tells."""

    def make(allocated=60 * GIB):
        machines = (make_machine(f"web{number:02}", number) for number in (1, 2, 3))
        return tuple(
            replace(machine, disks=(replace(machine.disks[0], allocated_bytes=allocated),)) for machine in machines
        )

    return make


def test_room_over_all_rows(check, make_plan, make_row, full_machines):
    plan = make_plan(*(make_row(number, storage={"*": "NFS"}) for number in (1, 2, 3)), machines=full_machines())
    (finding,) = check(plan)
    assert (finding.rule, finding.subject, finding.machine_id) == ("plan.space", "NFS", "")
    assert finding.text == (
        "'NFS' on pool (thin): 180 GiB needed by 3 machines, 100 GiB free, 80 GiB missing; "
        "largest: web01 60 GiB, web02 60 GiB, web03 60 GiB"
    )
    assert check(plan, done={"uuid-1", "uuid-2"}) == []


def test_storage_that_only_a_leaving_host_sees_is_a_warning(check, facts, make_plan, make_row):
    plan = make_plan(make_row(1, storage={"*": "NFS"}))
    assert [one for one in check(plan) if one.rule == "plan.no-host"] == []
    leaving = replace(facts, hosts=tuple(replace(host, enabled=False) for host in facts.hosts))
    (finding,) = [one for one in check(plan, leaving) if one.rule == "plan.no-host"]
    assert (finding.severity, finding.subject, finding.text) == (Severity.WARNING, "NFS", "'NFS' on pool: host1")


def test_room_that_may_be_enough_is_a_warning(check, make_plan, make_row):
    (finding,) = check(make_plan(*(make_row(number, storage={"*": "NFS"}) for number in (1, 2, 3))))
    assert (finding.rule, finding.severity) == ("plan.space-unsure", Severity.WARNING)
    assert "(thin): 0 bytes to 180 GiB needed by 3 machines, 100 GiB free, up to 80 GiB missing" in finding.text


def test_thin_storage_takes_what_disks_hold_and_thick_their_size(check, make_plan, make_row, full_machines, facts):
    thin = full_machines(allocated=10 * GIB)
    assert check(make_plan(*(make_row(number, storage={"*": "NFS"}) for number in (1, 2, 3)), machines=thin)) == []
    small = replace(facts.storage[1], used_bytes=20 * TIB - 100 * GIB)
    rows = [make_row(number, storage={"*": "sr-san"}) for number in (1, 2, 3)]
    (finding,) = check(make_plan(*rows, machines=thin), replace(facts, storage=(facts.storage[0], small)))
    assert "(thick): 180 GiB needed" in finding.text


def test_the_folder_of_an_xva_target_has_its_room(check, make_plan, make_row, full_machines, facts):
    folder = replace(facts.storage[0], uuid="xva", name="/srv/out", content_type="", hosts=())
    offline = replace(facts, kind="xva", storage=(folder,), networks=(), templates=())
    (finding,) = check(make_plan(*map(make_row, (1, 2, 3)), machines=full_machines()), offline)
    assert (finding.rule, finding.subject) == ("plan.space", "/srv/out")


def test_an_sr_of_unknown_size_is_not_judged(check, make_plan, make_row, facts):
    unknown = replace(facts.storage[0], size_bytes=0, used_bytes=0)
    rows = [make_row(number, storage={"*": "NFS"}) for number in (1, 2, 3)]
    assert check(make_plan(*rows), replace(facts, storage=(unknown,))) == []


WINDOWS = Guest(os_id="windows2019srv_64Guest", os_id_kind=GuestIdKind.VMWARE)


@pytest.mark.parametrize(
    ("change", "version", "rule", "text"),
    [
        ({"cpu": Cpu(count=129)}, "8.3.0", "plan.vcpus", "129, at most 128"),
        ({"cpu": Cpu(count=33)}, "8.2.1", "plan.vcpus", "33, at most 32"),
        ({"cpu": Cpu(count=33)}, "8.3.0", "plan.vcpus-support", "33, supported up to 32"),
        ({"cpu": Cpu(count=65), "guest": WINDOWS}, "8.3.0", "plan.vcpus", "65, at most 64 for Windows"),
        ({"cpu": Cpu(count=65)}, "8.3.0", "plan.vcpus-host", "65, the largest host has 64"),
        ({"memory": Memory(size_bytes=9 * TIB)}, "8.3.0", "plan.memory", "9 TiB, at most 8 TiB"),
        ({"memory": Memory(size_bytes=2 * TIB)}, "8.2.1", "plan.memory", "2 TiB, at most 1.5 TiB"),
        (
            {"memory": Memory(size_bytes=600 * GIB)},
            "8.3.0",
            "plan.memory-host",
            "600 GiB, the largest host has 512 GiB",
        ),
    ],
)
def test_limits(check, make_plan, make_row, make_machine, facts, change, version, rule, text):
    found = check(make_plan(make_row(1), machines=(make_machine(**change),)), replace(facts, version=version))
    assert (rule, text) in [(finding.rule, finding.text) for finding in found]


def test_too_many_adapters_and_disks(check, make_plan, make_row, make_machine, facts):
    machine = make_machine()
    nics = tuple(replace(machine.nics[0], position=at, mac=f"00:50:56:00:01:{at:02x}") for at in range(8))
    disks = tuple(replace(machine.disks[0], id=f"d{at}", position=at, capacity_bytes=GIB // 8) for at in range(242))
    plan = make_plan(make_row(1), machines=(replace(machine, nics=nics, disks=disks),))
    assert ids(check(plan)) == ["plan.disks"]
    older = check(plan, replace(facts, xapi_version="24.19.2"))
    assert [(finding.rule, finding.text) for finding in older] == [
        ("plan.disks", "242, at most 241"),
        ("plan.nics", "8, at most 7"),
    ]


def test_blockers_come_first(check, make_plan, make_row, make_machine):
    machines = (make_machine("web01", 1, cpu=Cpu(count=33)), make_machine("web02", 2))
    found = check(make_plan(make_row(1), make_row(2, networks={"*": "no"}), machines=machines))
    assert [finding.severity for finding in found] == [Severity.BLOCKER, Severity.WARNING]


def test_an_xva_target_takes_any_network_name(check, make_plan, make_row, facts):
    offline = replace(facts, kind="xva", storage=(), networks=(), templates=(), machine_names=(), macs=())
    assert check(make_plan(make_row(1, networks={"0": "Anything"}, storage={"*": "x"})), offline) == []


def test_every_rule_has_its_own_id_label_and_remedy():
    found = [rule for rule in vars(rules).values() if isinstance(rule, rules.Rule)]
    assert len(found) > 20
    for field in ("id", "label"):
        assert len({getattr(rule, field) for rule in found}) == len(found)
    assert all(rule.id.startswith("plan.") and rule.remedy.endswith(".") for rule in found)


def test_a_thousand_rows_are_checked_in_seconds(check, make_plan, make_row, make_machine):
    machines = tuple(make_machine(f"web{number:04}", number) for number in range(1000))
    machines = tuple(
        replace(machine, nics=(replace(machine.nics[0], mac=f"00:50:56:01:{at // 256:02x}:{at % 256:02x}"),))
        for at, machine in enumerate(machines)
    )
    rows = [make_row(number, storage={"*": "sr-san"}) for number in range(1000)]
    before = time.perf_counter()
    assert ids(check(make_plan(*rows, machines=machines))) == ["plan.space"]
    assert time.perf_counter() - before < 10


def test_a_network_that_nobody_chose_is_a_blocker_for_each_adapter(facts, tables, make_plan, make_row, make_machine):
    nic = make_machine().nics[0]
    nics = tuple(replace(nic, position=number, network=name, mac="") for number, name in enumerate(("LAN", "A", "B")))
    machine = make_machine("web01", 1, nics=nics)
    plan = make_plan(make_row(), machines=(machine,))
    found = check_plan(plan, {"pool": facts}, tables)
    assert [one.rule for one in found] == ["plan.network-unresolved"] * 2
    assert found[0].text == ("adapter 1 on 'A': the pool has no network of this name; it could be LAN, Servers")
    for chosen in ({"*": "LAN"}, {"1": "LAN", "2": "Servers"}):
        assert check_plan(make_plan(make_row(networks=chosen), machines=(machine,)), {"pool": facts}, tables) == []


def test_rules_answer_for_empty_cells_and_a_wrong_rule_is_found(facts, tables, make_plan, make_row, make_machine):
    nic = replace(make_machine().nics[0], network="A")
    plan = make_plan(make_row(), machines=(make_machine("web01", 1, nics=(nic,)),))

    def found(target):
        rules = Rules(networks=(NetworkRule(source="A", target=target),))
        return [one.rule for one in check_plan(plan, {"pool": facts}, tables, rules=rules)]

    assert found("LAN") == []
    assert found("Gone") == ["plan.network"]


def test_what_changed_since_the_draft_blocks_its_row(make_plan, make_row, make_machine, make_inventory, facts, tables):
    plan = make_plan(make_row(1), make_row(2), make_row(3, exclude=True))
    grown = tuple(
        replace(machine, memory=replace(machine.memory, size_bytes=GIB))
        for machine in plan.inventories["files"].machines
    )
    drafted = {"files": make_inventory(*grown)}
    found = check_plan(plan, {"pool": facts}, tables, drafted=drafted, done={"uuid-2"})
    assert [(one.rule, one.machine_name, one.text) for one in found if one.rule == "plan.changed"] == [
        ("plan.changed", "web01", "1 GiB of memory then, 4 GiB now")
    ]
    assert not [one for one in check_plan(plan, {"pool": facts}, tables) if one.rule == "plan.changed"]


def test_an_export_without_disks_is_told_once(make_plan, make_row, facts, tables):
    plan = make_plan(make_row(1), make_row(2), kind="rvtools")
    found = [one for one in check_plan(plan, {"pool": facts}, tables) if one.rule == "plan.not-live"]
    assert [(one.subject, one.severity) for one in found] == [("files", Severity.WARNING)]


@pytest.mark.parametrize(
    ("state", "running", "said"),
    [
        (PowerState.ON, Running.REFUSE, "it is running now"),
        (PowerState.ON, Running.SNAPSHOT, ""),
        (PowerState.OFF, Running.REFUSE, ""),
        (PowerState.SUSPENDED, Running.SHUTDOWN, "it is suspended now: resume it and shut it down"),
    ],
)
def test_machines_that_run_need_a_word(check, make_plan, make_row, make_machine, state, running, said):
    machine = make_machine("web01", 1, power_state=state)
    plan = make_plan(make_row(1, running=running), machines=(machine,), kind="vsphere")
    found = [one for one in check(plan) if one.rule == "plan.running"]
    assert [one.text for one in found] == ([said] if said else [])
    assert all(one.severity is Severity.WARNING for one in found)


@pytest.mark.parametrize(
    ("kind", "state", "refused"),
    [("hyperv", PowerState.ON, True), ("hyperv", PowerState.OFF, False), ("vsphere", PowerState.ON, False)],
)
def test_a_source_without_snapshots_copies_no_running_machine(
    check, make_plan, make_row, make_machine, kind, state, refused
):
    machine = make_machine("web01", 1, power_state=state)
    plan = make_plan(make_row(1, running=Running.SNAPSHOT), machines=(machine,), kind=kind)
    assert [one.severity for one in check(plan) if one.rule == "plan.no-snapshot"] == [Severity.BLOCKER] * refused


AUTO = {"convert": GuestConversion.AUTO}
WINDOWS = Guest(os_id="windows2019srv_64Guest", os_id_kind=GuestIdKind.VMWARE)
LOCKED = Guest(volumes=(GuestVolume(path="C:", filesystem="BitLocker"),))


def test_words_for_a_guest_without_its_conversion(check, make_plan, make_row):
    (finding,) = check(make_plan(make_row(1, guest=(GuestWish.REMOVE_TOOLS, GuestWish.CLEAN_HIBERNATION))))
    assert (finding.rule, finding.severity) == ("plan.guest", Severity.WARNING)
    assert finding.text == "remove-tools, clean-hibernation, and convert is off"
    assert ids(check(make_plan(make_row(1, guest=(GuestWish.REMOVE_TOOLS,), **AUTO)))) == ["plan.convert"]


@pytest.mark.parametrize(
    ("row", "machine", "options", "told"),
    [
        (AUTO, {"guest": WINDOWS, "vtpm": True}, {}, "it is Windows and has a TPM"),
        (AUTO, {"guest": LOCKED}, {}, "C: is encrypted with BitLocker"),
        (AUTO, {"guest": WINDOWS}, {}, ""),
        (AUTO, {"vtpm": True}, {}, ""),
        ({}, {"guest": LOCKED, "vtpm": True}, {}, ""),
        (AUTO, {"guest": LOCKED}, {"has_keys": True}, ""),
        (AUTO, {"guest": LOCKED}, {"done": {"uuid-1"}}, ""),
        ({**AUTO, "guest": (GuestWish.BITLOCKER_SUSPENDED,)}, {"guest": LOCKED}, {}, ""),
        ({**AUTO, "guest": (GuestWish.CLEAN_HIBERNATION,)}, {"guest": LOCKED}, {}, "C: is encrypted with BitLocker"),
    ],
)
def test_a_windows_that_may_be_sealed(check, make_plan, make_row, make_machine, row, machine, options, told):
    plan = make_plan(make_row(1, **row), machines=(make_machine(**machine),))
    found = [one for one in check(plan, **options) if one.rule == "plan.bitlocker"]
    assert [one.text.split(";")[0] for one in found] == ([told] if told else [])
    assert all(one.severity is Severity.WARNING for one in found)


@pytest.mark.parametrize(
    ("row", "power", "rule"),
    [
        ({"running": Running.SHUTDOWN}, PowerState.ON, "plan.bitlocker-unconfirmed"),
        ({"running": Running.POWER_OFF}, PowerState.ON, "plan.bitlocker-unconfirmed"),
        ({"running": Running.SHUTDOWN}, PowerState.OFF, "plan.bitlocker"),
        ({"running": Running.SHUTDOWN, "transfer": Transfer.WARM}, PowerState.ON, "plan.bitlocker"),
        ({"running": Running.SHUTDOWN, "guest": (GuestWish.BITLOCKER_SUSPENDED,)}, PowerState.ON, ""),
    ],
)
def test_no_windows_is_shut_down_to_find_it_sealed(check, make_plan, make_row, make_machine, row, power, rule):
    machine = make_machine("web01", 1, guest=LOCKED, power_state=power)
    plan = make_plan(make_row(1, **AUTO, **row), machines=(machine,), kind="vsphere")
    found = {one.rule: one.severity for one in check(plan) if one.rule.startswith("plan.bitlocker")}
    severity = Severity.BLOCKER if rule.endswith("unconfirmed") else Severity.WARNING
    assert found == ({rule: severity} if rule else {})
