# SPDX-License-Identifier: Apache-2.0

RULE = "cpu.more-than-any-host"


def test_speaks_of_more_than_the_largest_host(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=17)), pool=make.facts()) == [
        ("", "17 virtual processors; the largest enabled host has 16.")
    ]


def test_speaks_of_a_larger_host_that_is_disabled(make, speak):
    assert speak(
        RULE,
        make.machine(cpu=make.cpu(count=17)),
        pool=make.facts(hosts=(make.host(), make.host(cpu_count=64, enabled=False))),
    ) == [("", "17 virtual processors; the largest enabled host has 16.")]


def test_is_silent_about_as_many_as_the_largest_host(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=16)), pool=make.facts()) == []


def test_is_silent_about_hosts_that_do_not_tell(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=17)), pool=make.facts(hosts=(make.host(cpu_count=0),))) == []


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=17))) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The hosts of the pool are not known."]
