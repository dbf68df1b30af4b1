# SPDX-License-Identifier: Apache-2.0
"""Which transport is taken, and what each one says outside of its domain."""

from dataclasses import replace

import pytest

from tests.places import place_for
from v2x.errors import InputRefused, UsageError, V2xError
from v2x.model.machine import (
    Cpu,
    Disk,
    DiskBacking,
    DiskBus,
    DiskFormat,
    Firmware,
    Machine,
    Memory,
    PowerState,
)
from v2x.sources.vsphere.transports.choose import at_place, candidates, in_inventory, outlook, verdicts
from v2x.sources.vsphere.transports.options import (
    SshOptions,
    Transport,
    TransportChoice,
    TransportOptions,
    VddkOptions,
)
from v2x.sources.vsphere.transports.place import DatastoreFile

OFF = {"powered_on": False, "snapshot_ref": None}


@pytest.fixture
def everything(tmp_path):
    """Options with which each transport is set up."""
    libdir = tmp_path / "vmware-vix-disklib-distrib"
    (libdir / "lib64").mkdir(parents=True)
    (libdir / "lib64" / "libvixDiskLib.so").touch()
    (tmp_path / "known").touch()
    # Any plugin that is there will do: none is started.
    vddk = VddkOptions(libdir=libdir, plugin="null")
    return TransportOptions(vddk=vddk, ssh=SshOptions(known_hosts=tmp_path / "known"))


def usable(options, **facts):
    return [str(one.transport) for one in verdicts(at_place(place_for(**facts)), options) if one.usable]


def test_what_the_user_set_up_goes_first_and_ssh_last(everything):
    assert usable(everything, **OFF) == ["vddk", "https", "nfc", "ssh"]
    assert usable(TransportOptions(), **OFF) == ["https", "nfc"]


