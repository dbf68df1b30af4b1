# SPDX-License-Identifier: Apache-2.0
"""A conversion sent as a patch, cold and in an outage: killed anywhere, no bytes of two conversions ever meet."""

import contextlib
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.changed import Changed
from tests.following import follow
from v2x.convert.guest import ConvertedDisk
from v2x.convert.interface import Conversion, Edit, GuestWishes, Inspection, Proposal
from v2x.disks.extent import Extent
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.engine.orders import granted
from v2x.errors import BadImage, InputRefused, NoSpace, Stopped, TargetError, UsageError, V2xError
from v2x.migrate import guest
from v2x.migrate.itinerary import COLD, WARM
from v2x.migrate.observe import Silent
from v2x.migrate.points import marked, parted
from v2x.model.machine import PowerState
from v2x.model.migration import VerifyLevel
from v2x.model.plan import GuestWish
from v2x.target.keeping import Moment

DONE = Conversion(
    inspection=Inspection(os="linux"), proposal=Proposal(edits=(Edit(path="/e", before="a", after="b", why="w"),))
)


class Killed(BaseException):
    """The program ends here, whatever it was at."""


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    monkeypatch.setattr("v2x.migrate.steps.require_libguestfs", lambda: None)


class Running:
    """A machine that is written to until it is shut down, at a source that tells what changed."""

    def __init__(self, world):
        inner = world.source
        self.machine, self.content, self.readers = inner.machine, inner.content, inner.readers
        self.inventory, self._reader = inner.inventory, inner.reader
        self.power, self.released, self.number = PowerState.ON, [], 0
        self.history = {}

    def track(self, machine, *, allowed):
        return False

    def turned_on(self, machine):
        return False

    def untrack(self, machine): ...

    def freeze(self, machine, tag):
        if self.power is PowerState.ON:
            self.number += 1
            name = next(iter(self.content))
            data = bytearray(self.content[name])
            data[4 * BLOCK_BYTES : 4 * BLOCK_BYTES + 7] = bytes([self.number]) * 7
            self.content[name] = bytes(data)
        self.history[f"c {self.number}"] = dict(self.content)
        from v2x.sources.interface import Checkpoint

        return Checkpoint(tag=tag, machine_id=machine.id, points=dict.fromkeys(self.content, f"c {self.number}"))

    checkpoint = freeze

    def changed(self, machine, disk, since, at):
        before, now = self.history[since][disk.id], self.content[disk.id]
        for start in range(0, len(now), 65536):
            if before[start : start + 65536] != now[start : start + 65536]:
                yield Extent(start, len(now[start : start + 65536]), True)

    def reader(self, machine, disk, at):
        return self._reader(machine, disk, at)

    def release(self, machine, tag):
        self.released.append(tag)

    def state(self, machine):
        return self.power

    def shutdown(self, machine, deadline_seconds):
        self.power = PowerState.OFF

    def power_on(self, machine):
        self.power = PowerState.ON

    def close(self): ...


@pytest.fixture
def conversions(monkeypatch):
    """Each writes other bytes than the one before, and to other blocks: the first to 1 and 2, the next to 2 and 3."""
    made = []

    @contextlib.contextmanager
    def convert(disks, folder, **_):
        number, first = len(made) + 0x40, 1 + len(made) % 2
        contents = []
        for disk in disks:
            changed = bytearray(disk.data)
            changed[first * BLOCK_BYTES : (first + 2) * BLOCK_BYTES] = bytes([number]) * (2 * BLOCK_BYTES)
            contents.append(bytes(changed))
        made.append(contents)
        area = (Extent(first * BLOCK_BYTES + 1, 2 * BLOCK_BYTES - 2, True),)
        yield DONE, [ConvertedDisk(Changed(content), area) for content in contents]

    monkeypatch.setattr(guest, "converted_guest", convert)
    return made


@pytest.fixture
def patched(world, request):
    """Two disks that take patches; with the parameter `keeping`, ones that can be put back as well."""
    from tests.unit.engine.conftest import doubles

    world.target = doubles.KeepingTarget() if getattr(request, "param", "") == "keeping" else doubles.PatchedTarget()
    world.contents.update(
        a=doubles.content({0: 1, 1: 2, 3: 3}, 5 * BLOCK_BYTES - 512), b=doubles.content({2: 5}, 4 * BLOCK_BYTES)
    )
    world.machine = doubles.machine_with(world.contents)
    world.spec, world.source = doubles.spec_of(world.machine), doubles.MemorySource(world.machine, dict(world.contents))
    return world


