# SPDX-License-Identifier: Apache-2.0

RULE = "inventory.from-export"


def test_speaks_of_rvtools(make, speak):
    assert speak(RULE, make.machine(), kind="rvtools") == [("", "An RVTools export.")]


def test_is_silent_about_a_live_source(make, speak):
    assert speak(RULE, make.machine(), kind="vsphere") == []
