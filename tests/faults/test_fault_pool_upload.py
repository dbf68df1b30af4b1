# SPDX-License-Identifier: Apache-2.0
"""Uploads that break: the pool's task tells why, the mark tells from where to go on, and no byte is lost."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from v2x.errors import Conflict, NoSpace, TargetError, TrustError, V2xError
from v2x.model.machine import Firmware
from v2x.model.target import SecureBoot, TargetDisk, TargetMachine
from v2x.model.units import GIB, MIB
from v2x.secrets import Secret
from v2x.simulators.xapi import Layout, Pool
from v2x.target import open_xapi
from v2x.target.interface import Claim, ClaimedDisk, SegmentLost
from v2x.target.xapi.pool import XapiTarget
from v2x.target.xapi.upload import UploadSettings
from v2x.tls import Trust

BLOCK = 2 * MIB
BLOCKS = [0, 1, 2, 3, 5, 6, 7, 9]
SIZE = 20 * MIB
POINT = "p"
Opened = tuple[Pool, XapiTarget, Claim]


def opened(pool: Pool, **options: Any) -> XapiTarget:
    host, _, port = pool.address.partition(":")
    options = {
        "least_segment_bytes": 2 * BLOCK,
        "most_segment_bytes": 2 * BLOCK,
        "patience_seconds": 3.0,
        "settings": UploadSettings(stall=10.0, settle=10.0, release=5.0, lost=10.0),
        **options,
    }
    trust = Trust(fingerprint=pool.fingerprint)
    return open_xapi(host, int(port), pool.user, Secret(pool.password), trust, **options)


def spec(sr: str, size: int = SIZE) -> TargetMachine:
    return TargetMachine(
        source_id="m",
        name="web",
        description="",
        firmware=Firmware.BIOS,
        secure_boot=SecureBoot.FALSE,
        vtpm=False,
        vcpus=1,
        memory_bytes=GIB,
        platform={},
        boot_order="c",
        template="other-install-media",
        disks=(TargetDisk(source_disk="d", name="web disk", description="", sr=sr, size_bytes=size, device="0"),),
    )


def sr_named(pool: Pool, name: str) -> str:
    return str(pool.records("SR")[pool.ref_by_name("SR", name)]["uuid"])


@pytest.fixture
def made(simulated_pool: Callable[..., Pool]) -> Iterator[Callable[..., Opened]]:
    targets = []

    def make(sr: str = "NFS storage", *, target: dict[str, Any] | None = None, **options: Any) -> Opened:
        pool = simulated_pool(**options)
        opened_target = opened(pool, **(target or {}))
        targets.append(opened_target)
        return pool, opened_target, opened_target.claim(spec(sr_named(pool, sr)), "tag")

    yield make
    for target in targets:
        target.close()


def block(number: int) -> bytes:
    return random.Random(number).randbytes(BLOCK)


def send(target: XapiTarget, claim: Claim, disk: ClaimedDisk, blocks: list[int]) -> None:
    writer = target.writer(claim, disk, [number for number in blocks if number * BLOCK >= disk.mark_bytes], POINT)
    try:
        for number in blocks:
            if number * BLOCK >= disk.mark_bytes:
                writer.write(number, memoryview(bytearray(block(number))))
        writer.commit()
    finally:
        writer.abort()


def now_on(target: XapiTarget) -> ClaimedDisk:
    found = target.find("tag")
    assert found is not None
    return found.disks[0]


def check_content(pool: Pool, disk: ClaimedDisk, blocks: list[int]) -> None:
    content = pool.vdi_path(disk.id).read_bytes()
    for number in range(SIZE // BLOCK):
        want = block(number) if number in blocks else bytes(BLOCK)
        assert content[number * BLOCK : (number + 1) * BLOCK] == want, number


@pytest.mark.parametrize("cut_at", [100, 3 * MIB, 2 * BLOCK + 100])
def test_cut_connection_goes_on_from_the_mark(made: Callable[..., Opened], cut_at: int) -> None:
    pool, target, claim = made()
    send(target, claim, claim.disks[0], [])
    disk = target.remake(claim, claim.disks[0])
    writer = target.writer(claim, disk, BLOCKS, POINT)
    for number in BLOCKS[:2]:
        writer.write(number, bytearray(block(number)))
    assert now_on(target).mark_bytes == 2 * BLOCK
    pool.faults.arm("cut_import", at=cut_at)
    with pytest.raises(SegmentLost) as lost:
        for number in BLOCKS[2:]:
            writer.write(number, bytearray(block(number)))
        writer.commit()
    writer.abort()
    assert lost.value.mark_bytes == 2 * BLOCK == now_on(target).mark_bytes
    send(target, claim, now_on(target), BLOCKS)
    check_content(pool, disk, BLOCKS)
    sent = pool.ledger.blocks(disk.id)
    assert {number: count for number, count in sent.items() if count > 1}.keys() <= {2, 3}
    assert max(sent.values()) <= 2


def test_mark_is_written_with_the_point_before_any_byte(made: Callable[..., Opened]) -> None:
    pool, target, claim = made()
    writer = target.writer(claim, claim.disks[0], BLOCKS, POINT)
    writer.write(0, bytearray(block(0)))
    writer.abort()
    assert (now_on(target).mark_bytes, now_on(target).point) == (0, POINT)
    with pytest.raises(Conflict, match="another point in time"):
        target.writer(claim, now_on(target), BLOCKS, "later").write(0, bytearray(block(0)))
    fresh = target.remake(claim, now_on(target))
    send(target, claim, fresh, BLOCKS)
    check_content(pool, fresh, BLOCKS)


def test_full_storage_is_named(made: Callable[..., Opened]) -> None:
    _, target, claim = made(layout=Layout(sr_bytes={"nfs": 9 * MIB}))
    with pytest.raises(NoSpace, match="NFS storage is full"):
        send(target, claim, claim.disks[0], BLOCKS)
    assert now_on(target).mark_bytes == 5 * BLOCK


def test_no_room_at_creation_is_named(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool(layout=Layout(sr_bytes={"lvm": 10 * MIB}))
    with opened(pool) as target, pytest.raises(NoSpace):
        target.claim(spec(sr_named(pool, "LVM storage")), "tag")
    with opened(pool) as target:
        target.discard(target.find("tag"))
        assert target.find("tag") is None


def test_vanished_task_is_a_lost_segment(made: Callable[..., Opened]) -> None:
    pool, target, claim = made()
    pool.faults.arm("vanish_task")
    with pytest.raises(SegmentLost, match="vanished"):
        send(target, claim, claim.disks[0], BLOCKS)
    send(target, claim, now_on(target), BLOCKS)
    check_content(pool, claim.disks[0], BLOCKS)


def test_disk_still_attached_after_a_failure_is_waited_for(made: Callable[..., Opened]) -> None:
    pool, target, claim = made()
    pool.faults.arm("hold_busy", seconds=0.8)
    pool.faults.arm("cut_import", at=MIB)
    with pytest.raises(SegmentLost):
        send(target, claim, claim.disks[0], BLOCKS)
    send(target, claim, now_on(target), BLOCKS)
    check_content(pool, claim.disks[0], BLOCKS)
    assert [entry.outcome for entry in pool.ledger.imports][:1] == ["failure"]
    assert all(entry.outcome == "success" for entry in pool.ledger.imports[1:])


def test_discard_waits_for_a_disk_that_is_still_attached(made: Callable[..., Opened]) -> None:
    pool, target, claim = made()
    pool.faults.arm("hold_busy", seconds=0.8)
    writer = target.writer(claim, claim.disks[0], BLOCKS, POINT)
    writer.write(0, bytearray(block(0)))
    writer.abort()
    target.discard(claim)
    assert target.find("tag") is None
    assert not [vdi for vdi in pool.records("VDI").values() if vdi["name_label"] == "web disk"]


def test_session_refused_in_mid_run_is_renewed(made: Callable[..., Opened]) -> None:
    pool, target, claim = made()
    pool.faults.arm("unauthorized")
    send(target, claim, claim.disks[0], BLOCKS[:4])
    pool.expire_sessions()
    send(target, claim, now_on(target), [])
    check_content(pool, claim.disks[0], BLOCKS[:4])


def test_upload_that_stays_unauthorized_gives_up(made: Callable[..., Opened]) -> None:
    pool, target, claim = made()
    pool.faults.arm("unauthorized", times=-1)
    with pytest.raises(TargetError, match="401"):
        send(target, claim, claim.disks[0], BLOCKS)


def test_local_storage_of_a_member_is_sent_to_that_member(made: Callable[..., Opened]) -> None:
    pool, target, claim = made("Local storage 2", layout=Layout(hosts=2))
    send(target, claim, claim.disks[0], BLOCKS)
    check_content(pool, claim.disks[0], BLOCKS)
    reader, got = target.reader(claim, claim.disks[0]), bytearray(BLOCK)
    reader.read_into(5 * BLOCK, got)
    reader.close()
    assert got == block(5)


def test_redirect_within_the_pool_is_followed_once(made: Callable[..., Opened]) -> None:
    pool, target, claim = made(layout=Layout(hosts=2))
    pool.faults.arm("redirect", address=pool.addresses[1])
    send(target, claim, claim.disks[0], BLOCKS)
    check_content(pool, claim.disks[0], BLOCKS)


def test_redirect_out_of_the_pool_is_refused(made: Callable[..., Opened]) -> None:
    pool, target, claim = made()
    pool.faults.arm("redirect", address="127.0.0.1:1")
    with pytest.raises(TrustError, match="none of its hosts"):
        send(target, claim, claim.disks[0], BLOCKS)


def test_endless_redirects_end(made: Callable[..., Opened]) -> None:
    pool, target, claim = made(layout=Layout(hosts=2))
    pool.faults.arm("redirect", times=-1, address=pool.addresses[1])
    with pytest.raises(TargetError, match="302"):
        send(target, claim, claim.disks[0], BLOCKS)


def test_run_that_was_replaced_stops_at_its_next_mark(made: Callable[..., Opened]) -> None:
    pool, first, claim = made(target={"owner": "host-a:boot:1:1"})
    writer = first.writer(claim, claim.disks[0], BLOCKS, POINT)
    writer.write(0, bytearray(block(0)))
    with opened(pool, owner="host-b:boot:2:2") as second:
        second.claim(first_spec(pool), "tag")
    with pytest.raises(Conflict, match="another run works"):
        for number in BLOCKS[1:]:
            writer.write(number, bytearray(block(number)))
    writer.abort()


def first_spec(pool: Pool) -> TargetMachine:
    return spec(sr_named(pool, "NFS storage"))


def test_living_run_is_not_replaced(made: Callable[..., Opened]) -> None:
    pool, first, claim = made(target={"owner": "host-a:boot:1:1"})
    with opened(pool, owner="host-b:boot:2:2", alive=lambda owner: owner == "host-a:boot:1:1") as second:
        with pytest.raises(Conflict, match="process 1 on host-a"):
            second.claim(first_spec(pool), "tag")
        with pytest.raises(Conflict, match="process 1 on host-a"):
            second.discard(claim)
        assert "process 1 on host-a" in second.leftovers()[0].notes[0]
    send(first, claim, claim.disks[0], BLOCKS)


@pytest.mark.parametrize("upload_format", ["chunked", "tar", "raw", "qcow2"])
def test_other_formats_bring_the_same_bytes(made: Callable[..., Opened], upload_format: str) -> None:
    pool, target, claim = made(target={"upload_format": upload_format})
    send(target, claim, claim.disks[0], BLOCKS)
    check_content(pool, claim.disks[0], BLOCKS)
    assert {entry.format for entry in pool.ledger.imports} == {upload_format}


@pytest.mark.parametrize("blocks", [BLOCKS, [], [9]])
def test_storage_that_is_not_zeroed_gets_the_whole_disk(made: Callable[..., Opened], blocks: list[int]) -> None:
    pool, target, claim = made("Raw LVM storage", layout=Layout(raw_lvm=True))
    disk = claim.disks[0]
    path = pool.vdi_path(disk.id)
    path.write_bytes(b"\xaa" * path.stat().st_size)
    send(target, claim, disk, blocks)
    check_content(pool, disk, blocks)


def test_sparse_format_on_storage_that_is_not_zeroed_is_refused(made: Callable[..., Opened]) -> None:
    _, target, claim = made("Raw LVM storage", layout=Layout(raw_lvm=True), target={"upload_format": "chunked"})
    with pytest.raises(V2xError, match="not zeroed"):
        send(target, claim, claim.disks[0], BLOCKS)


def test_slow_attach_makes_larger_segments(simulated_pool: Callable[..., Pool]) -> None:
    """What the first segment teaches lets all the rest go in one. It is larger than all socket buffers together."""
    pool = simulated_pool(attach_delay=0.5)
    with opened(pool, least_segment_bytes=20 * BLOCK, most_segment_bytes=64 * BLOCK) as target:
        claim = target.claim(spec(sr_named(pool, "NFS storage"), 120 * MIB), "tag")
        writer = target.writer(claim, claim.disks[0], range(60), POINT)
        data = bytearray(block(0))
        for number in range(60):
            writer.write(number, data)
        writer.commit()
        assert writer.segments == 2
        assert writer.sent_bytes == 120 * MIB
    assert [entry.written_bytes // BLOCK for entry in pool.ledger.imports] == [20, 40]
    assert pool.vdi_path(claim.disks[0].id).read_bytes() == bytes(data) * 60


def test_nothing_is_left_of_tasks_and_sessions(made: Callable[..., Opened]) -> None:
    pool, target, claim = made()
    send(target, claim, claim.disks[0], BLOCKS)
    target.seal(claim, first_spec(pool))
    target.close()
    assert pool.records("task") == {}
    assert pool.expire_sessions() == 0