class Counted:
    """Ends the program at the n-th thing that is done to the target."""

    def __init__(self, target, left):
        self.target, self.left, self.done = target, left, 0
        for name in ("claim", "remake", "advance", "seal", "remember", "go_back"):
            if hasattr(target, name):
                setattr(target, name, self.counted(getattr(target, name)))
        writer, patcher = target.writer, target.patcher
        target.writer = lambda *args: self.watched(writer(*args))
        target.patcher = lambda *args: self.watched(patcher(*args))

    def counted(self, call):
        def run(*args):
            self.count()
            answer = call(*args)
            self.count()
            return answer

        return run

    def watched(self, writer):
        writer.write, writer.commit = self.counted(writer.write), self.counted(writer.commit)
        return writer

    def count(self):
        self.done += 1
        if self.done == self.left:
            raise Killed


def arrived(world):
    disks = world.target.find("tag").disks
    return [bytes(world.target.vdis[disk.id].data[: len(world.contents[disk.source_disk])]) for disk in disks]


def run(world, itinerary, kill=0, **changes):
    """One program: its end by a kill is no error."""
    target = replace(world.target)
    for name in ("sent", "vdis", "claims", "calls", "kept"):
        if hasattr(target, name):
            setattr(target, name, getattr(world.target, name))
    target.whole = world.target.whole
    counted = Counted(target, kill)
    before, world.target = world.target, target
    try:
        work = world.work(convert=True, warm=itinerary is WARM, **changes)
        with contextlib.suppress(Killed):
            follow(work, itinerary)
    finally:
        before.made = target.made
        world.target = before
    return counted.done


@pytest.mark.parametrize("patched", ["", "keeping"], indirect=True)
@pytest.mark.parametrize("itinerary", [COLD, WARM])
@pytest.mark.parametrize("verify", [VerifyLevel.FULL, pytest.param(VerifyLevel.NONE, marks=pytest.mark.slow)])
def test_killed_at_each_step_what_is_sealed_is_one_conversion(patched, conversions, itinerary, verify, monkeypatch):
    import copy as cloning

    world = patched
    if itinerary is WARM:
        world.source = Running(world)
    fresh = cloning.deepcopy((world.target, world.source.content))
    steps = run(world, itinerary, verify=verify)
    assert arrived(world) == conversions[-1]
    for kill in range(1, steps + 1):
        conversions.clear()
        world.target, content = cloning.deepcopy(fresh)
        world.source.content.clear()
        world.source.content.update(content)
        if itinerary is WARM:
            world.source.power, world.source.history = PowerState.ON, {}
        run(world, itinerary, kill, verify=verify)
        run(world, itinerary, verify=verify)
        assert world.target.find("tag").sealed
        assert arrived(world) == conversions[-1], kill


def test_a_cold_copy_goes_on_from_its_mark_and_only_the_patch_is_made_anew(patched, conversions):
    world = patched
    asked = iter([False] * 3 + [True])
    with pytest.raises(Stopped):
        follow(world.work(convert=True, stopping=lambda: next(asked, True)))
    marks = [disk.mark_bytes for disk in world.target.find("tag").disks]
    assert marks[0] > 0
    before = len(world.target.sent)
    follow(world.work(convert=True))
    assert arrived(world) == conversions[1]
    assert "remake" not in world.target.calls
    assert ("vdi1", 0) not in world.target.sent[before:], "what lies below the mark is not sent again"


def test_a_disk_that_cannot_be_patched_is_of_the_same_conversion(patched, conversions):
    world = patched
    world.target.whole = ("b",)
    follow(world.work(convert=True))
    assert arrived(world) == conversions[0]
    points = {vdi.point for vdi in world.target.vdis.values()}
    assert len(points) == 2


@pytest.mark.parametrize("itinerary", [COLD, WARM])
def test_without_the_wish_a_half_converted_disk_is_brought_back(patched, conversions, itinerary):
    world = patched
    if itinerary is WARM:
        world.source = Running(world)
    for kill in range(12, 40):
        if not run(world, itinerary, kill) or len(conversions) < 2:
            continue
        break
    follow(world.work(warm=itinerary is WARM), itinerary)
    assert arrived(world) == [world.source.content[name] for name in world.contents]


def test_in_the_outage_only_what_changed_is_sent(patched, conversions):
    world = patched
    world.source = Running(world)
    work = world.work(convert=True, warm=True)
    follow(work, WARM)
    assert len(conversions) == 2, "one was tried before"
    assert [number for _, number in world.target.sent[-4:]] == [2, 3, 2, 3]
    assert all(result.verified is VerifyLevel.FULL for result in work.results)


def test_a_trial_that_fails_stops_before_anything_is_copied(patched, monkeypatch):
    world = patched
    world.source = Running(world)

    @contextlib.contextmanager
    def refuse(disks, folder, **_):
        raise TargetError("/boot of the guest could not be mounted")
        yield

    monkeypatch.setattr(guest, "converted_guest", refuse)
    with pytest.raises(TargetError, match="/boot"):
        follow(world.work(convert=True, warm=True), WARM)
    assert world.target.calls == [] and world.source.power is PowerState.ON
    assert world.source.released, "its snapshot is gone"


