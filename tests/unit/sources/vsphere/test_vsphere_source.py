# SPDX-License-Identifier: Apache-2.0
"""Checkpoints, snapshots and power: what is made at the source is ours, found again, and gone when it is over."""

from dataclasses import replace

import pytest

from tests.vsphere_estate import patterned
from v2x.disks.interface import DiskReader
from v2x.errors import PermissionRefused, SourceError, V2xError
from v2x.model.machine import PowerState
from v2x.model.units import MIB
from v2x.simulators.vsphere import MIGRATION, READ_ONLY, Account, DiskSpec, MachineSpec
from v2x.simulators.vsphere.estate.specs import SnapshotSpec
from v2x.sources.interface import (
    Confirms,
    Diagnoses,
    HardPowerOff,
    Notes,
    PowerControl,
    Source,
    SourceLeftovers,
)

TAG = "v2x-0123456789abcdef01234567"


@pytest.fixture
def site(stand_in):
    server = stand_in(estate="empty")
    server.inside.add_vm(MachineSpec(name="web", disks=(DiskSpec(), DiskSpec(unit=5)), power="poweredOn"))
    server.inside.add_vm(MachineSpec(name="off", disks=(DiskSpec(),)))
    return server


def listed(source, name):
    (found,) = source.inventory(lambda text: text == name).machines
    return found


def snapshots(source, name):
    return [one.name for one in listed(source, name).snapshots]


def calls(server, method):
    return server.inside.ledger.calls_of(method)


def test_it_is_a_source_with_every_ability(site):
    with site.source() as source:
        for ability in (Source, PowerControl, HardPowerOff, Confirms, Notes, Diagnoses, SourceLeftovers):
            assert isinstance(source, ability)


# snapshots


def test_a_snapshot_is_made_adopted_and_removed(server):
    with server.source() as source:
        machine = next(one for one in source.inventory().machines if one.power_state is PowerState.ON and one.disks)
        first = source.checkpoint(machine, TAG)
        assert source.checkpoint(machine, TAG) == first, "the same one again"
        (held,) = [one for one in listed(source, machine.id).snapshots if one.name == f"v2x {TAG}"]
        if hasattr(server.inside, "ledger"):
            assert [one.says["memory"] for one in calls(server, "CreateSnapshot_Task")] == [False]
        assert all(point.startswith(f"{held.id}/{key}/") for key, point in first.points.items())
        assert "v2x" in first.left
        (left,) = source.leftovers()
        assert (left.machine, left.tag) == (machine.name, TAG)
        source.release(machine, TAG)
        source.release(machine, TAG)
        assert source.leftovers() == ()
        assert f"v2x {TAG}" not in snapshots(source, machine.id)


def test_another_run_finds_the_snapshot_of_a_killed_one(site):
    with site.source() as source:
        before = source.checkpoint(listed(source, "web"), TAG)
    with site.source() as source:
        machine = listed(source, "web")
        assert source.checkpoint(machine, TAG).points == before.points
        assert "goes on with the snapshot of an earlier run" in source.notes(machine)[0]
        assert source.notes(machine) == ()
    assert len(calls(site, "CreateSnapshot_Task")) == 1


def test_the_point_carries_the_change_id_of_the_snapshot(stand_in):
    server = stand_in(estate="empty")
    server.inside.add_vm(MachineSpec(name="web", tracking=True, power="poweredOn"))
    with server.source() as source:
        machine = listed(source, "web")
        (point,) = source.checkpoint(machine, TAG).points.values()
    snapshot, key, change = point.split("/", 2)
    assert snapshot.startswith("snapshot") and key == machine.disks[0].id and "/" in change


def test_snapshots_of_others_stay(stand_in):
    server = stand_in(estate="empty")
    before = (SnapshotSpec(name="before the update", children=(SnapshotSpec(name=f"v2x {TAG} not ours"),)),)
    server.inside.add_vm(MachineSpec(name="web", power="poweredOn", snapshots=before))
    with server.source() as source:
        machine = listed(source, "web")
        theirs = snapshots(source, "web")
        source.checkpoint(machine, TAG)
        source.release(machine, TAG)
        source.release(machine, "v2x-ffffffffffffffffffffffff")
        assert snapshots(source, "web") == theirs
    assert len(calls(server, "RemoveSnapshot_Task")) == 1
    assert not calls(server, "RemoveAllSnapshots_Task")


