# SPDX-License-Identifier: Apache-2.0
"""All transports against the stand-in for vSphere: byte for byte, and what happens when something fails."""

import json
import random
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from tests.images import patterned
from tests.places import content, nbdkit_with
from v2x.errors import (
    BadImage,
    InputRefused,
    PermissionRefused,
    Retry,
    SourceError,
    TrustError,
    UsageError,
    V2xError,
)
from v2x.model.address import parse_address
from v2x.model.machine import Disk, Machine
from v2x.secrets import Secret
from v2x.simulators.vsphere import MIGRATION, Account, DiskSpec, MachineSpec, VsphereSimulator
from v2x.sources.vsphere.options import VsphereOptions
from v2x.sources.vsphere.source import VsphereSource
from v2x.sources.vsphere.transports import opening, tracking
from v2x.sources.vsphere.transports.options import (
    Allocation,
    SshOptions,
    TransportChoice,
    TransportOptions,
    VddkOptions,
)
from v2x.sources.vsphere.transports.place import place_of
from v2x.tls import Trust

MIB = 1 << 20
SIZE = 40 * MIB
RAW = patterned(SIZE, [(0, 300_000), (9 * MIB, MIB + 5), (33 * MIB, MIB), (SIZE - 512, 512)])
OTHER = patterned(16 * MIB, [(0, 4096), (5 * MIB, 2 * MIB)], seed=9)


@dataclass
class Bench:
    """A stand-in with one machine, and a source over it. `said` are the warnings of transports."""

    simulator: VsphereSimulator
    source: VsphereSource
    machine: Machine
    said: list[str]

    @property
    def session(self) -> Any:
        return self.source.session

    def disk(self, position: int = 0) -> Disk:
        return self.machine.disks[position]

    def options(self, transport: str = "auto", **changes: Any) -> TransportOptions:
        return TransportOptions(transport=TransportChoice(transport), warn=self.said.append, **changes)

    def point(self, tag: str = "v2x-test") -> Any:
        return self.source.checkpoint(self.machine, tag)

    def opened(self, transport: str = "auto", position: int = 0, **changes: Any) -> Any:
        return opening.open_disk(
            self.session, self.machine, self.disk(position), self.point(), self.options(transport, **changes)
        )

    def snapshot(self, name: str) -> None:
        """Somebody else takes a snapshot; the machine is listed anew."""
        reference = vim.VirtualMachine(self.machine.reference, self.session.stub)
        self.session.wait_task(self.session.call(reference.CreateSnapshot_Task, name, "", False, False))
        (self.machine,) = self.source.inventory().machines

    def leases(self) -> list[Any]:
        return list(self.simulator.state.leases)


@pytest.fixture
def bench(tmp_path):
    """A factory: bench(profile=…, **fields of MachineSpec); settings of the stand-in go in `settings`."""
    made: list[Any] = []

    def make(
        profile: str = "vcenter",
        settings: dict[str, Any] | None = None,
        account: Account | None = None,
        estate: str = "empty",
        **spec: Any,
    ) -> Bench:
        simulator = VsphereSimulator(
            tmp_path / "vsphere",
            profile=profile,
            estate=estate,
            accounts=[account] if account else [],
            **settings or {},
        ).start()
        made.append(simulator)
        if "disks" not in spec:
            images = [tmp_path / "first.raw", tmp_path / "second.raw"]
            for image, raw in zip(images, (RAW, OTHER), strict=True):
                image.write_bytes(raw)
            spec["disks"] = tuple(DiskSpec(image=image, size_bytes=512) for image in images)
        simulator.add_vm(MachineSpec(**{"name": "transport bench", "directory": "web", **spec}))
        user, password = (account.user, account.password) if account else (simulator.user, simulator.password)
        source = VsphereSource.open(
            parse_address(f"vsphere://{user}@127.1:{simulator.port}"),
            password=Secret(password),
            trust=Trust(fingerprint=simulator.fingerprint, option="source"),
            options=VsphereOptions(),
        )
        made.append(source)
        (machine,) = [one for one in source.inventory().machines if one.name == "transport bench"]
        return Bench(simulator, source, machine, [])

    yield make
    for one in reversed(made):
        one.close() if isinstance(one, VsphereSource) else one.stop()


