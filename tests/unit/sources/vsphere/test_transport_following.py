# SPDX-License-Identifier: Apache-2.0
"""A disk in our snapshot while others merge the files below it, or remove the snapshot itself."""

from itertools import pairwise

import pytest

from tests.images import patterned
from v2x.errors import ConnectError, SourceError, V2xError
from v2x.model.address import parse_address
from v2x.secrets import Secret
from v2x.simulators.vsphere import DiskSpec, MachineSpec, VsphereSimulator, snapshots
from v2x.sources.empty import EmptyDisk
from v2x.sources.vsphere.options import VsphereOptions
from v2x.sources.vsphere.source import VsphereSource
from v2x.sources.vsphere.transports import following, opening
from v2x.sources.vsphere.transports.options import Allocation, TransportChoice, TransportOptions
from v2x.sources.vsphere.transports.place import DatastoreFile
from v2x.tls import Trust

MIB = 1 << 20
SIZE = 24 * MIB
RAW = patterned(SIZE, [(0, 300_000), (5 * MIB, 2 * MIB + 512), (17 * MIB, MIB), (SIZE - 512, 512)])
FIRST = [(MIB, b"one!" * 384), (9 * MIB + 512, bytes(range(256)) * 512), (20 * MIB, b"1end" * 128)]
SECOND = [(2 * MIB, b"two!" * 256), (5 * MIB, bytes(1024)), (9 * MIB + 1024, b"over" * 128), (22 * MIB, b"2end" * 128)]


class Scene:
    """A running machine with one disk, which was written to after each snapshot that others took."""

    def __init__(self, folder):
        self.simulator = VsphereSimulator(folder / "vsphere", profile="vcenter", estate="empty").start()
        (folder / "disk.raw").write_bytes(RAW)
        disks = (DiskSpec(image=folder / "disk.raw", size_bytes=512),)
        self.entity = self.simulator.add_vm(MachineSpec(name="web", disks=disks, power="poweredOn"))
        self.source = VsphereSource.open(
            parse_address(f"vsphere://{self.simulator.user}@127.1:{self.simulator.port}"),
            password=Secret(self.simulator.password),
            trust=Trust(fingerprint=self.simulator.fingerprint, option="source"),
            options=VsphereOptions(),
        )
        (self.machine,) = [one for one in self.source.inventory().machines if one.name == "web"]
        (self.guest,) = self.simulator.disks(self.entity).values()
        self.raw = bytearray(RAW)
        self.at = None
        self.slept = []
        self.source.session.sleep = self.slept.append

    @property
    def state(self):
        return self.simulator.state

    def take(self, name):
        return self.state.store.get(snapshots.take(self.state, self.entity, name, "", quiesced=False))

    def remove(self, snapshot, merge=True):
        with self.state.store.lock:
            snapshots.remove(self.state, snapshot, False)
            if merge:
                snapshots.consolidate(self.state, self.entity)

    def write(self, places):
        for at, data in places:
            self.guest.write(at, data)
            self.raw[at : at + len(data)] = data

    def freeze(self):
        """Our snapshot; what is written after it is not in it."""
        self.at = self.source.checkpoint(self.machine, "v2x-test")
        self.guest.write(0, b"late".ljust(1024))
        self.guest.write(9 * MIB, b"later".ljust(4096))

    def open(self):
        options = TransportOptions(transport=TransportChoice("https"), allocation=Allocation.READ_ALL, warn=print)
        (disk,) = self.machine.disks
        return opening.open_disk(self.source.session, self.machine, disk, self.at, options)

    def open_chain(self):
        """Without what reads ahead, and what asks for the map ahead, above it."""
        reader = self.open()
        while not isinstance(reader, following.FollowingReader):
            reader = reader._inner
        return reader

    def close(self):
        self.source.close()
        self.simulator.stop()


@pytest.fixture
def scene(tmp_path):
    made = Scene(tmp_path)
    yield made
    made.close()


def read(reader, start, end, step=MIB):
    out = bytearray()
    for at in range(start, end, step):
        buffer = bytearray(min(step, end - at))
        reader.read_into(at, buffer)
        out += buffer
    return bytes(out)


@pytest.mark.parametrize("at", [0, 3 * MIB, 10 * MIB, 21 * MIB])
@pytest.mark.parametrize("which", ["older", "newer", "both"])
def test_a_snapshot_of_others_that_is_removed_between_two_reads_changes_no_byte(scene, which, at):
    older = scene.take("before the update")
    scene.write(FIRST)
    newer = scene.take("a backup's")
    scene.write(SECOND)
    scene.freeze()
    reader = scene.open()
    files = {layer.path for layer in scene.guest.layers}
    try:
        out = read(reader, 0, at)
        for snapshot in {"older": [older], "newer": [newer], "both": [newer, older]}[which]:
            scene.remove(snapshot)
        gone = files - {layer.path for layer in scene.guest.layers}
        assert gone and not any(path.exists() for path in gone)
        assert out + read(reader, at, SIZE) == scene.raw
        assert bytes(read(reader, 0, SIZE)) == scene.raw
    finally:
        reader.close()
    scene.source.confirm(scene.machine, scene.at)


