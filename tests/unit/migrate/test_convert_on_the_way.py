# SPDX-License-Identifier: Apache-2.0
"""A machine converted on its way: what arrives is one conversion, whole, whenever the program was stopped."""

import contextlib

import pytest

from tests.changed import Changed
from tests.following import follow
from v2x.convert.guest import ConvertedDisk
from v2x.convert.interface import Command, Conversion, Edit, FileCopy, Inspection, Proposal, Remark
from v2x.disks.extent import Extent
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.errors import Stopped, TargetError
from v2x.migrate import guest
from v2x.migrate.observe import Silent
from v2x.model.migration import Phase

EDIT = Edit(path="/etc/fstab", before="caf\udce9", after="b", why="w")
KEPT = FileCopy(path="/boot/i", to="/boot/i.old", why="back")
DONE = Conversion(
    inspection=Inspection(os="linux"),
    proposal=Proposal(
        edits=(EDIT,),
        commands=(Command(argv=("update", "-u"), why="r", copies=(KEPT,)),),
        remarks=(Remark(text="look", remedy="do"),),
    ),
)


class Keeping(Silent):
    def __init__(self):
        self.phases, self.changes, self.warnings = [], (), []

    def phase(self, phase):
        self.phases.append(phase)

    def converted(self, changes):
        self.changes = changes

    def warning(self, text):
        self.warnings.append(text)


@pytest.fixture
def conversions(monkeypatch):
    """Each conversion writes other bytes than the one before, over all of the second and third block."""
    made = []

    @contextlib.contextmanager
    def convert(disks, folder, **_):
        number = len(made) + 0x40
        contents = []
        for disk in disks:
            changed = bytearray(disk.data)
            changed[BLOCK_BYTES : 3 * BLOCK_BYTES] = bytes([number]) * (2 * BLOCK_BYTES)
            contents.append(bytes(changed))
        made.append(contents)
        area = (Extent(BLOCK_BYTES + 5, 2 * BLOCK_BYTES - 10, True),)
        yield DONE, [ConvertedDisk(Changed(content), area) for content in contents]

    monkeypatch.setattr(guest, "converted_guest", convert)
    return made


def arrived(world):
    return [bytes(world.target.vdis[disk.id].data[:size]) for disk, size in zip(
        world.target.find("tag").disks, map(len, world.contents.values()), strict=True)]  # fmt: skip


def test_what_arrives_is_the_converted_disk_and_each_change_is_told(world, conversions):
    observer = Keeping()
    follow(world.work(convert=True, observer=observer))
    assert arrived(world) == conversions[0]
    assert observer.phases[4:6] == [Phase.COPY, Phase.CONVERT]
    assert [(one.kind, one.what, one.before, one.after) for one in observer.changes] == [
        ("edit", "/etc/fstab", "caf\\xe9", "b"),
        ("copy", "/boot/i", None, "/boot/i.old"),
        ("command", "update -u", None, None),
    ]
    assert "look; do" in observer.warnings
    assert world.source.content == world.contents


def test_stopped_half_way_the_next_conversion_is_copied_whole(world, conversions):
    asked = iter([False, False, False, True])
    with pytest.raises(Stopped):
        follow(world.work(convert=True, stopping=lambda: next(asked, True)))
    assert world.target.find("tag").disks[0].mark_bytes > 0
    follow(world.work(convert=True))
    assert len(conversions) == 2
    assert arrived(world) == conversions[1]
    assert "remake" in world.target.calls


@pytest.mark.parametrize("first", [True, False])
def test_with_and_without_conversion_are_never_mixed(world, conversions, first):
    asked = iter([False, False, False, True])
    with pytest.raises(Stopped):
        follow(world.work(convert=first, stopping=lambda: next(asked, True)))
    follow(world.work(convert=not first))
    assert arrived(world) == (list(world.contents.values()) if first else conversions[0])


def test_a_lost_upload_goes_on_within_one_conversion(world, conversions, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    world.target.lose.append(9)
    follow(world.work(convert=True))
    assert len(conversions) == 1
    assert arrived(world) == conversions[0]


def test_a_conversion_that_fails_seals_nothing(world, monkeypatch):
    @contextlib.contextmanager
    def refuse(disks, folder, **_):
        raise TargetError("no kernel")
        yield

    monkeypatch.setattr(guest, "converted_guest", refuse)
    with pytest.raises(TargetError, match="no kernel"):
        follow(world.work(convert=True))
    assert not world.target.find("tag").sealed
    assert world.target.sent == []
    assert all(reader.closed for reader in world.source.readers)
