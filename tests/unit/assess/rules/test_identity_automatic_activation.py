# SPDX-License-Identifier: Apache-2.0

RULE = "identity.automatic-activation"


def test_speaks_of_a_datacenter_host(make, speak):
    assert speak(
        RULE,
        make.machine(guest=make.windows, host="hv1"),
        kind="hyperv",
        hosts=(make.source_host(name="hv1", edition="Windows Server 2022 Datacenter"),),
    ) == [("", "Its host “hv1” is Windows Server 2022 Datacenter, which activates guests.")]


def test_is_silent_about_a_standard_host(make, speak):
    assert (
        speak(
            RULE,
            make.machine(guest=make.windows, host="hv1"),
            kind="hyperv",
            hosts=(make.source_host(name="hv1", edition="Windows Server 2022 Standard"),),
        )
        == []
    )


def test_is_silent_about_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.linux), kind="hyperv") == []


def test_does_not_know_of_a_host_that_is_not_listed(make, doubt):
    assert doubt(RULE, make.machine(guest=make.windows, host="hv1"), kind="hyperv") == [
        "The edition of some hosts is not known."
    ]
