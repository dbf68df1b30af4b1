# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import PowerState

RULE = "machine.suspended"


def test_speaks_of_a_suspended_machine(make, speak):
    assert speak(RULE, make.machine(power_state=PowerState.SUSPENDED)) == [
        ("", "Its memory is lost by the move, as after a power cut; open files may be damaged.")
    ]


def test_is_silent_about_a_machine_that_is_off(make, speak):
    assert speak(RULE, make.machine()) == []
