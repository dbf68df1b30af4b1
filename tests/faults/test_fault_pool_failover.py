# SPDX-License-Identifier: Apache-2.0
"""The coordinator moves to another host in the middle of a run, with or without the old one staying up."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from v2x.errors import ConnectError
from v2x.model.machine import Firmware
from v2x.model.target import SecureBoot, TargetDisk, TargetMachine
from v2x.model.units import GIB, MIB
from v2x.secrets import Secret
from v2x.simulators.xapi import Layout, Pool
from v2x.target import open_xapi
from v2x.target.interface import Claim, SegmentLost
from v2x.target.xapi.pool import XapiTarget
from v2x.target.xapi.upload import UploadSettings
from v2x.tls import Trust

BLOCK = 2 * MIB
BLOCKS = list(range(8))


def block(number: int) -> bytes:
    return random.Random(number).randbytes(BLOCK)


def spec(pool: Pool) -> TargetMachine:
    sr = str(pool.records("SR")[pool.ref_by_name("SR", "NFS storage")]["uuid"])
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
        disks=(TargetDisk(source_disk="d", name="disk", description="", sr=sr, size_bytes=16 * MIB, device="0"),),
    )


@pytest.fixture
def opened(simulated_pool: Callable[..., Pool]) -> Iterator[Callable[..., tuple[Pool, XapiTarget]]]:
    targets = []

    def make(hosts: int = 3) -> tuple[Pool, XapiTarget]:
        pool = simulated_pool(layout=Layout(hosts=hosts))
        host, _, port = pool.address.partition(":")
        target = open_xapi(
            host, int(port), pool.user, Secret(pool.password), Trust(fingerprint=pool.fingerprint),
            least_segment_bytes=2 * BLOCK, most_segment_bytes=2 * BLOCK, patience_seconds=2.0,
            settings=UploadSettings(stall=5.0, settle=5.0, release=5.0, lost=5.0),
        )  # fmt: skip
        targets.append(target)
        return pool, target.__enter__()

    yield make
    for target in targets:
        target.close()


def send(target: XapiTarget, claim: Claim, before: Callable[[int], Any] = lambda number: None) -> None:
    """Copies as the engine does: a lost segment is begun again from the mark."""
    for _ in range(5):
        disk = target.find(claim.tag).disks[0]
        left = [number for number in BLOCKS if number * BLOCK >= disk.mark_bytes]
        writer = target.writer(claim, disk, left, "p")
        try:
            for number in left:
                before(number)
                writer.write(number, bytearray(block(number)))
            writer.commit()
        except SegmentLost:
            continue
        finally:
            writer.abort()
        return
    raise AssertionError("it never got through")


def once(at: int, act: Callable[[], Any]) -> Callable[[int], None]:
    done = []

    def before(number: int) -> None:
        if number == at and not done:
            done.append(number)
            act()

    return before


def content(pool: Pool, claim: Claim) -> bytes:
    return pool.vdi_path(claim.disks[0].id).read_bytes()


def down(pool: Pool, old: int, new: int) -> None:
    pool.promote(new)
    pool.close_host(old)


@pytest.mark.parametrize("at", [0, 1, 2, 5, 7])
def test_another_host_becomes_coordinator_and_the_old_one_stays(opened: Callable[..., Any], at: int) -> None:
    pool, target = opened()
    claim = target.claim(spec(pool), "tag")
    send(target, claim, once(at, lambda: pool.promote(1)))
    target.seal(claim, spec(pool))
    assert content(pool, claim) == b"".join(map(block, BLOCKS))
    assert f"{target.client.host}:{target.client.port}" == pool.addresses[1]


@pytest.mark.parametrize("at", [0, 3, 6])
def test_the_coordinator_dies_and_another_takes_over(opened: Callable[..., Any], at: int) -> None:
    pool, target = opened()
    claim = target.claim(spec(pool), "tag")
    send(target, claim, once(at, lambda: down(pool, 0, 2)))
    target.seal(claim, spec(pool))
    assert content(pool, claim) == b"".join(map(block, BLOCKS))
    assert target.find("tag").sealed


def test_the_session_ends_with_the_failover(opened: Callable[..., Any]) -> None:
    pool, target = opened(2)
    claim = target.claim(spec(pool), "tag")
    pool.promote(1)
    pool.expire_sessions()
    assert target.find("tag").id == claim.id
    send(target, claim)


def test_nobody_takes_over_and_the_stop_is_clean(opened: Callable[..., Any]) -> None:
    pool, target = opened(2)
    claim = target.claim(spec(pool), "tag")
    pool.close_host(0)
    with pytest.raises(ConnectError, match=r"127\.0\.0\.1"):
        target.find("tag")
    pool.open_host(0)
    assert target.find("tag").id == claim.id
    send(target, claim)


def test_a_coordinator_that_was_never_told_of_gets_no_password(opened: Callable[..., Any]) -> None:
    pool, target = opened(2)
    target.claim(spec(pool), "tag")
    stranger = pool.state.store.find("host", address=pool.addresses[1])[0]
    target.client._hosts.clear()
    target.client.know(pool.addresses[1], Trust(fingerprint="sha256:" + "0" * 64))
    pool.promote(1)
    before = len(pool.state.store.refs("session"))
    with pytest.raises(ConnectError, match="member of the pool"):
        target.find("tag")
    assert len(pool.state.store.refs("session")) == before
    assert pool.records("pool")[pool.state.pool_ref]["master"] == stranger
