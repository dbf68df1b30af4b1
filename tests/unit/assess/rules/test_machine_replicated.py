# SPDX-License-Identifier: Apache-2.0

RULE = "machine.replicated"


def test_speaks_of_a_replicated_machine(make, speak):
    assert speak(RULE, make.machine(replication="Replicating"), kind="hyperv") == [
        ("", "Its replication is “Replicating”.")
    ]


def test_is_silent_about_a_machine_without(make, speak):
    assert speak(RULE, make.machine(replication="Disabled"), kind="hyperv") == []
