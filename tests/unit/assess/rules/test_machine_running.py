# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import PowerState

RULE = "machine.running"


def test_speaks_of_files_of_a_running_machine(make, speak):
    assert speak(RULE, make.machine(power_state=PowerState.ON), kind="vmx") == [
        ("", "Its disks cannot be read at rest.")
    ]


def test_speaks_of_a_folder_of_machines(make, speak):
    assert speak(RULE, make.machine(power_state=PowerState.ON), kind="folder") == [
        ("", "Its disks cannot be read at rest.")
    ]


def test_is_silent_about_a_running_machine_of_a_server_that_can_snapshot(make, speak):
    assert speak(RULE, make.machine(power_state=PowerState.ON), kind="vsphere") == []


def test_is_silent_about_a_machine_that_is_off(make, speak):
    assert speak(RULE, make.machine(), kind="vmx") == []


def test_does_not_know_of_a_folder_that_does_not_tell(make, doubt):
    unsaid = make.machine(power_state=PowerState.UNKNOWN)
    assert doubt(RULE, unsaid, kind="vmx") == [
        "The source does not tell whether the machine is running, off or suspended."
    ]
    assert doubt(RULE, unsaid, kind="ovf") == []
