# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import PowerState

RULE = "machine.state-in-between"


def test_speaks_of_a_paused_machine(make, speak):
    assert speak(RULE, make.machine(power_state=PowerState.UNKNOWN, power_state_text="Paused"), kind="hyperv") == [
        ("", "The source calls its state “Paused”.")
    ]


def test_is_silent_about_a_machine_that_is_off(make, speak):
    assert speak(RULE, make.machine(), kind="hyperv") == []


def test_is_silent_about_files(make, speak):
    assert speak(RULE, make.machine(power_state=PowerState.UNKNOWN), kind="ovf") == []
