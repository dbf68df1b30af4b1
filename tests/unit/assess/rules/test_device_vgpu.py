# SPDX-License-Identifier: Apache-2.0

RULE = "device.vgpu"


def test_speaks_of_a_share_of_a_gpu(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="vgpu", label="GRID P40"),))) == [
        ("GRID P40", "The guest loses this device.")
    ]


def test_is_silent_about_another_device(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="sound", label="Sound"),))) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
