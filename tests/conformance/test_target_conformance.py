# SPDX-License-Identifier: Apache-2.0
"""What every target must do, whatever it is: the same questions asked of a pool and of a folder of XVA files."""

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from v2x.errors import Conflict
from v2x.model.machine import Firmware
from v2x.model.target import HaPriority, SecureBoot, StartGroup, TargetDisk, TargetMachine, TargetNic
from v2x.model.units import MIB
from v2x.secrets import Secret
from v2x.simulators.xapi import Pool
from v2x.simulators.xapi.profiles import DEFAULT_PROFILE, PROFILES
from v2x.target import open_xapi, open_xva
from v2x.target.interface import Claim, LeavesOut, Leftovers, ReadBack, Starts, Target
from v2x.tls import Trust

BLOCK = 2 * MIB
POINT = "snapshot-1"
SIZES = {"d0": 7 * MIB, "d1": 4 * MIB + 512, "d2": 2 * MIB}
BLOCKS = {"d0": [0, 2, 3], "d1": [1, 2], "d2": []}


def data_of(disk: str, number: int) -> bytes:
    length = min(BLOCK, SIZES[disk] - number * BLOCK)
    return random.Random(f"{disk}/{number}").randbytes(length)


def whole(disk: str, size: int) -> bytes:
    content = bytearray(size)
    for number in BLOCKS[disk]:
        block = data_of(disk, number)
        content[number * BLOCK : number * BLOCK + len(block)] = block
    return bytes(content)


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


class Place(Protocol):
    """A target and a look behind it that does not go through it."""

    spec: TargetMachine
    stride: int
    """How many steps lie between two kills: all are tried on one profile, and some of them on the others."""

    def open(self) -> Any: ...

    def kill_at(self, target: Any, call: int) -> None:
        """Makes the `call`th step of the target the last one of its process."""

    def bury(self, target: Any) -> None:
        """What the kernel does with a killed process: close its files."""

    def machines(self, tag: str) -> int: ...

    def disks(self, tag: str) -> list[bytes]: ...

    def leftovers(self, tag: str) -> list[str]:
        """Whatever of the migration is not its finished machine."""

    def remove(self, tag: str) -> None: ...


def plan(sr: str, network: str) -> TargetMachine:
    return TargetMachine(
        source_id="vm-1",
        name="web",
        description="from a test",
        firmware=Firmware.UEFI,
        secure_boot=SecureBoot.FALSE,
        vtpm=False,
        vcpus=2,
        memory_bytes=1 << 30,
        platform={"acpi": "1", "apic": "true"},
        boot_order="cd",
        template="generic-linux-uefi",
        disks=tuple(
            TargetDisk(
                source_disk=disk,
                name=f"web {disk}",
                description="",
                sr=sr,
                size_bytes=size,
                device=str(number),
                bootable=number == 0,
            )
            for number, (disk, size) in enumerate(SIZES.items())
        ),
        nics=(TargetNic(source_position=0, device="0", network=network, network_name="LAN", mac="00:50:56:00:00:01"),),
        cd_device="3",
        bios_strings={"bios-vendor": "v2x"},
        tags=("tier-1",),
        start_group=StartGroup(name="shop", key="k1", order=2),
        ha_priority=HaPriority.RESTART,
        auto_start=True,
    )


