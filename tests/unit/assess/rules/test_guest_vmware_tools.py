# SPDX-License-Identifier: Apache-2.0

RULE = "guest.vmware-tools"


def test_speaks_of_running_tools(make, speak):
    assert speak(RULE, make.machine(guest=make.tools("running"))) == [("", "VMware Tools are running.")]


def test_speaks_of_installed_tools(make, speak):
    assert speak(RULE, make.machine(guest=make.tools("installed"))) == [("", "VMware Tools are installed.")]


def test_is_silent_about_no_tools(make, speak):
    assert speak(RULE, make.machine(guest=make.tools("missing"))) == []


def test_is_silent_about_integration_services_of_hyperv(make, speak):
    assert speak(RULE, make.machine(guest=make.tools("running")), kind="hyperv") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine()) == ["The source does not tell whether VMware Tools are installed."]
    assert doubt(RULE, make.machine(), kind="hyperv") == []