def check(reader: Any, raw: bytes = RAW) -> None:
    """As the copy does it: the map first, then the blocks that hold data, in order."""
    try:
        assert reader.size == len(raw)
        out = bytearray(len(raw))
        for one in list(reader.extents(0, len(raw))):
            at = one.start
            while one.data and at < one.end:
                length = min(2 * MIB, one.end - at)
                reader.read_into(at, memoryview(out)[at : at + length])
                at += length
        assert bytes(out) == raw
    finally:
        reader.close()


@pytest.mark.parametrize("profile", ["vcenter", "esxi", "vcenter-6.5"])
@pytest.mark.parametrize("transport", ["https", "nfc", "auto"])
def test_a_machine_that_is_off(bench, profile, transport):
    made = bench(profile)
    check(made.opened(transport), RAW)
    check(made.opened(transport, position=1), OTHER)
    assert made.leases() == []
    assert made.said == []


@pytest.mark.parametrize("transport", ["https", "nfc"])
def test_a_running_machine_is_read_as_its_snapshot_keeps_it(bench, transport):
    made = bench(power="poweredOn", tracking=True)
    at = made.point()
    guest = made.simulator.disks(made.simulator.machine("transport bench"))
    guest[int(made.disk().id)].write(0, b"written later".ljust(512))
    check(opening.open_disk(made.session, made.machine, made.disk(), at, made.options(transport)))
    made.source.release(made.machine, "v2x-test")


@pytest.mark.parametrize("power", ["poweredOff", "poweredOn"])
@pytest.mark.parametrize("transport", ["https", "nfc"])
def test_a_chain_of_snapshots_from_the_configuration_of_ours(bench, transport, power):
    made = bench(power=power)
    guest = made.simulator.disks(made.simulator.machine("transport bench"))[int(made.disk().id)]
    raw = bytearray(RAW)
    for at, data in ((MIB, b"new!" * 384), (9 * MIB + 512, bytes(5120)), (39 * MIB, b"end.".ljust(512))):
        made.snapshot(f"before {at}")
        guest.write(at, data)
        raw[at : at + len(data)] = data
    assert len(made.disk().files) == 4
    check(made.opened(transport), bytes(raw))


def test_through_vddk_and_ssh_too_all_four_agree(bench, tmp_path, tmp_path_factory):
    from tests import sshd

    made = bench()
    at = made.point()
    place = place_of(made.session, made.machine, made.disk(), at)
    root = made.simulator.state.places.root(made.session.content and _datastore_moid(made, place))
    libdir = tmp_path / "vix"
    (libdir / "lib64").mkdir(parents=True)
    (libdir / "lib64" / "libvixDiskLib.so.8").touch()
    play = {
        "disk": str(root / place.files[0].folder / place.files[0].name.replace(".vmdk", "-flat.vmdk")),
        "expect": {
            "libdir": str(libdir),
            "server": "127.1",
            "user": made.simulator.user,
            "thumbprint": made.simulator.thumbprint,
            "vm": f"moref={made.machine.reference}",
            "transports": "file:nbdssl:nbd",
            "file": str(place.files[0]),
        },
        "password": made.simulator.password,
        "log": str(tmp_path / "log"),
    }
    (tmp_path / "play.json").write_text(json.dumps(play))
    program = nbdkit_with(Path(__file__).parents[3] / "vddk_fake.py", tmp_path / "play.json")
    volumes = tmp_path / "volumes"
    volumes.mkdir()
    (volumes / place.files[0].datastore).symlink_to(root)
    with sshd.running(tmp_path_factory.mktemp("ssh") / "sshd") as server:
        more = {
            "vddk": VddkOptions(libdir=libdir, program=str(program)),
            "ssh": SshOptions(
                known_hosts=server.known,
                identity=server.identity,
                user=server.user,
                port=server.port,
                host="127.0.0.1",
                volumes=str(volumes),
            ),
        }
        for transport in ("https", "nfc", "vddk", "ssh"):
            check(made.opened(transport, **more))
        # What the user set up goes first.
        made.opened("auto", **more).close()
    assert made.said == []


def _datastore_moid(made: Bench, place: Any) -> str:
    name = place.files[0].datastore
    (found,) = [one for one in made.session.retrieve(vim.Datastore, ["name"]) if one.values["name"] == name]
    return found.id


# what other importers get wrong