def test_a_disk_of_which_little_is_in_use_is_exported_where_nothing_tells_which_part():
    size = place_for().capacity_bytes
    thin = {**OFF, "committed_bytes": size // 5}
    assert usable(TransportOptions(), **thin) == ["nfc", "https"]
    assert usable(TransportOptions(), **{**thin, "committed_bytes": size // 3}) == ["https", "nfc"]
    known = {"tracked_before": True, "change_id": "52 4d 5e 6f 01 02 03 04-05 06 07 08 09 0a 0b 0c/3"}
    assert usable(TransportOptions(), **thin, **known) == ["https", "nfc"]
    text = told(machine(allocated_bytes=1 << 20))
    assert text.startswith("nfc: its host can export it while the machine is off; little of it is in use")
    assert told(machine(allocated_bytes=1 << 20, change_tracking=True)).startswith("https: ")


TWO = (DatastoreFile("ssd 1", "web/b.vmdk"), DatastoreFile("ssd 1", "web/a.vmdk"))
DOMAINS = [
    ({}, ["vddk", "https", "nfc"]),
    ({**OFF, "datastores": {"ssd 1": "vsan"}}, ["vddk", "nfc"]),
    ({**OFF, "datastores": {"ssd 1": "VVOL"}}, ["vddk", "nfc"]),
    ({**OFF, "datastores": {"ssd 1": "NFS41"}}, ["vddk", "https", "nfc", "ssh"]),
    ({**OFF, "datastores": {"ssd 1": "PMEM"}}, ["vddk", "https", "nfc"]),
    ({**OFF, "files": TWO}, ["vddk", "https", "nfc"]),
    ({**OFF, "backing": "SeSparseBackingInfo"}, ["vddk", "https", "nfc"]),
    ({**OFF, "backing": "RawDiskMappingVer1BackingInfo"}, []),
    ({**OFF, "encrypted": True}, []),
    ({"powered_on": True, "snapshot_ref": None}, []),
    ({**OFF, "host": ""}, ["vddk", "https", "nfc"]),
]


@pytest.mark.parametrize(("facts", "expected"), DOMAINS)
def test_each_has_a_domain(everything, facts, expected):
    assert usable(everything, **facts) == expected


@pytest.mark.parametrize(
    ("transport", "facts", "message"),
    [
        (
            "https",
            {**OFF, "datastores": {"ssd 1": "vsan"}},
            "the https transport cannot read Hard disk 1 of web 01: .*vSAN",
        ),
        ("ssh", {**OFF, "datastores": {"ssd 1": "VVOL"}}, "the ssh transport cannot read .*vVol"),
        ("ssh", {}, "the machine runs"),
        ("ssh", {**OFF, "files": TWO}, "chain of snapshots"),
        ("nfc", {**OFF, "encrypted": True}, "the nfc transport cannot read .*encrypted"),
        ("vddk", {"snapshot_ref": None}, "no snapshot of it"),
    ],
)
def test_outside_of_it_the_one_asked_for_is_refused_by_name(everything, transport, facts, message):
    options = replace(everything, transport=TransportChoice(transport))
    with pytest.raises(InputRefused, match=message) as refused:
        candidates(at_place(place_for(**facts)), options)
    assert refused.value.code == "TRANSPORT"
    assert refused.value.exit_code == 6
    assert refused.value.hint


def test_where_none_fits_each_reason_is_told():
    reasons = r"vddk: it is encrypted; https: it is encrypted; nfc: it is encrypted; ssh: it is encrypted"
    with pytest.raises(InputRefused, match=reasons) as refused:
        candidates(at_place(place_for(**OFF, encrypted=True)), TransportOptions())
    assert refused.value.code == "NO-TRANSPORT"


def test_a_program_that_is_missing_is_named(everything):
    options = replace(
        everything, transport=TransportChoice.VDDK, vddk=replace(everything.vddk, program="no-such-nbdkit")
    )
    with pytest.raises(UsageError, match="no-such-nbdkit") as refused:
        candidates(at_place(place_for()), options)
    assert refused.value.code == "MISSING-TOOL"


def test_nbdkit_without_the_plugin_is_told_before_anything_is_opened(everything):
    options = replace(everything, vddk=replace(everything.vddk, plugin="vddk"))
    first = verdicts(at_place(place_for()), options)[0]
    assert first.transport is Transport.VDDK
    assert first.problem.code == "MISSING-TOOL"
    assert "no vddk plugin" in first.reason


def machine(power=PowerState.OFF, **disk):
    facts = {
        "id": "2000", "label": "Hard disk 1", "position": 0, "bus": DiskBus.SCSI, "controller": 0, "unit": 0,
        "capacity_bytes": 1 << 30, "format": DiskFormat.VMDK, "files": ("[ssd 1] web/web.vmdk",),
    }  # fmt: skip
    return Machine(
        id="m", name="web 01", cpu=Cpu(count=1), memory=Memory(size_bytes=1), firmware=Firmware.BIOS,
        power_state=power, host="esx1", disks=(Disk(**{**facts, **disk}),),
    )  # fmt: skip


def told(made, kinds=None, options=None):
    ((label, text),) = outlook(made, kinds or {"ssd 1": "VMFS"}, options or TransportOptions())
    assert label == "Hard disk 1"
    return text


def test_doctor_says_which_and_why_the_better_ones_are_not():
    assert told(machine()).startswith("https: its files on VMFS can be read in place")
    assert "not vddk: the vddk transport needs VMware's VDDK" in told(machine())
    text = told(machine(), {"ssd 1": "vsan"})
    assert text.startswith("nfc: its host can export it while the machine is off")
    assert "not https: it lies on vSAN" in text
    assert "from the snapshot" in told(machine(PowerState.ON), {"ssd 1": "vsan"})
    assert told(machine(backing=DiskBacking.RAW_DEVICE)).startswith("no transport can read")
    assert told(machine(), options=TransportOptions(transport=TransportChoice.NFC)).startswith("nfc: ")


def test_an_inventory_and_a_checkpoint_are_judged_alike(everything):
    for power, facts in ((PowerState.OFF, OFF), (PowerState.ON, {})):
        for files in (("[ssd 1] web/web.vmdk",), ("[ssd 1] web/b.vmdk", "[ssd 1] web/a.vmdk")):
            made = machine(power, files=files)
            place = place_for(**facts, files=TWO if len(files) > 1 else TWO[:1])
            listed = in_inventory(made, made.disks[0], {"ssd 1": "VMFS"})
            assert replace(listed, title="") == replace(at_place(place), title="")
            assert [one.usable for one in verdicts(listed, everything)] == [
                one.usable for one in verdicts(at_place(place), everything)
            ]


def test_every_refusal_is_an_error_of_ours(everything):
    for facts, _ in DOMAINS:
        for one in verdicts(at_place(place_for(**facts)), everything):
            assert one.usable or isinstance(one.problem, V2xError)
            assert one.reason
            assert isinstance(one.transport, Transport)
