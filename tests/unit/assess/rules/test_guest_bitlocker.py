# SPDX-License-Identifier: Apache-2.0

RULE = "guest.bitlocker"


def test_speaks_of_an_encrypted_volume(make, speak):
    assert speak(
        RULE,
        make.machine(
            guest=make.guest("", "Windows Server 2019", volumes=(make.volume(path="C:", filesystem="BitLocker"),))
        ),
    ) == [("C:", "The volume is encrypted.")]


def test_is_silent_about_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.linux)) == []


def test_does_not_know_of_windows_without_word_of_it(make, doubt):
    assert doubt(RULE, make.machine(guest=make.windows)) == ["Whether BitLocker is on is not known."]
