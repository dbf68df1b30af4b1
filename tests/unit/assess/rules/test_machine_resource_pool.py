# SPDX-License-Identifier: Apache-2.0

RULE = "machine.resource-pool"


def test_speaks_of_a_resource_pool(make, speak):
    assert speak(RULE, make.machine(resource_pool="/DC/Prod/Gold")) == [("", "It is in “/DC/Prod/Gold”.")]


def test_is_silent_about_the_root_of_the_cluster(make, speak):
    assert speak(RULE, make.machine(resource_pool="/DC/host/Prod/Resources")) == []


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine()) == []
