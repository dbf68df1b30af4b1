# SPDX-License-Identifier: Apache-2.0

RULE = "host.old-release"


def test_speaks_of_esxi_6(make, speak):
    assert speak(
        RULE,
        make.machine(host="esx1"),
        kind="vsphere",
        hosts=(make.source_host(name="esx1", version="VMware ESXi 6.5.0 build-1"),),
    ) == [("", "Host “esx1” runs VMware ESXi 6.5.0 build-1.")]


def test_is_silent_about_esxi_8(make, speak):
    assert (
        speak(RULE, make.machine(host="esx1"), kind="vsphere", hosts=(make.source_host(name="esx1", version="8.0.3"),))
        == []
    )


def test_is_silent_about_windows_server_2019(make, speak):
    assert (
        speak(
            RULE, make.machine(host="hv1"), kind="hyperv", hosts=(make.source_host(name="hv1", version="10.0.17763"),)
        )
        == []
    )


def test_does_not_know_of_a_host_that_is_not_listed(make, doubt):
    assert doubt(RULE, make.machine(host="esx1"), kind="vsphere") == [
        "The source does not tell the release of some hosts."
    ]
