# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBus

RULE = "identity.cloud-init"


def test_speaks_of_a_seed(make, speak):
    assert speak(RULE, make.machine(attributes={"guestinfo.userdata": "…"})) == [
        ("", "It is configured by guestinfo.userdata.")
    ]


def test_speaks_of_an_image(make, speak):
    assert speak(
        RULE, make.machine(cd_drives=(make.drive(position=0, bus=DiskBus.IDE, image="[ds] web/seed.iso"),))
    ) == [("", "It is configured by [ds] web/seed.iso.")]


def test_is_silent_about_windows(make, speak):
    assert speak(RULE, make.machine(guest=make.windows)) == []


def test_does_not_know_of_linux_without_word_of_it(make, doubt):
    assert doubt(RULE, make.machine(guest=make.linux)) == ["Whether cloud-init configures Linux guests is not known."]
