# SPDX-License-Identifier: Apache-2.0
"""Names and notes that are set and put back, and the power of many machines in one question."""

from dataclasses import replace

import pytest

from v2x.errors import PermissionRefused
from v2x.model.machine import PowerState
from v2x.simulators.vsphere import READ_ONLY, Account, MachineSpec
from v2x.sources.interface import Marks, PowerStates


@pytest.fixture
def site(stand_in):
    server = stand_in(estate="empty")
    for name, power in (("web", "poweredOn"), ("off", "poweredOff"), ("a/b 50%", "suspended")):
        server.inside.add_vm(MachineSpec(name=name, power=power, annotation="Front end"))
    return server


def test_powers_are_told_in_one_question(site, monkeypatch):
    with site.source() as source:
        assert isinstance(source, PowerStates) and isinstance(source, Marks)
        machines = source.inventory().machines
        asked, real = [], source.session.retrieve

        def retrieve(*words, **more):
            asked.append(more.get("objects"))
            return real(*words, **more)

        monkeypatch.setattr(source.session, "retrieve", retrieve)
        states = source.states(machines)
        assert [len(objects) for objects in asked] == [3]
    names = {machine.id: machine.name for machine in machines}
    assert {names[key]: state for key, state in states.items()} == {
        "web": PowerState.ON, "off": PowerState.OFF, "a/b 50%": PowerState.SUSPENDED,
    }  # fmt: skip


def test_one_that_was_registered_anew_is_found_and_one_that_is_gone_left_out(site):
    with site.source() as source:
        machines = source.inventory().machines
        moved = tuple(replace(one, reference="vm-999999") if one.name == "web" else one for one in machines)
        gone = replace(moved[0], id="42110000-dead-4222-8333-444444444444", reference="vm-888888")
        states = source.states((*moved, gone))
        assert set(states) == {machine.id for machine in machines}
        assert source.states(()) == {}


def test_a_reference_that_belongs_to_another_machine_by_now_is_not_believed(site):
    with site.source() as source:
        machines = {one.name: one for one in source.inventory().machines}
        swapped = replace(machines["web"], reference=machines["off"].reference)
        assert source.states([swapped]) == {swapped.id: PowerState.ON}


@pytest.mark.parametrize("name", ["web", "a/b 50%"])
def test_what_was_read_can_be_set_again(site, name):
    with site.source() as source:
        machine = next(one for one in source.inventory().machines if one.name == name)
        old = source.label(machine)
        assert old["notes"] == "Front end"
        source.relabel(machine, {"name": old["name"] + " (migrated)", "notes": "gone"})
        now = next(one for one in source.inventory().machines if one.id == machine.id)
        assert (now.name, now.notes) == (f"{name} (migrated)", "gone")
        source.relabel(machine, old)
        back = next(one for one in source.inventory().machines if one.id == machine.id)
        assert (back.name, back.notes) == (name, "Front end")


def test_only_what_is_named_is_set(site):
    with site.source() as source:
        machine = next(one for one in source.inventory().machines if one.name == "web")
        source.relabel(machine, {"notes": ""})
        assert source.label(machine) == {"name": "web", "notes": ""}


def test_who_may_not_is_told(stand_in):
    server = stand_in(estate="empty", accounts=[Account("reader@vsphere.local", "secret", privileges=READ_ONLY)])
    server.inside.add_vm(MachineSpec(name="web"))
    reader = replace(server, user="reader@vsphere.local", password="secret")
    with reader.source() as source:
        (machine,) = source.inventory().machines
        with pytest.raises(PermissionRefused):
            source.relabel(machine, {"name": "x"})
