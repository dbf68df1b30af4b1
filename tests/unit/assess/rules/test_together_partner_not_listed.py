# SPDX-License-Identifier: Apache-2.0

from v2x.model.inventory import Together

RULE = "together.partner-not-listed"


def test_speaks_of_a_partner_elsewhere(make, speak):
    assert speak(
        RULE,
        make.machine(),
        kind="vsphere",
        groups=(make.group(name="G", kind=Together.SHARED_DISK, machines=("vm-1", "vm-9")),),
    ) == [("G", "1 machine.")]


def test_is_silent_about_partners_at_hand(make, speak):
    assert (
        speak(
            RULE,
            make.machine(),
            make.machine(id="vm-2", name="db"),
            kind="vsphere",
            groups=(make.group(name="G", kind=Together.SHARED_DISK, machines=("vm-1", "vm-2")),),
        )
        == []
    )


def test_does_not_know_from_files(make, doubt):
    assert doubt(RULE, make.machine()) == ["Which machines the source ties to each other is not in files and exports."]
