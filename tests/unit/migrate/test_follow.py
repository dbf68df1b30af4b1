# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from tests.following import follow
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.errors import Conflict, DigestMismatch, InputRefused, SourceError, Stopped, TargetError, V2xError
from v2x.migrate.itinerary import COLD
from v2x.migrate.observe import Silent
from v2x.migrate.verify import VerifyMismatch, level_of
from v2x.model.machine import DiskBacking, PowerState
from v2x.model.migration import Phase, VerifyLevel
from v2x.model.target import TargetNic, UsedMac


class Heard(Silent):
    def __init__(self):
        self.phases, self.warnings = [], []

    def phase(self, phase):
        self.phases.append(phase)

    def warning(self, text):
        self.warnings.append(text)


def test_a_cold_migration_ends_sealed_and_identical(world):
    heard = Heard()
    work = world.work(observer=heard)
    follow(work)
    world.identical()
    assert heard.phases == [step.phase for step in COLD]
    assert world.target.find("tag").sealed
    assert world.source.released == ["tag"]
    assert [result.verified for result in work.results] == [VerifyLevel.FULL] * 2
    assert all(reader.closed for reader in world.source.readers)


def test_only_blocks_with_data_are_sent(world):
    follow(world.work())
    assert [number for _, number in world.target.sent] == [0, 1, 3, 9, 2]


def test_again_after_the_end_changes_nothing(world):
    follow(world.work())
    sent = list(world.target.sent)
    again = world.work()
    follow(again)
    assert again.already
    assert world.target.sent == sent
    assert world.target.calls == ["claim", "seal", "seal"], "sealing once more only tidies what a kill has left"


def test_killed_in_the_copy_it_continues_from_the_mark(world):
    class Killed(BaseException):
        pass

    class Bomb(Silent):
        left = 3

        def progress(self, disk, count_bytes):
            self.left -= 1
            if not self.left:
                raise Killed

    with pytest.raises(Killed):
        follow(world.work(observer=Bomb()))
    follow(world.work())
    world.identical()
    counts = {one: world.target.sent.count(one) for one in set(world.target.sent)}
    assert counts == {("vdi1", 0): 1, ("vdi1", 1): 1, ("vdi1", 3): 2, ("vdi1", 9): 1, ("vdi2", 2): 1}
    assert world.target.calls.count("remake") == 0


def test_a_lost_upload_continues_within_the_run(world):
    world.target.lose = [9]
    heard = Heard()
    work = world.work(observer=heard)
    for step in COLD:
        step.run(work) if step.phase is not Phase.COPY else _copy_without_sleep(work, step)
    world.identical()
    assert any("continuing from the last mark" in text for text in heard.warnings)


def _copy_without_sleep(work, step):
    from v2x.migrate import copy, steps

    original = steps.copy_disk
    steps.copy_disk = lambda *args, **names: copy.copy_disk(*args, **names, sleep=lambda _: None)
    try:
        step.run(work)
    finally:
        steps.copy_disk = original


def test_an_upload_that_is_always_lost_gives_up(world, monkeypatch):
    from v2x.migrate import copy, steps

    world.target.lose = [3] * 50
    monkeypatch.setattr(steps, "copy_disk", lambda *args, **names: copy.copy_disk(*args, **names, sleep=lambda _: None))
    with pytest.raises(TargetError, match="upload lost"):
        follow(world.work())
    assert len(world.target.lose) == 45
    assert "tag" in world.target.claims


def test_another_point_in_time_makes_the_disk_anew(world):
    class Killed(BaseException):
        pass

    class Bomb(Silent):
        left = 3

        def progress(self, disk, count_bytes):
            self.left -= 1
            if not self.left:
                raise Killed

    with pytest.raises(Killed):
        follow(world.work(observer=Bomb()))
    world.source.points = {"a": "p2", "b": "p2"}
    data = bytearray(world.source.content["a"])
    data[:BLOCK_BYTES] = bytes(BLOCK_BYTES)
    data[5] = 9
    world.source.content["a"] = bytes(data)
    follow(world.work())
    world.identical()
    assert world.target.calls.count("remake") == 1


def test_a_mismatch_is_copied_once_more(world):
    world.target.corrupt = [3]
    heard = Heard()
    follow(world.work(observer=heard))
    world.identical()
    assert any("differs in the block at byte 6,291,456" in text for text in heard.warnings)


def test_a_second_mismatch_fails_and_stays_blocked(world):
    world.target.corrupt = [3, 3]
    with pytest.raises(VerifyMismatch):
        follow(world.work())
    assert not world.target.find("tag").sealed