def test_a_lost_answer_makes_no_second_snapshot(site):
    site.inside.faults.arm("cut", target="CreateSnapshot_Task", at=5)
    with site.source() as source:
        source.session.sleep = lambda _: None
        source.checkpoint(listed(source, "web"), TAG)
        assert snapshots(source, "web") == [f"v2x {TAG}"]


def test_a_guest_that_cannot_quiesce_is_copied_without_and_it_is_told(site):
    site.inside.faults.arm("quiesce", target="web")
    with site.source(quiesce=True) as source:
        machine = listed(source, "web")
        source.checkpoint(machine, TAG)
        assert "could not be quiesced" in source.notes(machine)[0]
        (held,) = listed(source, "web").snapshots
        assert held.kind == ""


def test_a_guest_that_can_quiesce(site):
    with site.source(quiesce=True) as source:
        machine = listed(source, "web")
        source.checkpoint(machine, TAG)
        assert source.notes(machine) == ()
        assert listed(source, "web").snapshots[0].kind == "quiesced"


def test_disks_that_need_consolidation_are_consolidated(site):
    with site.source() as source:
        machine = listed(source, "web")
        source.checkpoint(machine, TAG)
        site.inside.faults.arm("consolidate", target="web")
        source.release(machine, TAG)
        assert "consolidated" in source.notes(machine)[0]
        assert not listed(source, "web").consolidation_needed


def test_consolidation_that_fails_is_told_and_no_failure(site):
    with site.source() as source:
        machine = listed(source, "web")
        source.checkpoint(machine, TAG)
        site.inside.faults.arm("consolidate", target="web")
        site.inside.faults.arm("refuse", target="ConsolidateVMDisks_Task", name="vim.fault.FileLocked")
        source.release(machine, TAG)
        assert "still needs consolidation" in source.notes(machine)[0]


def test_leftovers_are_removed_one_by_one(site):
    with site.source() as source:
        machine = listed(source, "web")
        source.checkpoint(machine, TAG)
        source.checkpoint(machine, "v2x-1111111111111111")
        first, second = sorted(source.leftovers(), key=lambda one: one.tag)
        assert second.tag == "v2x-1111111111111111"
        source.remove(first)
        assert [one.tag for one in source.leftovers()] == [second.tag]
        source.remove(second)
        assert snapshots(source, "web") == []


def test_independent_disks_are_told_before_a_snapshot_is_taken(stand_in):
    server = stand_in(estate="empty")
    disks = (DiskSpec(), DiskSpec(mode="independent_persistent"))
    server.inside.add_vm(MachineSpec(name="web", disks=disks, power="poweredOn"))
    with server.source() as source, pytest.raises(SourceError) as caught:
        source.checkpoint(listed(source, "web"), TAG)
    assert caught.value.code == "NOT-IN-SNAPSHOT" and "Hard disk 2" in caught.value.message
    assert not calls(server, "CreateSnapshot_Task")


def test_a_missing_privilege_is_named(stand_in):
    server = stand_in(estate="empty", accounts=[Account("reader@vsphere.local", "pw", READ_ONLY)])
    server.inside.add_vm(MachineSpec(name="web", power="poweredOn"))
    server.user, server.password = "reader@vsphere.local", "pw"
    with server.source() as source, pytest.raises(PermissionRefused) as caught:
        source.checkpoint(listed(source, "web"), TAG)
    assert "VirtualMachine.State.CreateSnapshot" in caught.value.message and "web" in caught.value.message


# machines that are off


def test_nothing_is_made_for_a_machine_that_is_off(server):
    with server.source() as source:
        machine = next(one for one in source.inventory().machines if one.disks)
        source.power_off(machine)
        first = source.checkpoint(machine, TAG)
        assert first.left == "" and all(point.startswith(f"/{key}/") for key, point in first.points.items())
        assert source.checkpoint(machine, TAG).points == first.points
        assert source.leftovers() == ()
        source.confirm(machine, first)


