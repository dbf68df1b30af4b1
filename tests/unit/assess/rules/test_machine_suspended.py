# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import PowerState

RULE = "machine.suspended"


def test_speaks_of_a_suspended_machine(make, speak):
    assert speak(RULE, make.machine(power_state=PowerState.SUSPENDED)) == [
        ("", "Part of what its disks should hold is in the saved memory, which cannot be moved.")
    ]


def test_is_silent_about_a_machine_that_is_off(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_of_a_machine_that_the_source_cannot_reach(make, doubt):
    unsaid = make.machine(power_state=PowerState.UNKNOWN)
    assert doubt(RULE, unsaid, kind="vsphere") == [
        "The source does not tell whether the machine is running, off or suspended."
    ]
    assert doubt(RULE, unsaid, kind="ovf") == []


def test_is_silent_about_a_state_that_another_rule_speaks_of(make, speak, doubt):
    paused = make.machine(power_state=PowerState.UNKNOWN, power_state_text="Paused")
    assert speak(RULE, paused, kind="hyperv") == doubt(RULE, paused, kind="hyperv") == []
