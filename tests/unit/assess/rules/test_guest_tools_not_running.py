# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import PowerState

RULE = "guest.tools-not-running"


def test_speaks_of_a_running_machine_without(make, speak):
    assert speak(RULE, make.machine(power_state=PowerState.ON, guest=make.tools("installed")), kind="vsphere") == [
        ("", "The machine is running, its tools are not.")
    ]


def test_is_silent_about_tools_that_run(make, speak):
    assert speak(RULE, make.machine(power_state=PowerState.ON, guest=make.tools("running")), kind="vsphere") == []


def test_is_silent_about_a_machine_that_is_off(make, speak):
    assert speak(RULE, make.machine(guest=make.tools("missing")), kind="vsphere") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(power_state=PowerState.ON), kind="vsphere") == [
        "Whether tools run in the guest is not known."
    ]