class PoolPlace:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.stride = 1 if pool.profile.name == DEFAULT_PROFILE else 7
        with self.open() as target:
            facts = target.facts()
        sr = next(sr.uuid for sr in facts.storage if sr.name == "NFS storage")
        self.spec = plan(sr, next(net.uuid for net in facts.networks if net.is_management))

    def open(self) -> Any:
        host, _, port = self.pool.address.partition(":")
        trust = Trust(fingerprint=self.pool.fingerprint)
        return open_xapi(
            host, int(port), self.pool.user, Secret(self.pool.password), trust, least_segment_bytes=2 * BLOCK,
            most_segment_bytes=2 * BLOCK, patience_seconds=5.0,
        )  # fmt: skip

    def kill_at(self, target: Any, call: int) -> None:
        real, count = target.client.call, 0

        def counted(method: str, *params: object) -> object:
            nonlocal count
            count += 1
            answer = real(method, *params)
            if count == call:
                raise Killed
            return answer

        target.client.call = counted

    def bury(self, target: Any) -> None:
        target.client.__dict__.pop("call", None)
        target.close()

    def _tagged(self, kind: str, tag: str) -> list[dict[str, Any]]:
        return [record for record in self.pool.records(kind).values() if tag in record.get("other_config", {}).values()]

    def machines(self, tag: str) -> int:
        return len(self._tagged("VM", tag))

    def disks(self, tag: str) -> list[bytes]:
        records = sorted(self._tagged("VDI", tag), key=lambda record: record["other_config"]["v2x-disk"])
        return [self.pool.vdi_path(record["uuid"]).read_bytes() for record in records]

    def leftovers(self, tag: str) -> list[str]:
        found = []
        for kind in ("VM", "VDI"):
            for record in self._tagged(kind, tag):
                extra = set(record["other_config"]) - {"v2x-sealed", "v2x-self", "v2x-disk", "mac_seed"}
                found += [f"{kind} {key}" for key in extra if key.startswith(("v2x", "Hide"))]
                found += [f"VDI without VBD {record['uuid']}"] if kind == "VDI" and len(record["VBDs"]) != 1 else []
                if kind == "VM":
                    found += list(record["blocked_operations"])
                    found += ["template"] if record["is_a_template"] else []
                    found += ["tags"] if sorted(record["tags"]) != sorted(self.spec.tags) else []
                    found += ["VBDs"] if len(record["VBDs"]) != len(self._tagged("VDI", tag)) + 1 else []
                    found += ["VIFs"] if len(record["VIFs"]) != 1 else []
        return found

    def remove(self, tag: str) -> None:
        with self.open() as target:
            for kind in ("VDI", "VM"):
                for record in self._tagged(kind, tag):
                    target.client.call(f"{kind}.destroy", target.client.call(f"{kind}.get_by_uuid", record["uuid"]))


class XvaPlace:
    def __init__(self, folder: Path) -> None:
        self.folder, self.stride = folder, 1
        self.spec = plan("xva", "LAN")

    def open(self) -> Any:
        return open_xva(self.folder)

    def kill_at(self, target: Any, call: int) -> None:
        count = 0

        def step(real: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*args: Any, **kwargs: Any) -> Any:
                nonlocal count
                count += 1
                answer = real(*args, **kwargs)
                if count == call:
                    raise Killed
                return answer

            return counted

        begin = target._begin

        def begun(*args: Any) -> Any:
            made = step(begin)(*args)
            made.put, made.flush, made.finish = step(made.put), step(made.flush), step(made.finish)
            return made

        target._begin = begun

    def bury(self, target: Any) -> None:
        target.close()

    def _finished(self, tag: str) -> list[Claim]:
        with self.open() as target:
            found = target.find(tag)
        return [found] if found and found.sealed else []

    def machines(self, tag: str) -> int:
        return len(self._finished(tag))

    def disks(self, tag: str) -> list[bytes]:
        found = []
        with self.open() as target:
            claim = target.find(tag)
            for disk in claim.disks:
                reader, content = target.reader(claim, disk), bytearray(disk.size_bytes)
                reader.read_into(0, content)
                reader.close()
                found.append(bytes(content))
        return found

    def leftovers(self, tag: str) -> list[str]:
        return [path.name for path in self.folder.iterdir() if path.suffix != ".xva"]

    def remove(self, tag: str) -> None:
        for path in self.folder.iterdir():
            path.unlink()


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Pool]]:
    """A pool of each profile, started when it is first asked for."""
    with ExitStack() as stack:
        running: dict[str, Pool] = {}

        def of(profile: str) -> Pool:
            if profile not in running:
                pool = Pool(tmp_path_factory.mktemp("pool"), profile=profile, login_delay=0.0, release_delay=0.0)
                running[profile] = stack.enter_context(pool)
            return running[profile]

        yield of