def test_the_map_goes_on_in_the_new_files_too(scene):
    older = scene.take("before the update")
    scene.write([*FIRST, (10 * MIB, b"much" * (MIB // 4)), (14 * MIB, b"more" * (MIB // 4)), *SECOND])
    scene.freeze()
    chain = scene.open_chain()
    scene.remove(older)
    extents = list(chain.extents(0, SIZE))
    assert extents[0].start == 0 and extents[-1].end == SIZE
    assert all(one.end == other.start for one, other in pairwise(extents))
    for one in extents:
        assert one.data or not any(scene.raw[one.start : one.end])


def test_a_merge_that_is_under_way_is_not_seen_through_the_files_of_before(scene):
    """It writes to lower files only what a file above holds: each state between reads as our snapshot."""
    scene.take("before the update")
    scene.write(FIRST)
    newer = scene.take("a backup's")
    scene.write(SECOND)
    scene.freeze()
    reader = scene.open()
    child = scene.guest.layers[2]
    try:
        for start, length in list(child.areas()):
            for at in range(start, start + length, 4096):
                data = child.read(at, min(4096, start + length - at))
                child.parent.write(at, data)
            assert read(scene.open(), 0, SIZE) == scene.raw, "opened meanwhile"
            assert read(reader, 0, SIZE, 3 * MIB) == scene.raw
        scene.remove(newer)
        assert read(reader, 0, SIZE) == scene.raw
    finally:
        reader.close()


def test_a_name_that_others_use_again_is_not_taken_for_the_old_file(scene, monkeypatch):
    """The delta that went gives its name to a new one of the same size, which can be read below a second snapshot."""
    older = scene.take("before the update")
    name = scene.guest.top.path
    scene.write(FIRST)
    size = scene.guest.top.extent.stat().st_size
    scene.freeze()
    chain = scene.open_chain()
    start = read(chain, 0, MIB)
    scene.remove(older)
    scene.take("another")
    assert scene.guest.top.path == name
    for at, data in FIRST:
        scene.guest.write(at, b"evil".ljust(len(data), b"!"))
    scene.take("and one more")
    assert name.exists() and scene.guest.layers[-2].extent.stat().st_size == size
    monkeypatch.setattr(following, "_LOOK_EVERY_SECONDS", 0.0)
    assert start + read(chain, MIB, SIZE) == scene.raw


def test_our_own_snapshot_that_is_removed_ends_the_reading_and_the_copy(scene, monkeypatch):
    scene.take("before the update")
    scene.write(FIRST)
    scene.freeze()
    reader = scene.open()
    read(reader, 0, MIB)
    scene.source.confirm(scene.machine, scene.at)
    (ours,) = [one for one in snapshots.all_of(scene.state, scene.entity) if one.moid in str(scene.at.points)]
    scene.remove(ours)
    monkeypatch.setattr(following, "_LOOK_EVERY_SECONDS", 0.0)
    with pytest.raises(V2xError) as gone:
        read(reader, 0, SIZE)
    assert gone.value.code == "SOURCE-GONE" and "was removed" in gone.value.message
    with pytest.raises(SourceError) as mixed:
        scene.source.confirm(scene.machine, scene.at)
    assert mixed.value.code == "SOURCE-CHANGED" and "of no one moment" in mixed.value.message
    reader.close()


def test_a_file_that_is_missing_for_good_is_told_after_some_tries(scene):
    scene.take("before the update")
    scene.write(FIRST)
    scene.freeze()
    chain = scene.open_chain()
    scene.guest.layers[1].extent.unlink()
    with pytest.raises(V2xError) as refused:
        read(chain, 0, SIZE)
    assert refused.value.code in {"MISSING-FILE", "MISSING-PARENT"}
    assert scene.slept == [1.0, 2.0, 4.0, 8.0]


def test_files_that_cannot_be_read_are_asked_for_once_more_only_if_the_snapshot_has_others(scene):
    older = scene.take("before the update")
    scene.write(FIRST)
    scene.freeze()
    chain = scene.open_chain()
    shared, problem = chain._chain, SourceError("500", code="HTTP")
    known = shared.generation
    with pytest.raises(SourceError, match="500"):
        shared.failed(problem, known, 1)
    assert shared.generation == known
    scene.remove(older)
    shared.failed(problem, known, 1)
    assert shared.generation == known + 1
    assert read(chain, 0, SIZE) == scene.raw


def test_a_snapshot_is_looked_for_from_time_to_time_only():
    now, looks = [0.0], []
    file = (DatastoreFile("store", "web/web.vmdk"),)

    def look():
        looks.append(now[0])
        return file

    reader = following.Chain(file, look, lambda _: EmptyDisk(MIB), clock=lambda: now[0]).open()
    for second in range(31):
        now[0] = float(second)
        reader.read_into(0, bytearray(512))
        reader.clone().read_into(512, bytearray(512))
    assert looks == [10.0, 20.0, 30.0]


def test_a_server_that_does_not_answer_the_look_is_no_reason_to_end():
    now, looks = [0.0], []
    file = (DatastoreFile("store", "web/web.vmdk"),)

    def look():
        looks.append(now[0])
        raise ConnectError("gone for now")

    reader = following.Chain(file, look, lambda _: EmptyDisk(MIB), clock=lambda: now[0]).open()
    now[0] = 31.0
    reader.read_into(0, bytearray(512))
    reader.read_into(0, bytearray(512))
    assert looks == [31.0]
