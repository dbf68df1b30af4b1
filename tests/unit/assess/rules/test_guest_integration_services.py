# SPDX-License-Identifier: Apache-2.0

RULE = "guest.integration-services"


def test_speaks_of_services(make, speak):
    assert speak(RULE, make.machine(guest=make.tools("running")), kind="hyperv") == [("", "They are installed.")]


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine(guest=make.tools("missing")), kind="hyperv") == []


def test_is_silent_about_vmware(make, speak):
    assert speak(RULE, make.machine(guest=make.tools("running")), kind="vsphere") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(), kind="hyperv") == ["Whether integration services are installed is not known."]