@pytest.fixture(params=[*PROFILES, "xva"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "xva":
        return XvaPlace(tmp_path / "out")
    return PoolPlace(request.getfixturevalue("pools")(request.param))


@pytest.fixture
def tag(request: pytest.FixtureRequest) -> str:
    return hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]


def copy(target: Target, claim: Claim) -> None:
    for disk in claim.disks:
        if disk.point not in ("", POINT):
            disk = target.remake(claim, disk)  # noqa: PLW2901 - the new one takes its place
        blocks = [number for number in BLOCKS[disk.source_disk] if number * BLOCK >= disk.mark_bytes]
        if disk.mark_bytes == disk.size_bytes:
            continue
        writer = target.writer(claim, disk, blocks, POINT)
        for number in blocks:
            writer.write(number, memoryview(bytearray(data_of(disk.source_disk, number))))
        assert writer.commit() == disk.size_bytes


def migrate(target: Target, spec: TargetMachine, tag: str) -> Claim:
    claim = target.find(tag)
    if claim is None or not claim.sealed:
        claim = target.claim(spec, tag)
        copy(target, claim)
    target.seal(claim, spec)
    return claim


def check_finished(place: Place, tag: str, names: tuple[str, ...] = tuple(SIZES)) -> None:
    assert place.machines(tag) == 1
    found = place.disks(tag)
    assert [hashlib.sha256(disk).hexdigest() for disk in found] == [
        hashlib.sha256(whole(name, len(disk))).hexdigest() for name, disk in zip(names, found, strict=True)
    ]
    assert all(len(disk) >= SIZES[name] for name, disk in zip(names, found, strict=True))
    assert place.leftovers(tag) == []


def test_it_is_a_target(place: Place) -> None:
    with place.open() as target:
        assert isinstance(target, Target)
        assert isinstance(target, ReadBack)
        assert target.facts().storage
        assert isinstance(target, Starts) == (type(place) is PoolPlace)


def test_nothing_is_found_before_it_is_claimed(place: Place, tag: str) -> None:
    with place.open() as target:
        assert target.find(tag) is None


def test_claim_rounds_sizes_up_and_begins_fresh(place: Place, tag: str) -> None:
    with place.open() as target:
        claim = target.claim(place.spec, tag)
        assert claim.fresh and not claim.sealed and claim.tag == tag and claim.id
        assert [disk.source_disk for disk in claim.disks] == list(SIZES)
        for disk in claim.disks:
            assert 0 <= disk.size_bytes - SIZES[disk.source_disk] < BLOCK
            assert (disk.mark_bytes, disk.point) == (0, "")
        target.discard(claim)


def test_claiming_twice_gives_the_same_objects(place: Place, tag: str) -> None:
    with place.open() as target:
        first = target.claim(place.spec, tag)
        second = target.claim(place.spec, tag)
        assert (second.id, second.disks) == (first.id, first.disks)
        assert first.fresh and not second.fresh
        target.discard(first)


def test_whole_migration_keeps_every_byte(place: Place, tag: str) -> None:
    with place.open() as target:
        migrate(target, place.spec, tag)
    check_finished(place, tag)


def test_sealed_claim_is_found_and_sealing_again_changes_nothing(place: Place, tag: str) -> None:
    with place.open() as target:
        claim = migrate(target, place.spec, tag)
        target.seal(claim, place.spec)
        found = target.find(tag)
        assert found is not None and found.sealed and found.id == claim.id and found.name == "web"
        assert [disk.mark_bytes for disk in found.disks] == [disk.size_bytes for disk in found.disks]
        assert target.claim(place.spec, tag).sealed
    check_finished(place, tag)


def test_marks_and_points_are_kept_with_the_disk(place: Place, tag: str) -> None:
    with place.open() as target:
        claim = target.claim(place.spec, tag)
        copy(target, claim)
        found = target.find(tag)
        assert [(disk.mark_bytes, disk.point) for disk in found.disks] == [
            (disk.size_bytes, POINT) for disk in found.disks
        ]
        target.discard(claim)


def test_what_is_read_back_is_what_was_written(place: Place, tag: str) -> None:
    with place.open() as target:
        claim = target.claim(place.spec, tag)
        copy(target, claim)
        for disk in claim.disks:
            reader = target.reader(claim, disk)
            assert reader.size == disk.size_bytes
            want = whole(disk.source_disk, disk.size_bytes)
            for start in (0, disk.size_bytes - 512, 512):
                part = bytearray(min(MIB, disk.size_bytes - start))
                reader.read_into(start, part)
                assert part == want[start : start + len(part)]
            assert sum(extent.length for extent in reader.extents(0, reader.size)) == reader.size
            with pytest.raises(ValueError, match="outside"):
                reader.read_into(disk.size_bytes - 1, bytearray(2))
            reader.close()
            reader.close()
        target.discard(claim)


def test_blocks_must_come_as_announced(place: Place, tag: str) -> None:
    with place.open() as target:
        claim = target.claim(place.spec, tag)
        writer = target.writer(claim, claim.disks[0], [0, 2], POINT)
        with pytest.raises(ValueError, match="announced"):
            writer.write(1, bytearray(BLOCK))
        writer.write(0, bytearray(BLOCK))
        with pytest.raises(ValueError, match="announced"):
            writer.commit()
        writer.abort()
        writer.abort()
        with pytest.raises(ValueError, match="point"):
            target.writer(claim, claim.disks[0], [0], "")
        target.discard(claim)


@pytest.mark.parametrize("empty", [{0, 3}, {2}, {0, 2, 3}])
def test_blocks_of_zeros_can_be_left_out_and_take_no_room(place: Place, tag: str, empty: set[int]) -> None:
    """Also the first and the last one, and in a segment of nothing else."""
    with place.open() as target:
        claim = target.claim(place.spec, tag)
        disk = claim.disks[0]
        writer = target.writer(claim, disk, BLOCKS["d0"], POINT)
        assert isinstance(writer, LeavesOut)
        for number in BLOCKS["d0"]:
            length = len(data_of("d0", number))
            if number in empty:
                writer.leave_out(number, memoryview(bytearray(length)))
            else:
                writer.write(number, memoryview(bytearray(data_of("d0", number))))
        with pytest.raises(ValueError, match="announced"):
            writer.leave_out(3, memoryview(bytearray(BLOCK)))
        assert writer.commit() == disk.size_bytes
        assert writer.sent_bytes == sum(len(data_of("d0", number)) for number in set(BLOCKS["d0"]) - empty)
        reader, content = target.reader(claim, disk), bytearray(disk.size_bytes)
        reader.read_into(0, content)
        held = {one.start // BLOCK for one in reader.extents(0, reader.size) if one.data and one.length > MIB}
        reader.close()
        want = bytearray(whole("d0", disk.size_bytes))
        for number in empty:
            want[number * BLOCK : (number + 1) * BLOCK] = bytes(len(want[number * BLOCK : (number + 1) * BLOCK]))
        assert content == want
        assert held <= set(BLOCKS["d0"]) - empty
        target.discard(claim)


def test_remade_disk_is_fresh(place: Place, tag: str) -> None:
    with place.open() as target:
        claim = target.claim(place.spec, tag)
        copy(target, claim)
        for disk in target.find(tag).disks:
            fresh = target.remake(claim, disk)
            assert (fresh.mark_bytes, fresh.point, fresh.size_bytes) == (0, "", disk.size_bytes)
            assert fresh.source_disk == disk.source_disk
        copy(target, target.claim(place.spec, tag))
        target.seal(claim, place.spec)
    check_finished(place, tag)


def test_discard_removes_everything_and_may_be_repeated(place: Place, tag: str) -> None:
    with place.open() as target:
        claim = target.claim(place.spec, tag)
        writer = target.writer(claim, claim.disks[0], [0, 2], POINT)
        writer.write(0, bytearray(BLOCK))
        writer.abort()
        target.discard(claim)
        assert target.find(tag) is None
        target.discard(claim)
    assert place.machines(tag) == 0
    assert place.leftovers(tag) == []


def test_finished_machine_is_never_discarded(place: Place, tag: str) -> None:
    with place.open() as target:
        claim = migrate(target, place.spec, tag)
        with pytest.raises(Conflict, match="finished"):
            target.discard(claim)
    check_finished(place, tag)


def test_changed_plan_keeps_no_old_settings(place: Place, tag: str) -> None:
    with place.open() as target:
        target.claim(place.spec, tag)
        claim = target.claim(replace(place.spec, name="web2", memory_bytes=2 << 30), tag)
        copy(target, claim)
        target.seal(claim, replace(place.spec, name="web2"))
        assert target.find(tag).name == "web2"
    check_finished(place, tag)


def test_leftovers_are_the_unfinished_claims(place: Place, tag: str) -> None:
    with place.open() as target:
        claim = target.claim(place.spec, tag)
        assert isinstance(target, Leftovers)
        assert [found.id for found in target.leftovers() if found.tag == tag] == [claim.id]
        copy(target, claim)
        target.seal(claim, place.spec)
        assert [found for found in target.leftovers() if found.tag == tag] == []


def test_killed_after_any_step_it_is_finished_by_the_next_run(place: Place, tag: str) -> None:
    """Killed before a step is the same as killed after the one in front of it."""
    for call in range(1, 1000, place.stride):
        own = f"{tag[:8]}-{call}"
        spec = replace(place.spec, name=own, disks=(place.spec.disks[0], place.spec.disks[2]), bios_strings={})
        target = place.open().__enter__()
        place.kill_at(target, call)
        try:
            migrate(target, spec, own)
            survived = True
        except Killed:
            survived = False
        place.bury(target)
        with place.open() as following:
            migrate(following, spec, own)
        check_finished(place, own, ("d0", "d2"))
        place.remove(own)
        if survived:
            assert call > 6
            return
    pytest.fail("the migration never ends")