def test_a_disk_of_several_extents_is_whole(bench):
    made = bench()
    place = place_of(made.session, made.machine, made.disk(), made.point())
    folder = made.simulator.state.places.root(_datastore_moid(made, place)) / place.files[0].folder
    text = (folder / "web.vmdk").read_text()
    (folder / "web-f002.vmdk").write_bytes(RAW[10 * MIB :])
    half = 'RW 20480 VMFS "web-flat.vmdk" 0\nRW 61440 VMFS "web-f002.vmdk" 0'
    (folder / "web.vmdk").write_text(re.sub(r"RW \d+ VMFS .*", half, text))
    check(made.opened("https"))


def test_a_data_file_in_place_of_a_descriptor_is_refused_after_its_first_page(bench):
    made = bench()
    place = place_of(made.session, made.machine, made.disk(), made.point())
    folder = made.simulator.state.places.root(_datastore_moid(made, place)) / place.files[0].folder
    with (folder / "web.vmdk").open("wb") as file:
        file.truncate(3 << 30)
    sent = made.simulator.ledger
    with pytest.raises(BadImage, match=r"web\.vmdk is no VMDK"):
        made.opened("https")
    assert sum(one.sent_bytes for one in sent.transfers) < MIB


def test_a_datacenter_in_folders_is_named_by_its_path_with_all_its_signs(bench):
    made = bench(estate="standard", host="esx09.example.test", datastore="data 2", directory="über & unter+1")
    place = place_of(made.session, made.machine, made.disk(), made.point())
    assert place.datacenter == "100%25 Other%5cSites/DC%2f2 100%25"
    check(made.opened("https"))
    check(made.opened("https", position=1), OTHER)


def test_a_machine_in_a_vapp_is_found_in_its_datacenter(bench):
    """Its parent is not set (VirtualMachine.parentVApp is), and the way up leads over the cluster."""
    made = bench(estate="standard", pool="Shop")
    assert place_of(made.session, made.machine, made.disk(), made.point()).datacenter == "Europe/DC 1"
    check(made.opened("https"))


def test_a_server_that_fails_over_folder_leaves_the_lease(bench):
    made = bench(tracking=True)
    made.session.sleep = lambda _: None
    made.simulator.faults.arm("status", target="folder", at=500, times=6)
    check(made.opened("auto"))
    assert re.search(r"answers 500 for web\.vmdk; trying nfc", made.said[0])


# allocation


def test_tracking_gives_the_map_and_less_is_read(bench):
    made = bench(tracking=True)
    reader = made.opened("https", allocation=Allocation.CBT)
    data = sum(one.length for one in reader.extents(0, SIZE) if one.data)
    assert data < 8 * MIB
    check(reader)
    everything = made.opened("https", allocation=Allocation.READ_ALL)
    assert [one.data for one in everything.extents(0, SIZE)] == [True]
    everything.close()


def test_answers_in_many_parts_are_followed_to_the_end(bench):
    """Also past parts without an area, which others take for the end."""
    made = bench(tracking=True, settings={"changes_span": MIB, "changes_areas": 1})
    place = place_of(made.session, made.machine, made.disk(), made.point())
    found = list(tracking.areas(made.session, place, "*"))
    covered = bytearray(SIZE)
    for start, length in found:
        covered[start : start + length] = b"\1" * length
    assert all(covered[at] for at in (0, 299_999, 9 * MIB, 10 * MIB + 4, 33 * MIB, SIZE - 1))
    assert sum(length for _, length in found) < 8 * MIB
    check(made.opened("https"))


def test_tracking_that_lies_is_found_out_and_everything_is_read(bench):
    made = bench(tracking=True)
    made.simulator.faults.arm("changes_lie", target="transport bench")
    check(made.opened("https"))
    assert len(made.said) == 1
    assert "everything is read" in made.said[0]


def test_tracking_that_lies_never_loses_data_over_a_lease(bench):
    made = bench(tracking=True)
    made.simulator.faults.arm("changes_lie", target="transport bench")
    with pytest.raises(SourceError) as refused:
        check(made.opened("nfc", allocation=Allocation.CBT))
    assert refused.value.code == "TRACKING"


