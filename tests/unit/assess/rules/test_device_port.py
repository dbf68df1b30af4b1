# SPDX-License-Identifier: Apache-2.0

RULE = "device.port"


def test_speaks_of_a_serial_and_a_parallel_port(make, speak):
    assert speak(
        RULE,
        make.machine(
            devices=(make.device(kind="serial", label="Serial 1"), make.device(kind="parallel", label="Parallel 1"))
        ),
    ) == [("Serial 1", "A serial port."), ("Parallel 1", "A parallel port.")]


def test_is_silent_about_another_device(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="sound", label="Sound"),))) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
