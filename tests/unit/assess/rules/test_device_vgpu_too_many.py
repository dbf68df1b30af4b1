# SPDX-License-Identifier: Apache-2.0

RULE = "device.vgpu-too-many"


def test_speaks_of_nine(make, speak):
    assert speak(RULE, make.machine(devices=tuple(make.device(kind="vgpu", label=str(n)) for n in range(9)))) == [
        ("", "9 virtual GPUs; at most 8 are possible.")
    ]


def test_is_silent_about_eight(make, speak):
    assert speak(RULE, make.machine(devices=tuple(make.device(kind="vgpu", label=str(n)) for n in range(8)))) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
