# SPDX-License-Identifier: Apache-2.0

RULE = "nic.internal-switch"


def test_speaks_of_an_internal_network(make, speak):
    assert speak(RULE, make.machine(), networks=(make.source_network(name="LAN", internal=True),)) == [
        ("Card 1", "Network “LAN”.")
    ]


def test_is_silent_about_an_uplinked_network(make, speak):
    assert speak(RULE, make.machine(), networks=(make.source_network(name="LAN"),)) == []


def test_does_not_know_from_files(make, doubt):
    assert doubt(RULE, make.machine()) == ["The settings of port groups and switches are not in files and exports."]