@pytest.mark.parametrize("transport", ["https", "nfc"])
def test_without_tracking_cbt_is_refused_and_auto_reads_everything(bench, transport):
    made = bench()
    with pytest.raises(InputRefused, match="change tracking was off") as refused:
        made.opened(transport, allocation=Allocation.CBT)
    assert refused.value.code == "TRACKING"
    check(made.opened(transport))


def test_an_unknown_change_id_reads_everything(bench):
    made = bench(tracking=True)
    made.simulator.faults.arm("changes_unknown", target="transport bench")
    check(made.opened("https"))


# sessions, hosts, leases


@pytest.mark.parametrize("transport", ["https", "nfc"])
def test_a_session_that_ends_on_the_way_is_opened_again(bench, transport):
    made = bench()
    reader = made.opened(transport)
    first = bytearray(MIB)
    reader.read_into(0, first)
    assert first == RAW[:MIB]
    assert made.simulator.expire_sessions() >= 1
    check(reader)


def test_a_cookie_that_grew_old_is_renewed_without_ending_the_session_and_its_leases(bench):
    made = bench(settings={"cookie_life": 0.3})
    lease = made.opened("nfc", position=1)
    lease.read_into(0, bytearray(MIB))
    reader = made.opened("https")
    time.sleep(0.5)
    logins = made.session.logins
    check(reader)
    assert made.session.logins == logins
    held = made.leases()
    check(lease, OTHER)
    assert held
    assert made.simulator.ledger.effects_of("lease ended")[-1].says["outcome"] == "done"


def test_where_no_cookie_for_files_is_given_the_session_logs_in_again(bench, monkeypatch):
    made = bench(settings={"cookie_life": 0.3})
    monkeypatch.setattr("v2x.sources.vsphere.transports.https.files_cookie", lambda *_: "")
    reader = made.opened("https")
    time.sleep(0.5)
    logins = made.session.logins
    check(reader)
    assert made.session.logins > logins


@pytest.mark.parametrize("transport", ["https", "nfc"])
@pytest.mark.parametrize("at", [0, 70_000, 1_000_000])
def test_connections_that_break_are_made_again(bench, transport, at):
    made = bench()
    name = {"https": "folder", "nfc": "nfc"}[transport]
    reader = made.opened(transport)
    made.session.sleep = lambda _: None
    for _ in range(2):
        made.simulator.faults.arm("cut", target=name, at=at)
    check(reader)


@pytest.mark.parametrize("at", [200_000, 900_000])
def test_a_machine_that_moves_to_another_host_is_exported_there(bench, at):
    made = bench(power="poweredOn")
    made.session.sleep = lambda _: None
    made.simulator.faults.arm("vmotion", target=made.machine.reference, at=at)
    check(made.opened("nfc"))
    assert made.leases() == []


def test_a_host_that_falls_away_ends_the_export_cleanly(bench):
    made = bench()
    made.session.sleep = lambda _: None
    reader = made.opened("nfc")
    made.simulator.faults.arm("host_reboot", target=made.machine.reference, at=300_000)
    with pytest.raises(V2xError) as told:
        check(reader)
    assert told.value.retry is not Retry.NEVER or told.value.code == "HOST-LOST"
    assert told.value.hint
    assert made.leases() == []


def test_a_disk_that_is_mostly_in_use_is_exported_once_and_another_twice(bench, tmp_path):
    full = random.Random(4).randbytes(4 * MIB)
    (tmp_path / "full.raw").write_bytes(full)
    (tmp_path / "thin.raw").write_bytes(full[:MIB] + bytes(7 * MIB))
    images = (tmp_path / "full.raw", tmp_path / "thin.raw")
    made = bench(disks=tuple(DiskSpec(image=image, size_bytes=512) for image in images))
    for position, image in enumerate(images):
        before = len(made.simulator.ledger.transfers)
        check(made.opened("nfc", position=position), image.read_bytes())
        assert len(made.simulator.ledger.transfers) - before == position + 1


def test_leases_end_with_the_reader_whatever_happened(bench):
    made = bench()
    reader = made.opened("nfc")
    reader.read_into(0, bytearray(MIB))
    assert len(made.leases()) == 1
    reader.close()
    assert made.leases() == []


def test_a_lease_is_kept_alive_and_one_that_ended_is_replaced(bench):
    made = bench(settings={"lease_timeout": 1.0})
    reader = made.opened("nfc")
    reader.read_into(0, bytearray(MIB))
    time.sleep(1.6)
    check(reader)


