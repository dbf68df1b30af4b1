# SPDX-License-Identifier: Apache-2.0

RULE = "cpu.windows-client-sockets"


def test_speaks_of_four_sockets(make, speak):
    assert speak(RULE, make.machine(guest=make.client, cpu=make.cpu(count=4, cores_per_socket=1))) == [
        ("", "4 sockets.")
    ]


def test_is_silent_about_one_socket(make, speak):
    assert speak(RULE, make.machine(guest=make.client, cpu=make.cpu(count=4, cores_per_socket=4))) == []


def test_is_silent_about_a_server(make, speak):
    assert speak(RULE, make.machine(guest=make.windows, cpu=make.cpu(count=4, cores_per_socket=1))) == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(guest=make.client, cpu=make.cpu(count=4))) == [
        "The source does not tell the cores per socket."
    ]
