# SPDX-License-Identifier: Apache-2.0

from v2x.model.inventory import Together

RULE = "together.affinity"


def test_speaks_of_a_group(make, speak):
    assert speak(
        RULE,
        make.machine(),
        make.machine(id="vm-2", name="db"),
        kind="vsphere",
        groups=(make.group(name="G", kind=Together.AFFINITY, machines=("vm-1", "vm-2")),),
    ) == [("G", "With “web”."), ("G", "With “db”.")]


def test_is_silent_about_a_machine_alone(make, speak):
    assert speak(RULE, make.machine(), kind="vsphere") == []


def test_is_silent_about_another_kind_of_group(make, speak):
    assert (
        speak(
            RULE, make.machine(), kind="vsphere", groups=(make.group(name="G", kind=Together.VAPP, machines=("vm-1",)),)
        )
        == []
    )


def test_does_not_know_from_files(make, doubt):
    assert doubt(RULE, make.machine()) == ["Which machines the source ties to each other is not in files and exports."]
