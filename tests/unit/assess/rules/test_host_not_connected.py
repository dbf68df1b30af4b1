# SPDX-License-Identifier: Apache-2.0

RULE = "host.not-connected"


def test_speaks_of_a_lost_host(make, speak):
    assert speak(
        RULE,
        make.machine(host="esx1"),
        kind="vsphere",
        hosts=(make.source_host(name="esx1", connection_state="notResponding"),),
    ) == [("", "Host “esx1” is notResponding.")]


def test_is_silent_about_a_host_at_work(make, speak):
    assert (
        speak(
            RULE,
            make.machine(host="esx1"),
            kind="vsphere",
            hosts=(make.source_host(name="esx1", connection_state="connected"),),
        )
        == []
    )


def test_does_not_know_of_a_host_that_is_not_listed(make, doubt):
    assert doubt(RULE, make.machine(host="esx1"), kind="vsphere") == [
        "The source does not tell whether it can reach some hosts."
    ]