def test_a_machine_that_is_started_while_it_is_copied_is_found_out(server):
    with server.source() as source:
        machine = next(one for one in source.inventory().machines if one.disks)
        source.power_off(machine)
        at = source.checkpoint(machine, TAG)
        source.power_on(machine)
        with pytest.raises(SourceError) as caught:
            source.confirm(machine, at)
        assert caught.value.code == "SOURCE-CHANGED" and "was started" in caught.value.message


def test_a_write_between_two_runs_is_found_out(stand_in, tmp_path):
    server = stand_in(estate="empty")
    held = server.inside.add_vm("off", patterned(tmp_path / "disk.raw", MIB))
    with server.source() as source:
        machine = listed(source, "off")
        before = source.checkpoint(machine, TAG)
        (disk,) = server.inside.disks(held).values()
        source.power_on(machine)
        disk.write(0, b"x" * 512)
        source.power_off(machine)
        after = source.checkpoint(machine, TAG)
        assert before.points != after.points
        with pytest.raises(SourceError) as caught:
            source.confirm(machine, before)
        assert caught.value.code == "SOURCE-CHANGED"


def test_without_the_right_to_browse_a_stamp_is_good_for_this_run_alone(stand_in, monkeypatch):
    rights = MIGRATION - {"Datastore.Browse"}
    server = stand_in(estate="empty", accounts=[Account("mover@vsphere.local", "pw", rights)])
    server.inside.add_vm(MachineSpec(name="off"))
    server.user, server.password = "mover@vsphere.local", "pw"
    with server.source() as source:
        machine = listed(source, "off")
        first = source.checkpoint(machine, TAG)
        assert "lacks Datastore.Browse" in source.notes(machine)[0]
        assert source.checkpoint(machine, TAG).points == first.points
        source.confirm(machine, first)
        monkeypatch.setattr("v2x.sources.vsphere.stillness._THIS_RUN", "another")
        assert source.checkpoint(machine, TAG).points != first.points


def test_the_snapshot_of_a_run_while_it_ran_goes_when_it_is_off(site):
    """Its disks hold more by now; reading the old snapshot would lose what was written since."""
    with site.source() as source:
        machine = listed(source, "web")
        old = source.checkpoint(machine, TAG)
        source.power_off(machine)
        now = source.checkpoint(machine, TAG)
        assert snapshots(source, "web") == [] and now.points != old.points
        assert all(point.startswith("/") for point in now.points.values())


def test_a_suspended_machine_is_refused(stand_in):
    server = stand_in(estate="empty")
    server.inside.add_vm(MachineSpec(name="web", power="suspended"))
    with server.source() as source:
        machine = listed(source, "web")
        for act in (lambda: source.checkpoint(machine, TAG), lambda: source.shutdown(machine, 1)):
            with pytest.raises(SourceError) as caught:
                act()
            assert "resume" in caught.value.hint


# what changed since planning


def test_disks_that_changed_since_planning(site):
    with site.source() as source:
        machine = listed(source, "web")
        first, second = machine.disks
        grown = replace(first, capacity_bytes=first.capacity_bytes - MIB)
        for planned, said in (
            ((first,), "Hard disk 2 is new"),
            ((first, second, replace(second, id="2099", label="Old disk")), "Old disk is gone"),
            ((grown, second), "had"),
        ):
            with pytest.raises(SourceError) as caught:
                source.checkpoint(replace(machine, disks=planned), TAG)
            assert caught.value.code == "SOURCE-CHANGED" and said in caught.value.message
    assert not calls(site, "CreateSnapshot_Task")


def test_a_machine_is_found_again_by_its_identity(site):
    """A moref that now belongs to another machine must not be touched."""
    with site.source() as source:
        web, off = listed(source, "web"), listed(source, "off")
        stale = replace(web, reference=off.reference)
        source.checkpoint(stale, TAG)
        assert snapshots(source, "web") == [f"v2x {TAG}"] and snapshots(source, "off") == []
        assert source.state(replace(web, reference="vm-99999")) is PowerState.ON


