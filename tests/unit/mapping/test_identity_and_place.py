# SPDX-License-Identifier: Apache-2.0
"""What a guest and its owner take for the machine's identity, and where it belongs."""

from dataclasses import replace

import pytest

from v2x.errors import PlanError
from v2x.mapping.build import build_machine
from v2x.mapping.identity import vmware_serial
from v2x.model.machine import Guest, GuestIdKind
from v2x.model.target import HaPriority, Locking

UUID = "564d1234-5678-9abc-def0-123456789abc"
WINDOWS = Guest(os_id="windows2019srv-64", os_id_kind=GuestIdKind.VMWARE)
LINUX = Guest(os_id="debian12-64", os_id_kind=GuestIdKind.VMWARE)


@pytest.fixture
def built(facts, tables, make_machine, make_row):
    def build(*, row=None, target=None, **machine):
        return build_machine(make_machine(**machine), make_row(**(row or {})), target or facts, tables)

    return build


def test_vmware_makes_its_serial_number_from_the_uuid():
    assert vmware_serial(UUID) == "VMware-56 4d 12 34 56 78 9a bc-de f0 12 34 56 78 9a bc"
    assert vmware_serial("no uuid") == ""


def test_smbios_goes_along_on_request_only(built):
    kept = built(
        guest=WINDOWS, uuid=UUID, attributes={"System-Manufacturer": "VMware, Inc."}, row={"bios_strings": True}
    )
    assert kept.bios_strings == {
        "system-manufacturer": "VMware, Inc.",
        "system-serial-number": vmware_serial(UUID),
    }
    assert any(note.startswith("SMBIOS strings kept") for note in kept.notes)
    left = built(guest=WINDOWS, uuid=UUID, attributes={"System-Manufacturer": "VMware, Inc."})
    assert left.bios_strings == {}
    assert "SMBIOS system-manufacturer: 'VMware, Inc.' → Xen's own." in left.notes


def test_a_pool_chooses_the_uuid_and_a_file_can_keep_it(built, facts):
    row = {"bios_strings": True}
    assert built(uuid=UUID, row=row).uuid == ""
    assert f"SMBIOS UUID: {UUID} → a new one, which the pool chooses." in built(uuid=UUID, row=row).notes
    file = replace(facts, kind="xva", networks=(), templates=())
    assert built(uuid=UUID, row=row, target=file).uuid == UUID
    assert built(uuid=UUID, target=file).uuid == ""
    assert built(uuid="564d", row=row, target=file).uuid == ""


def test_smbios_strings_that_xapi_refuses_are_left_out(built):
    made = built(attributes={"bios-vendor": "Bäcker", "bios-version": "x" * 513}, row={"bios_strings": True}, uuid="")
    assert made.bios_strings == {}
    assert sum("left out" in note for note in made.notes) == 2


def test_windows_gets_a_fresh_generation_id(built):
    assert built(guest=WINDOWS).generation_id == "0:0"
    assert built(guest=LINUX).generation_id == ""
    assert built(guest=Guest()).generation_id == "0:0"


def test_the_host_of_the_same_name_is_preferred(built):
    assert built(host="H1").affinity == "h1"
    assert built(host="esx-7").affinity == ""
    assert built(host="h1", row={"host": "h2"}).affinity == "h2"
    with pytest.raises(PlanError, match="no host of the pool named 'h9'") as caught:
        built(row={"host": "h9"})
    assert "h1, h2" in caught.value.hint


def test_a_vapp_keeps_its_name_and_order(built, facts):
    made = built(group="Shop\n", start_order=3)
    assert (made.start_group.name, made.start_group.order) == ("Shop", 3)
    assert made.start_group.key == built(group="Shop\n").start_group.key != built(group="Shop").start_group.key
    assert built().start_group is None
    assert built(group="Shop", target=replace(facts, kind="xva")).start_group is None


def test_folder_and_custom_fields_become_other_config(built):
    made = built(folder="prod/ web /", attributes={"custom.Owner": "Ada\0", "custom.": "x", "product.name": "y"})
    assert made.other_config["folder"] == "/prod/web"
    assert made.other_config["XenCenter.CustomFields.Owner"] == "Ada"
    assert not [key for key in made.other_config if "product" in key or key.endswith("CustomFields.")]


def test_a_disconnected_card_passes_no_traffic(built, make_nic):
    made = built(nics=(make_nic(0), make_nic(1, connected=False)))
    assert [nic.locking for nic in made.nics] == [Locking.NETWORK_DEFAULT, Locking.DISABLED]
    assert any("passes no traffic" in note for note in made.notes)


def test_static_min_is_the_templates_but_never_above_the_memory(built, facts):
    templates = tuple(replace(one, memory_static_min_bytes=2 << 30) for one in facts.templates)
    target = replace(facts, templates=templates)
    assert built(guest=LINUX, target=target).memory_static_min_bytes == 2 << 30
    assert built(guest=LINUX, target=target, row={"memory_bytes": 1 << 30}).memory_static_min_bytes == 1 << 30


def test_what_the_row_asks_for(built):
    made = built(is_template=True, row={"as_template": True, "ha": HaPriority.RESTART, "autostart": True})
    assert made.is_template and made.auto_start and made.ha_priority is HaPriority.RESTART
    assert "Kind: a template, and sealed as one: it is cloned, not started." in made.notes
    assert not built(is_template=True).is_template
