# SPDX-License-Identifier: Apache-2.0

RULE = "cpu.count-invalid"


def test_speaks_of_no_processor(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=0))) == [("", "The source says 0.")]


def test_is_silent_about_one_processor(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=1))) == []
