# SPDX-License-Identifier: Apache-2.0

RULE = "cpu.cores-per-socket"


def test_speaks_of_three_cores_for_eight(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=8, cores_per_socket=3))) == [
        ("", "8 processors with 3 cores per socket; the topology is not kept.")
    ]


def test_speaks_of_zero_cores(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=8, cores_per_socket=0))) == [
        ("", "8 processors with 0 cores per socket; the topology is not kept.")
    ]


def test_is_silent_about_four_cores_for_eight(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=8, cores_per_socket=4))) == []


def test_is_silent_about_nothing_said(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=8))) == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(cpu=make.cpu(count=4))) == ["The source does not tell the cores per socket."]