def test_stray_bytes_where_the_source_has_none_are_found(world):
    work = world.work()
    for step in COLD[:4]:
        step.run(work)
    world.target.vdis["vdi1"].data[7 * BLOCK_BYTES] = 1
    heard = Heard()
    work.observer = heard
    for step in COLD[4:]:
        step.run(work)
    world.identical()
    assert any("holds data at byte 14,680,064" in text for text in heard.warnings)


def test_without_verification_a_mismatch_stays_unseen(world):
    world.target.corrupt = [3]
    work = world.work(verify=VerifyLevel.NONE)
    follow(work)
    assert work.results[0].verified is VerifyLevel.NONE
    with pytest.raises(AssertionError):
        world.identical()


def test_a_stop_leaves_the_claim_for_the_next_run(world):
    stops = iter([False, False, True])
    with pytest.raises(Stopped):
        follow(world.work(stopping=lambda: next(stops)))
    assert not world.target.find("tag").sealed
    follow(world.work())
    world.identical()


def test_a_digest_that_does_not_hold_leaves_nothing(world):
    def verify(machine, progress=None):
        raise DigestMismatch("a.vmdk: SHA256 differs")

    world.source.verify = verify
    with pytest.raises(DigestMismatch):
        follow(world.work())
    assert not world.target.claims
    assert not world.target.vdis


def test_a_source_that_cannot_be_read_fails_with_the_claim_kept(world):
    world.source.fail_at = 2 * BLOCK_BYTES
    with pytest.raises(OSError, match="broken"):
        follow(world.work())
    world.source.fail_at = None
    follow(world.work())
    world.identical()


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        (lambda m: replace(m, power_state=PowerState.ON), SourceError, "POWERED-ON"),
        (lambda m: replace(m, is_template=True), InputRefused, "TEMPLATE"),
        (lambda m: replace(m, disks=(replace(m.disks[0], encrypted=True),)), InputRefused, "ENCRYPTED"),
        (lambda m: replace(m, disks=(replace(m.disks[0], backing=DiskBacking.MISSING),)), InputRefused, "MISSING-DISK"),
        (
            lambda m: replace(m, disks=(replace(m.disks[0], backing=DiskBacking.RAW_DEVICE),)),
            InputRefused,
            "RAW-DEVICE",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(world, change, error, code):
    world.machine = change(world.machine)
    with pytest.raises(error) as caught:
        follow(world.work())
    assert caught.value.code == code
    assert world.target.calls == []


def test_a_name_that_is_taken(world):
    world.target.names = ("web",)
    with pytest.raises(Conflict) as caught:
        follow(world.work())
    assert caught.value.code == "NAME-USED"
    assert not world.target.vdis


def test_a_mac_that_is_taken_but_not_by_our_own_claim(world):
    nic = TargetNic(source_position=0, device="0", network="n", network_name="n", mac="00:50:56:00:00:01")
    world.spec = replace(world.spec, nics=(nic,))
    world.target.macs = (UsedMac(mac=nic.mac, machine="other"),)
    with pytest.raises(V2xError) as caught:
        follow(world.work())
    assert caught.value.code == "MAC-USED"
    world.target.macs = ()
    work = world.work()
    for step in COLD[:4]:
        step.run(work)
    world.target.macs = (UsedMac(mac=nic.mac, machine="[v2x] web"),)
    follow(world.work())
    assert world.target.find("tag").sealed


def test_an_empty_disk_arrives_without_a_block(world):
    world.source.content["b"] = bytes(len(world.contents["b"]))
    work = world.work()
    follow(work)
    world.identical()
    assert [result.data_bytes for result in work.results] == [4 * BLOCK_BYTES, 0]
    assert [result.verified for result in work.results] == [VerifyLevel.FULL] * 2


def test_start_only_after_the_seal(world):
    follow(world.work(start=True))
    assert world.target.calls[-2:] == ["seal", "start"]


def test_what_a_target_offers_for_a_comparison_is_asked_once(world):
    asked = []
    world.target.samples = lambda _claim, disk: asked.append(disk.source_disk) or disk.source_disk == "a"
    world.target.sampler = lambda _claim, _disk: None
    work = world.work(verify=VerifyLevel.AUTO)
    work.claim = world.target.claim(world.spec, "tag")
    for _ in range(3):
        levels = {disk.source_disk: level_of(work, disk) for disk in work.claim.disks}
    assert levels == {"a": VerifyLevel.SAMPLE, "b": VerifyLevel.NONE}
    assert sorted(asked) == ["a", "b"]
