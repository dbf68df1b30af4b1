# SPDX-License-Identifier: Apache-2.0

RULE = "device.persistent-memory"


def test_speaks_of_an_nvdimm(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="nvdimm", label="NVDIMM 1"),))) == [
        ("NVDIMM 1", "What it holds is on no disk.")
    ]


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
