# SPDX-License-Identifier: Apache-2.0
"""An upload cut or full at any byte: it ends in success, or in a stop that names its cause and can be continued."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from v2x.errors import NoSpace
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
BLOCKS = [0, 2]
SIZE = 6 * MIB
HEAD = 1536 + 512
STRIDE = 512 + BLOCK
LENGTH = HEAD + 2 * STRIDE + 512
EDGES = (
    *(0, 1, 7, 511, 512, 513, 1023, 1535, 1536, 1537, 1547, HEAD - 1),  # footer copy, header, block table
    *(HEAD, HEAD + 1, HEAD + 511, HEAD + 512, HEAD + 513, HEAD + STRIDE // 2, HEAD + STRIDE - 1),  # first block
    *(HEAD + STRIDE, HEAD + STRIDE + 1, HEAD + STRIDE + 512, HEAD + 2 * STRIDE - 1),  # second block
    *(LENGTH - 512, LENGTH - 511, LENGTH - 1, LENGTH),  # footer, and after the last byte
)
ANYWHERE = tuple(sorted(random.Random(1).sample(range(LENGTH), 16)))


def block(number: int) -> bytes:
    return random.Random(number).randbytes(BLOCK)


def whole() -> bytes:
    return b"".join(block(number) if number in BLOCKS else bytes(BLOCK) for number in range(SIZE // BLOCK))


def opened(pool: Pool) -> XapiTarget:
    host, _, port = pool.address.partition(":")
    return open_xapi(
        host, int(port), pool.user, Secret(pool.password), Trust(fingerprint=pool.fingerprint), patience_seconds=3.0,
        settings=UploadSettings(stall=10.0, settle=10.0, release=5.0, lost=10.0),
    )  # fmt: skip


def spec(pool: Pool, blocks: int = SIZE // BLOCK) -> TargetMachine:
    sr = str(pool.records("SR")[pool.ref_by_name("SR", "NFS storage")]["uuid"])
    disk = TargetDisk(source_disk="d", name="disk", description="", sr=sr, size_bytes=blocks * BLOCK, device="0")
    return TargetMachine(
        source_id="m", name="web", description="", firmware=Firmware.BIOS, secure_boot=SecureBoot.FALSE, vtpm=False,
        vcpus=1, memory_bytes=GIB, platform={}, boot_order="c", template="other-install-media", disks=(disk,),
    )  # fmt: skip


Held = tuple[Pool, XapiTarget, Claim]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    options: dict[str, Any] = {"login_delay": 0.0, "release_delay": 0.0, "layout": Layout(hosts=2), "save": False}
    with Pool(tmp_path_factory.mktemp("pool"), **options) as pool, opened(pool) as target:
        yield pool, target, target.claim(spec(pool), "tag")


@pytest.fixture
def fresh(held: Held) -> tuple[Pool, XapiTarget, Claim, ClaimedDisk]:
    pool, target, claim = held
    pool.faults.clear()
    return pool, target, claim, target.remake(claim, now_on(target))


def now_on(target: XapiTarget) -> ClaimedDisk:
    found = target.find("tag")
    assert found is not None
    return found.disks[0]


def send(target: XapiTarget, claim: Claim, disk: ClaimedDisk, blocks: list[int]) -> None:
    left = [number for number in blocks if number * BLOCK >= disk.mark_bytes]
    writer = target.writer(claim, disk, left, "p")
    try:
        for number in left:
            writer.write(number, bytearray(block(number)))
        writer.commit()
    finally:
        writer.abort()


@pytest.mark.parametrize("at", [*EDGES, *ANYWHERE])
def test_cut_at_any_byte(fresh: Any, at: int) -> None:
    pool, target, claim, disk = fresh
    pool.faults.arm("cut_import", at=at)
    try:
        send(target, claim, disk, BLOCKS)
        assert at == LENGTH, "a stream that was cut before its end counted as whole"
    except SegmentLost as lost:
        assert lost.mark_bytes == now_on(target).mark_bytes == 0
        assert "broke" in lost.message
        send(target, claim, now_on(target), BLOCKS)
    assert pool.vdi_path(disk.id).read_bytes() == whole()
    assert now_on(target).mark_bytes == SIZE


@pytest.mark.parametrize("at", [0, 1, 511, 512, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1])
def test_full_at_any_byte(fresh: Any, at: int) -> None:
    pool, target, claim, disk = fresh
    pool.faults.arm("sr_full", at=at)
    with pytest.raises(NoSpace, match="is full") as full:
        send(target, claim, disk, BLOCKS)
    assert "what was sent stays" in full.value.hint
    pool.faults.clear()
    send(target, claim, now_on(target), BLOCKS)
    assert pool.vdi_path(disk.id).read_bytes() == whole()


@pytest.mark.parametrize("room", [MIB, 2 * MIB + 1, 5 * MIB, 7 * MIB + 511])
def test_storage_that_fills_up_on_the_way(simulated_pool: Callable[..., Pool], room: int) -> None:
    pool = simulated_pool(layout=Layout(sr_bytes={"nfs": room}))
    with opened(pool) as target:
        claim = target.claim(spec(pool, 8), "tag")
        with pytest.raises(NoSpace, match="NFS storage is full"):
            send(target, claim, claim.disks[0], list(range(8)))


@pytest.mark.parametrize("fault", ["vanish_task", "unauthorized", "redirect", "session"])
def test_what_else_may_happen_in_the_middle(fresh: Any, fault: str) -> None:
    """The second of two uploads meets it, so something is already there."""
    pool, target, claim, disk = fresh
    send(target, claim, disk, BLOCKS[:1])
    writer_disk = target.remake(claim, now_on(target))
    if fault == "session":
        pool.expire_sessions()
    else:
        pool.faults.arm(fault, address=pool.addresses[1] if fault == "redirect" else "")
    try:
        send(target, claim, writer_disk, BLOCKS)
    except SegmentLost as lost:
        assert fault == "vanish_task" and "vanished" in lost.message
        send(target, claim, now_on(target), BLOCKS)
    assert pool.vdi_path(writer_disk.id).read_bytes() == whole()