def test_one_that_fails_in_the_outage_keeps_the_copy_and_switches_the_source_on(patched, conversions, monkeypatch):
    world = patched
    world.source = Running(world)
    good = guest.converted_guest

    @contextlib.contextmanager
    def once(*args, **names):
        if conversions:
            raise BadImage("a file in the guest is too large")
        with good(*args, **names) as made:
            yield made

    monkeypatch.setattr(guest, "converted_guest", once)
    with pytest.raises(V2xError, match="too large"):
        follow(world.work(convert=True, warm=True), WARM)
    assert world.target.find("tag").disks, "hours of copying are not thrown away"
    assert world.source.power is PowerState.ON
    monkeypatch.setattr(guest, "converted_guest", good)
    sent = len(world.target.sent)
    follow(world.work(convert=True, warm=True), WARM)
    assert arrived(world) == conversions[-1]
    assert ("vdi1", 0) not in world.target.sent[sent:]


def test_a_disk_that_arrived_damaged_is_made_anew_with_a_conversion_over_all(patched, conversions):
    world = patched
    world.source = Running(world)
    heard = []

    class Heard(Silent):
        def warning(self, text):
            heard.append(text)

    class Damaging(Heard):
        def phase(self, phase):
            if phase == "verify":
                next(iter(world.target.vdis.values())).data[0] ^= 1

    follow(world.work(convert=True, warm=True, observer=Damaging()), WARM)
    assert len(conversions) == 3
    assert arrived(world) == conversions[-1]
    assert any("copied once more" in text for text in heard)


