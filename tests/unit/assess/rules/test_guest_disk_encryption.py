# SPDX-License-Identifier: Apache-2.0

RULE = "guest.disk-encryption"


def test_speaks_of_an_encrypted_volume(make, speak):
    assert speak(
        RULE,
        make.machine(guest=make.guest("", "Debian 12", volumes=(make.volume(path="/", filesystem="crypto_LUKS"),))),
    ) == [("/", "The volume is encrypted.")]


def test_is_silent_about_windows(make, speak):
    assert speak(RULE, make.machine(guest=make.windows)) == []


def test_does_not_know_of_linux_without_word_of_it(make, doubt):
    assert doubt(RULE, make.machine(guest=make.linux)) == ["Whether Linux encrypts its disks is not known."]
