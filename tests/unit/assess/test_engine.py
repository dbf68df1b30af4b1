# SPDX-License-Identifier: Apache-2.0
"""The engine: order, purity, and what it adds to a remark."""

import random

from v2x.assess.engine import assess
from v2x.model.codec import from_json, to_json
from v2x.model.finding import Severity, Verdict, verdict_of
from v2x.model.inventory import INVENTORY_SCHEMA, Inventory
from v2x.model.machine import DiskBacking, PowerState


def test_a_finding_carries_its_rule_and_its_machine(make, listed, tables):
    broken = make.machine(id="vm-9", name="db", disks=(make.disk(backing=DiskBacking.MISSING, files=("a.vmdk",)),))
    finding = next(found for found in assess(listed(broken), None, tables) if found.rule == "disk.missing")
    assert finding.severity is Severity.BLOCKER
    assert (finding.machine_id, finding.machine_name) == ("vm-9", "db")
    assert (finding.subject, finding.text) == ("Disk 1 (scsi0:0)", "a.vmdk is not there.")
    assert finding.label == "A disk's file is missing"
    assert finding.remedy
    assert finding.source


def test_findings_come_by_severity_then_machine_then_rule(make, listed, tables):
    machines = [
        make.machine(id=f"vm-{n}", name=f"m{n % 5}", vtpm=n % 2 == 0, firmware_stated=n % 3 == 0) for n in range(12)
    ]
    findings = assess(listed(*machines), make.facts(), tables)
    keys = [(-found.severity.weight, found.machine_name, found.machine_id, found.rule) for found in findings]
    assert keys == sorted(keys)
    assert {found.severity for found in findings} == set(Severity)  # UNKNOWN stands last


def test_order_does_not_depend_on_the_order_of_machines(make, listed, tables):
    machines = [make.machine(id=f"vm-{n}", name=f"m{n}", vtpm=True, nics=(make.nic(n),)) for n in range(9)]
    expected = assess(listed(*machines), None, tables)
    random.Random(7).shuffle(machines)
    assert assess(listed(*machines), None, tables) == expected


def test_findings_of_one_rule_stay_in_the_order_of_the_disks(make, listed, tables):
    machine = make.machine(disks=tuple(make.disk(n, encrypted=True) for n in (2, 0, 1)))
    found = [finding.subject for finding in assess(listed(machine), None, tables) if finding.rule == "disk.encrypted"]
    assert found == ["Disk 3 (scsi0:2)", "Disk 1 (scsi0:0)", "Disk 2 (scsi0:1)"]


def test_a_saved_inventory_gives_the_same_findings(make, listed, tables):
    inventory = listed(make.machine(vtpm=True), make.machine(id="vm-2", name="db", guest=make.old_windows))
    again = from_json(to_json(inventory), Inventory, INVENTORY_SCHEMA)
    assert assess(again, make.facts(), tables) == assess(inventory, make.facts(), tables)


def test_a_plain_machine_on_a_fitting_pool_is_ready(make, listed, tables):
    findings = assess(listed(make.machine()), make.facts(), tables)
    assert verdict_of(findings) is Verdict.READY


def test_the_worst_finding_makes_the_verdict(make, listed, tables):
    warned = assess(listed(make.machine(firmware_stated=False)), make.facts(), tables)
    blocked = assess(listed(make.machine(firmware_stated=False, is_template=True)), make.facts(), tables)
    assert verdict_of(warned) is Verdict.WARNINGS
    assert verdict_of(blocked) is Verdict.BLOCKED


def test_without_a_pool_rules_about_it_are_unknown_once_for_all(make, listed, tables):
    findings = assess(listed(make.machine(), make.machine(id="vm-2", name="db")), None, tables)
    lacking = [found for found in findings if found.severity is Severity.UNKNOWN]
    assert sum(found.text == "No pool was asked." for found in lacking) >= 5
    assert all(found.machine_id == "" and found.machines == () for found in lacking)
    assert all(found.at_stake is not None and found.remedy for found in lacking)
    assert not any(found.at_stake for found in findings if found.severity is not Severity.UNKNOWN)


def test_what_some_machines_lack_names_them_and_leaves_their_verdict(make, listed, tables):
    told, untold = make.machine(cpu=make.cpu(count=4, cores_per_socket=2)), make.machine(id="vm-2", name="db", nics=())
    findings = assess(listed(told, untold), make.facts(), tables)
    lacking = next(found for found in findings if found.rule == "cpu.cores-per-socket")
    assert (lacking.severity, lacking.machines) == (Severity.UNKNOWN, ("vm-2",))
    assert verdict_of(found for found in findings if found.machine_id == "vm-2") is Verdict.READY


def test_what_a_verdict_hangs_on_makes_it_unknown_unless_something_blocks(make, listed, tables):
    disks = (make.disk(datastore="ds1"),)
    lost = make.machine(power_state=PowerState.UNKNOWN, disks=disks)
    shut = make.machine(power_state=PowerState.UNKNOWN, disks=disks, is_template=True)
    assert verdict_of(assess(listed(lost, kind="vsphere"), make.facts(), tables)) is Verdict.UNKNOWN
    assert verdict_of(assess(listed(shut, kind="vsphere"), make.facts(), tables)) is Verdict.BLOCKED


def test_rules_of_one_kind_of_source_are_not_asked_of_another(make, listed, tables):
    asked = {found.rule for found in assess(listed(make.machine(), kind="vsphere"), make.facts(), tables)}
    assert "machine.fault-tolerance" in asked
    assert "machine.shielded" not in asked


def test_an_export_folder_of_hyper_v_is_asked_what_hyper_v_is_asked(make, listed, tables):
    machine = make.machine(shielded=True, power_state=PowerState.ON)
    asked = {found.rule for found in assess(listed(machine, kind="hyperv-folder"), make.facts(), tables)}
    assert {"machine.shielded", "machine.running"} <= asked
    assert "guest.vmware-tools" not in asked