def test_two_leases_fail_and_the_third_is_good(bench):
    made = bench()
    made.session.sleep = lambda _: None
    made.simulator.faults.arm("lease_error", target="transport bench")
    with pytest.raises(V2xError, match="exporting its disks"):
        made.opened("nfc")
    check(made.opened("nfc"))


def test_what_a_lease_says_of_sizes_is_not_believed(bench):
    made = bench(settings={"lease_size_error": 1_000_000})
    check(made.opened("nfc"))
    check(made.opened("nfc", position=1), OTHER)


def test_the_host_of_a_lease_may_be_a_star(bench):
    made = bench(settings={"lease_star": True})
    check(made.opened("nfc"))


def test_a_host_that_shows_another_certificate_than_its_lease_says_is_refused(bench):
    made = bench()
    for moid in list(made.simulator.state.thumbprints):
        made.simulator.state.thumbprints[moid] = "AA:" * 19 + "AA"
    with pytest.raises(TrustError, match="pinned"):
        made.opened("nfc")
    assert made.leases() == []


def test_disks_are_told_apart_by_their_place_not_by_their_order(bench, tmp_path):
    images = []
    for number in range(3):
        raw = random.Random(number).randbytes(2 * MIB)
        images.append((tmp_path / f"disk{number}.raw", raw))
        images[-1][0].write_bytes(raw)
    made = bench(
        disks=(
            DiskSpec(image=images[0][0], size_bytes=512, bus="scsi", unit=8),
            DiskSpec(image=images[1][0], size_bytes=512, bus="nvme", unit=0),
            DiskSpec(image=images[2][0], size_bytes=512, bus="sata", unit=3),
        )
    )
    by_content = {}
    for disk in made.machine.disks:
        for transport in ("nfc", "https"):
            reader = opening.open_disk(made.session, made.machine, disk, made.point(), made.options(transport))
            by_content.setdefault(disk.id, []).append(content(reader))
            reader.close()
    assert sorted(map(len, by_content.values())) == [2, 2, 2]
    assert all(first == second for first, second in by_content.values())
    assert {first for first, _ in by_content.values()} == {raw for _, raw in images}


# names, privileges, choice


def test_without_the_privilege_for_files_auto_takes_the_lease(bench):
    account = Account("mover", "secret", frozenset(MIGRATION - {"Datastore.Browse", "Datastore.FileManagement"}))
    made = bench(account=account, tracking=True)
    with pytest.raises(PermissionRefused, match=r"Datastore\.Browse"):
        made.opened("https")
    check(made.opened("auto"))
    assert re.search(r"does not let this user read .*; trying nfc", made.said[0])


def test_what_was_not_set_up_is_refused_by_name(bench):
    made = bench()
    for transport, code in (("vddk", "VDDK-LIBDIR"), ("ssh", "SSH-HOST-KEY")):
        with pytest.raises(UsageError) as refused:
            made.opened(transport)
        assert refused.value.code == code


def test_a_running_machine_is_not_read_over_ssh(bench, tmp_path):
    (tmp_path / "known").touch()
    made = bench(power="poweredOn")
    with pytest.raises(InputRefused, match=r"the ssh transport cannot read .*the machine runs") as refused:
        made.opened("ssh", ssh=SshOptions(known_hosts=tmp_path / "known"))
    assert refused.value.code == "TRANSPORT"


def test_a_disk_that_is_gone_is_told(bench):
    made = bench()
    at = made.point()
    lost = replace(at, points={made.disk().id: "/9999/x"})
    with pytest.raises(SourceError) as refused:
        opening.open_disk(made.session, made.machine, made.disk(), lost, made.options("https"))
    assert refused.value.code == "SOURCE-GONE"


def test_a_parent_of_other_content_is_refused(bench):
    made = bench()
    made.snapshot("before")
    place = place_of(made.session, made.machine, made.disk(), made.point())
    base = made.simulator.state.places.root(_datastore_moid(made, place)) / place.files[-1].path
    text = base.read_text()
    base.write_text(re.sub(r"CID=\w+", "CID=deadbeef", text, count=1))
    with pytest.raises(BadImage) as refused:
        made.opened("https")
    assert refused.value.code == "PARENT-CHANGED"