def test_a_machine_that_is_gone(site):
    with site.source() as source:
        gone = replace(listed(source, "web"), id="00000000-0000-4000-8000-00000000dead", reference="vm-99999")
        with pytest.raises(SourceError) as caught:
            source.state(gone)
    assert caught.value.code == "SOURCE-GONE"


# power


def test_power_off_and_on(server):
    with server.source() as source:
        machine = next(one for one in source.inventory().machines if one.power_state is PowerState.ON and one.disks)
        assert source.state(machine) is PowerState.ON
        source.power_off(machine)
        source.power_off(machine)
        assert source.state(machine) is PowerState.OFF
        source.power_on(machine)
        source.power_on(machine)
        assert source.state(machine) is PowerState.ON


def test_a_guest_shuts_down(site):
    site.inside.settings.shutdown_delay = 0.1
    with site.source() as source:
        machine = listed(source, "web")
        source.shutdown(machine, 30)
        assert source.state(machine) is PowerState.OFF
        source.shutdown(machine, 30)
    assert not calls(site, "PowerOffVM_Task")


def test_a_guest_that_does_not_is_not_switched_off(site):
    site.inside.settings.guests_ignore_shutdown = True
    with site.source() as source:
        machine = listed(source, "web")
        with pytest.raises(SourceError) as caught:
            source.shutdown(machine, 0.2)
        assert caught.value.code == "GUEST-STILL-ON" and "power-off" in caught.value.hint
        assert source.state(machine) is PowerState.ON
    assert not calls(site, "PowerOffVM_Task")


def test_a_guest_without_tools_hears_nothing(stand_in):
    server = stand_in(estate="empty")
    server.inside.add_vm(MachineSpec(name="web", tools="none", power="poweredOn"))
    with server.source() as source, pytest.raises(SourceError) as caught:
        source.shutdown(listed(source, "web"), 5)
    assert caught.value.code == "TOOLS"


# reading


def test_a_lent_disk_is_never_read(site):
    with site.source() as source:
        machine = listed(source, "off")
        (disk,) = machine.disks
        lent = replace(disk, lent_by="another")
        with pytest.raises(SourceError) as caught:
            source.reader(machine, lent, source.checkpoint(machine, TAG))
    assert caught.value.code == "LENT-DISK"


def test_a_disk_is_read_at_its_checkpoint(stand_in, tmp_path):
    server = stand_in(estate="empty")
    image = patterned(tmp_path / "disk.raw", 4 * MIB)
    server.inside.add_vm("off", image)
    with server.source() as source:
        machine = listed(source, "off")
        reader = source.reader(machine, machine.disks[0], source.checkpoint(machine, TAG))
        assert isinstance(reader, DiskReader)
        data = bytearray(reader.size)
        reader.read_into(0, data)
        reader.close()
    assert bytes(data) == image.read_bytes()


def test_every_failure_has_a_code_and_a_remedy(site):
    with site.source() as source:
        machine = listed(source, "web")
        for name in ("vim.fault.TaskInProgress", "vim.fault.FileLocked", "vmodl.fault.HostCommunication"):
            site.inside.faults.arm("refuse", target="CreateSnapshot_Task", name=name)
            with pytest.raises(V2xError) as caught:
                source.checkpoint(machine, TAG)
            assert caught.value.hint and caught.value.message.startswith("web: take a snapshot: ")


def test_doctor_tells_what_is_wrong_around_a_machine(stand_in):
    with stand_in().source() as source:
        inventory = source.inventory()
        lost = next(one for one in inventory.machines if one.name == "lost-disconnected")
        said = " | ".join(one.found for one in source.diagnosis(inventory, lost) if not one.ok)
        assert "disconnected" in said and "lost-lun is not accessible" in said and "notResponding" in said
        kept = next(one for one in inventory.machines if one.name == "snapshots-of-others")
        assert any("backup" in one.found for one in source.diagnosis(inventory, kept) if not one.ok)
        away = replace(inventory.hosts[0], in_maintenance=True)
        moved = replace(inventory, hosts=(away, *inventory.hosts[1:]))
        there = next(one for one in inventory.machines if one.host == away.name and one.disks)
        assert any("maintenance" in one.found for one in source.diagnosis(moved, there))
