# SPDX-License-Identifier: Apache-2.0

RULE = "host.free-licence"


def test_speaks_of_a_free_licence(make, speak):
    assert speak(
        RULE,
        make.machine(host="esx1"),
        kind="vsphere",
        hosts=(make.source_host(name="esx1", read_only_licence=True, licence="vSphere Hypervisor 8"),),
    ) == [("", "Host “esx1”, vSphere Hypervisor 8.")]


def test_is_silent_about_a_full_licence(make, speak):
    assert (
        speak(
            RULE,
            make.machine(host="esx1"),
            kind="vsphere",
            hosts=(make.source_host(name="esx1", read_only_licence=False),),
        )
        == []
    )


def test_does_not_know_of_a_host_that_is_not_listed(make, doubt):
    assert doubt(RULE, make.machine(host="esx1"), kind="vsphere") == [
        "The source does not tell the licences of some hosts."
    ]