def test_a_folder_without_room_or_that_cannot_be_is_told(patched, conversions, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be converted in"):
        follow(patched.work(convert=True, stage=tmp_path / "file"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    with pytest.raises(NoSpace, match="free"):
        follow(patched.work(convert=True, stage=tmp_path / "new"))
    assert conversions == []


def test_blocks_stand_beside_the_point_and_never_fewer_than_there_are():
    assert parted(marked("52 a/7", [9, 3, 4, 5])) == ("52 a/7", (3, 4, 5, 9))
    assert marked("52 a/7", []) == "52 a/7" and parted("52 a/7") == ("52 a/7", ())
    many = range(0, 30_000, 3)
    text = marked("p", many)
    assert len(text) < 4000
    point, blocks = parted(text)
    assert point == "p" and set(many) <= set(blocks)
    assert parted("p+guest:x") == ("p+guest:x", ())


def test_a_sealed_windows_is_refused_while_it_runs_and_goes_on_once_its_row_confirms(patched, conversions, monkeypatch):
    world = patched
    world.source = Running(world)
    good = guest.converted_guest

    @contextlib.contextmanager
    def sealed(*args, wishes, **names):
        if not wishes.bitlocker_suspended:
            raise InputRefused("C: is sealed to the TPM of the source", code="WINDOWS-BITLOCKER")
        with good(*args, wishes=wishes, **names) as made:
            yield made

    monkeypatch.setattr(guest, "converted_guest", sealed)
    work = world.work(convert=True, warm=True)
    with pytest.raises(InputRefused) as refused:
        follow(work, WARM)
    assert refused.value.code == "WINDOWS-BITLOCKER"
    assert world.source.power is PowerState.ON and work.outage is None
    assert world.target.calls == [] and world.target.sent == [], "nothing was made, and nothing copied"
    assert world.source.released, "its snapshot is gone"
    wishes = granted([GuestWish.BITLOCKER_SUSPENDED], GuestWishes())
    follow(world.work(convert=True, warm=True, wishes=wishes), WARM)
    assert arrived(world) == conversions[-1] and world.source.power is PowerState.OFF


KEEPING = pytest.mark.parametrize("patched", ["keeping"], indirect=True)


class Heard(Silent):
    def __init__(self):
        self.said = []

    def warning(self, text):
        self.said.append(text)


def sent_since(world, before):
    """Numbers of the blocks that were sent, of both disks."""
    return sorted(number for _, number in world.target.sent[before:])


def converted_and_broken_off(world, itinerary):
    """A run that converts and fails at the seal; how much was sent by then."""
    if itinerary is WARM:
        world.source = Running(world)
    sealing, world.target.seal = world.target.seal, None
    with pytest.raises(TypeError):
        follow(world.work(convert=True, warm=itinerary is WARM), itinerary)
    world.target.seal = sealing
    if itinerary is WARM:
        world.source.power = PowerState.OFF
    return len(world.target.sent)


@KEEPING
@pytest.mark.parametrize("itinerary", [COLD, WARM])
def test_a_conversion_that_is_made_once_more_sends_its_own_blocks_alone(patched, conversions, itinerary):
    """Without what is kept, those of the first are sent again too."""
    world = patched
    before = converted_and_broken_off(world, itinerary)
    heard = Heard()
    follow(world.work(convert=True, warm=itinerary is WARM, observer=heard), itinerary)
    assert arrived(world) == conversions[-1]
    first = 1 + (len(conversions) - 1) % 2
    assert sent_since(world, before) == [first, first, first + 1, first + 1]
    assert sum("put back to its snapshot" in text for text in heard.said) == 2
    assert world.target.kept == {}, "gone with the seal"


@KEEPING
@pytest.mark.parametrize("itinerary", [COLD, WARM])
def test_without_the_wish_what_was_converted_is_put_back_and_not_copied(patched, conversions, itinerary):
    world = patched
    before = converted_and_broken_off(world, itinerary)
    follow(world.work(warm=itinerary is WARM), itinerary)
    assert arrived(world) == [world.source.content[name] for name in world.contents]
    assert sent_since(world, before) == [] and "remake" not in world.target.calls


@KEEPING
@pytest.mark.parametrize("itinerary", [COLD, WARM])
def test_a_converted_disk_that_differs_is_put_back_and_converted_once_more(patched, conversions, itinerary):
    world, heard = patched, Heard()
    if itinerary is WARM:
        world.source = Running(world)
    advance, spoiled = world.target.advance, []

    def advance_and_spoil(claim, disk, point):
        """Block 1 is damaged when it is about to be overwritten as a whole, but for its first and last byte."""
        done = advance(claim, disk, point)
        if "+guest:" in point and not spoiled:
            spoiled.append(disk.id)
            world.target.vdis[disk.id].data[0] ^= 1
        return done

    world.target.advance = advance_and_spoil
    follow(world.work(convert=True, warm=itinerary is WARM, observer=heard), itinerary)
    assert spoiled and arrived(world) == conversions[-1]
    assert "remake" not in world.target.calls and "go back" in world.target.calls
    assert any("sent once more" in text or "written once more" in text for text in heard.said)
    assert not any("copied once more" in text for text in heard.said)


@KEEPING
@pytest.mark.parametrize("itinerary", [COLD, WARM])
def test_one_whose_snapshot_is_damaged_too_is_copied(patched, conversions, itinerary):
    world, heard = patched, Heard()
    if itinerary is WARM:
        world.source = Running(world)
    remember, spoiled = world.target.remember, []

    def spoil_and_remember(claim, disk, moment, room_bytes):
        if moment is Moment.GUEST and not spoiled:
            spoiled.append(disk.id)
            world.target.vdis[disk.id].data[0] ^= 1
        return remember(claim, disk, moment, room_bytes)

    world.target.remember = spoil_and_remember
    follow(world.work(convert=True, warm=itinerary is WARM, observer=heard), itinerary)
    assert arrived(world) == conversions[-1]
    assert world.target.calls.count("remake") == 1
    assert any("copied once more" in text for text in heard.said)


@KEEPING
@pytest.mark.parametrize("itinerary", [COLD, WARM])
@pytest.mark.parametrize("how", ["thick", "refused"])
def test_where_nothing_can_be_kept_it_is_said_once_and_goes_on(patched, conversions, itinerary, how):
    world, heard = patched, Heard()
    if itinerary is WARM:
        world.source = Running(world)
    world.target.thick = ("a", "b") if how == "thick" else ()
    world.target.refuses = "the disk's snapshot chain is too long" if how == "refused" else ""
    follow(world.work(convert=True, warm=itinerary is WARM, observer=heard), itinerary)
    assert arrived(world) == conversions[-1]
    said = [text for text in heard.said if "is not kept by a snapshot" in text]
    why = "its storage is not thin" if how == "thick" else "chain is too long"
    assert said and all(why in text for text in said)
    assert len(said) == len(set(said)) == (3 if how == "refused" and itinerary is WARM else 2)


@KEEPING
def test_one_snapshot_before_the_first_changes_and_one_before_the_guest(patched, conversions):
    world = patched
    world.source = Running(world)
    follow(world.work(convert=True, warm=True), WARM)
    taken = [call for call in world.target.calls if call.startswith("remember")]
    assert taken == ["remember delta"] + ["remember guest"] * 2, "one disk alone changes while it is copied"
    assert "go back" not in world.target.calls


@KEEPING
def test_a_cold_copy_without_conversion_keeps_nothing(patched):
    follow(patched.work())
    assert not [call for call in patched.target.calls if call.startswith("remember")]
