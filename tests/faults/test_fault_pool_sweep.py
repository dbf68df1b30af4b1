# SPDX-License-Identifier: Apache-2.0
"""Every fault at every kind of place: the migration ends in success, or in a stop that names its cause; then the same
migration is run again, ends in success, the disk is the source's byte for byte, and nothing is left over.
"""

import functools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast
from uuid import UUID

import pytest

from tests.estate import machine as estate_machine
from tests.following import follow
from tests.unit.migrate.conftest import MemorySource
from v2x.errors import NoSpace, V2xError
from v2x.migrate import steps
from v2x.migrate.copy import copy_disk
from v2x.migrate.observe import Silent
from v2x.migrate.work import Work
from v2x.model.machine import Disk, DiskBus, DiskFormat, Firmware, Machine
from v2x.model.target import SecureBoot, TargetDisk, TargetMachine, UploadFormat
from v2x.model.units import GIB, MIB
from v2x.secrets import Secret
from v2x.simulators.xapi import Layout, Pool
from v2x.target import open_xapi
from v2x.target.xapi.failures import ConnectionLost
from v2x.target.xapi.pool import XapiTarget
from v2x.target.xapi.streams import SEGMENTED, opener
from v2x.target.xapi.upload import UploadSettings
from v2x.tls import Trust

BLOCK = 2 * MIB
SIZE = 10 * MIB
DATA = [0, 2, 3]
SEGMENT = 2
FORMATS = ("vhd", "chunked", "qcow2", "tar", "raw")


def content() -> bytes:
    made = bytearray(SIZE)
    for number in DATA:
        made[number * BLOCK : (number + 1) * BLOCK] = random.Random(number).randbytes(BLOCK)
    return bytes(made)


CONTENT = content()


def first_segment(form: str) -> list[int]:
    return DATA[:SEGMENT] if form in SEGMENTED else DATA


@functools.cache
def boundaries(form: str) -> tuple[int, ...]:
    """Where the pieces of an upload's first stream meet: head, table, bitmap, data, checksum, foot, end."""
    stream = opener(UploadFormat(form), new_uuid=lambda: UUID(int=1), clock=lambda: 0.0)(SIZE, first_segment(form))
    at, found = 0, {0}
    pieces = [stream.head(), *(stream.block(n, bytearray(BLOCK)) for n in first_segment(form)), stream.foot()]
    for part in pieces:
        for piece in part:
            at += len(piece)
            found.add(at)
    if form == "vhd":
        found |= {512, 1536}  # the footer's copy, the header and the table are sent as one
    assert at == stream.content_length
    return tuple(sorted(found))


def places(form: str, count: int) -> list[int]:
    """Each boundary and its neighbours, and `count` random places; never the end, which is no cut."""
    edges, end = boundaries(form), boundaries(form)[-1]
    if len(edges) > 20:
        # A tar has a boundary for each header, chunk and checksum: all kinds are kept, not all of them.
        edges = (*edges[:5], *random.Random(2).sample(edges[5:-3], 3), *edges[-3:])
    near = {edge + step for edge in edges for step in (-1, 0, 1)}
    anywhere = random.Random(form).sample(range(end), count)
    return sorted(at for at in near | set(anywhere) if 0 <= at < end)


class Bench:
    """One pool, one source, and the migration as a command runs it."""

    def __init__(self, pool: Pool, form: str = "auto", sr: str = "NFS storage") -> None:
        self.pool, self.form = pool, form
        self.sr = str(pool.records("SR")[pool.ref_by_name("SR", sr)]["uuid"])

    def open(self, **options: Any) -> XapiTarget:
        host, _, port = self.pool.address.partition(":")
        return open_xapi(
            host, int(port), self.pool.user, Secret(self.pool.password), Trust(fingerprint=self.pool.fingerprint),
            least_segment_bytes=SEGMENT * BLOCK, most_segment_bytes=SEGMENT * BLOCK, patience_seconds=1.0,
            upload_format=self.form, settings=UploadSettings(stall=5.0, settle=5.0, release=5.0, lost=5.0),
            sleep=lambda seconds: None, **options,
        )  # fmt: skip

    def work(self, target: XapiTarget, tag: str, hook: Callable[[int], Any] = lambda block: None) -> Work:
        disk = Disk(
            id="d", label="Disk", position=0, bus=DiskBus.SCSI, controller=0, unit=0, capacity_bytes=SIZE,
            format=DiskFormat.RAW,
        )  # fmt: skip
        base = estate_machine(0)
        machine = Machine(
            id=tag, name=tag, cpu=base.cpu, memory=base.memory, firmware=Firmware.BIOS, disks=(disk,),
        )  # fmt: skip
        spec = TargetMachine(
            source_id=tag, name=tag, description="", firmware=Firmware.BIOS, secure_boot=SecureBoot.FALSE, vtpm=False,
            vcpus=1, memory_bytes=GIB, platform={}, boot_order="c", template="other-install-media",
            disks=(TargetDisk(source_disk="d", name=tag, description="", sr=self.sr, size_bytes=SIZE, device="0"),),
        )  # fmt: skip
        source = MemorySource(machine, {"d": CONTENT})
        return Work(
            tag=tag, machine=machine, spec=spec, source=cast(Any, source), target=target, observer=_Hooked(hook)
        )

    def run(self, tag: str, hook: Callable[[int], Any] = lambda block: None, **options: Any) -> V2xError | None:
        """What the command ends with: None is success."""
        try:
            with self.open(**options) as target:
                follow(self.work(target, tag, hook))
        except V2xError as stop:
            return stop
        return None

    def check(self, tag: str) -> None:
        vms = [vm for vm in self.pool.records("VM").values() if tag in vm["other_config"].values()]
        vdis = [vdi for vdi in self.pool.records("VDI").values() if tag in vdi["other_config"].values()]
        assert (len(vms), len(vdis)) == (1, 1)
        assert vms[0]["name_label"] == tag and vms[0]["blocked_operations"] == {}
        for one in (*vms, *vdis):
            assert {key for key in one["other_config"] if key.startswith("v2x-")} <= {
                "v2x-sealed", "v2x-self", "v2x-disk"
            }  # fmt: skip
        assert [self.pool.records("VBD")[vbd]["VDI"] for vbd in vms[0]["VBDs"]] == [self.pool.ref_by_name("VDI", tag)]
        assert self.pool.vdi_path(vdis[0]["uuid"]).read_bytes() == CONTENT

    def check_and_remove(self, tag: str) -> None:
        """Hundreds of machines would make each list of the pool's longer than the last."""
        self.check(tag)
        with self.open() as target:
            for kind in ("VDI", "VM"):
                target.client.call(f"{kind}.destroy", self.pool.ref_by_name(kind, tag))


class _Hooked(Silent):
    """Calls `hook` with the number of blocks that were handed over."""

    def __init__(self, hook: Callable[[int], Any]) -> None:
        self._hook, self._blocks = hook, 0

    def disk(self, disk: str, label: str, activity: str, done_bytes: int, total_bytes: int) -> None:
        if activity == "copy":
            self._hook(0)

    def progress(self, disk: str, count_bytes: int) -> None:
        self._blocks += 1
        self._hook(self._blocks)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost segment is begun again at once, and tried twice instead of five times."""
    monkeypatch.setattr(steps, "copy_disk", functools.partial(copy_disk, sleep=lambda seconds: None, attempts=2))


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    folder = tmp_path_factory.mktemp("pool")
    with Pool(folder, login_delay=0.0, release_delay=0.0, layout=Layout(hosts=2), save=False) as made:
        yield made


def swept(pool: Pool, form: str, kind: str, at: Sequence[int], expected: type[V2xError], says: str, sr: str) -> None:
    bench = Bench(pool, form, sr)
    for number, place in enumerate(at):
        tag = f"{kind}-{form}-{sr[:3]}-{number}-{place}"
        pool.faults.clear()
        # More often than one run tries: it must stop, and not heal by itself.
        pool.faults.arm(kind, at=place, times=2)
        stop = bench.run(tag)
        if stop is None:
            # A tar ends with zeros that nobody reads once the disk is whole.
            assert form == "tar" and kind == "cut_import" and place >= boundaries(form)[-1] - 1024, place
        else:
            assert isinstance(stop, expected), (place, stop)
            assert says in stop.message and stop.hint, (place, stop.message)
        pool.faults.clear()
        assert bench.run(tag) is None, place
        bench.check_and_remove(tag)
        assert pool.records("task") == {}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_cut_at_every_boundary_and_anywhere(pool: Pool, form: str) -> None:
    swept(pool, form, "cut_import", places(form, 8), V2xError, "broke", "NFS storage")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_storage_is_full_at_every_boundary_and_anywhere(pool: Pool, form: str) -> None:
    """Counted in bytes that were written to the disk, so the ends of blocks are what matters, and the middle of one."""
    blocks = [edge * BLOCK + step for edge in range(SEGMENT + 1) for step in (-1, 0, 1)]
    sectors = [0, 1, 511, 512, 513, MIB - 1, MIB, MIB + 1]
    most = len(first_segment(form)) * BLOCK
    anywhere = random.Random(form).sample(range(most), 6)
    at = sorted({place for place in (*blocks, *sectors, *anywhere) if 0 <= place < SEGMENT * BLOCK})
    swept(pool, form, "sr_full", at, NoSpace, "is full", "NFS storage")


@pytest.mark.parametrize("at", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "event",
    ["session", "vanish_task", "redirect", "redirect out", "unauthorized", "hold_busy", "cut", "full"],
)
def test_what_happens_once_is_healed_by_the_run_itself_or_the_next(pool: Pool, event: str, at: int) -> None:
    """`at` blocks were handed over when it happens: before the first, within a segment, between two, before the end."""
    bench, tag = Bench(pool), f"once-{event.replace(' ', '-')}-{at}"
    pool.faults.clear()

    def strike() -> None:
        if event == "session":
            pool.expire_sessions()
        elif event in ("redirect", "redirect out"):
            pool.faults.arm("redirect", address=pool.addresses[1] if event == "redirect" else "192.0.2.1:443")
        elif event in ("cut", "full"):
            pool.faults.arm({"cut": "cut_import", "full": "sr_full"}[event], at=BLOCK + 7)
        elif event == "hold_busy":
            pool.faults.arm("hold_busy", seconds=0.3)
            pool.faults.arm("cut_import", at=BLOCK)
        else:
            pool.faults.arm(event)

    stop = bench.run(tag, lambda block: strike() if block == at else None)
    if event in ("session", "redirect", "unauthorized", "vanish_task", "hold_busy", "cut"):
        assert stop is None
    elif stop is not None:
        assert stop.message and stop.hint
        assert stop.code in {"redirect out": ("TLS", "TRUST"), "full": ("NO-SPACE",)}[event], stop.code
    pool.faults.clear()
    assert bench.run(tag) is None
    bench.check(tag)


@pytest.mark.parametrize("at", [0, 1, 2, 3])
@pytest.mark.parametrize("old", ["stays", "dies"])
def test_the_coordinator_changes_at_any_time(simulated_pool: Callable[..., Pool], old: str, at: int) -> None:
    pool = simulated_pool(layout=Layout(hosts=3))
    bench = Bench(pool)

    def strike() -> None:
        pool.promote(2)
        if old == "dies":
            pool.close_host(0)

    assert bench.run("moved", lambda block: strike() if block == at else None) is None
    bench.check("moved")


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_the_only_host_dies_and_comes_back_at_any_time(simulated_pool: Callable[..., Pool], at: int) -> None:
    pool = simulated_pool()
    bench = Bench(pool)
    stop = bench.run("died", lambda block: pool.close_host(0) if block == at else None)
    assert stop is not None and stop.code in ("CONNECT", "SEGMENT-LOST"), stop
    assert stop.hint
    pool.open_host(0)
    assert bench.run("died") is None
    bench.check("died")


@pytest.mark.slow
@pytest.mark.parametrize("effect", [False, True])
def test_the_connection_breaks_at_any_call(pool: Pool, effect: bool) -> None:
    """Before a call took effect, or after; the run goes on or stops, and the same command ends well."""
    bench = Bench(pool)
    pool.faults.clear()
    stops = 0
    for call in range(1, 1000, 2 if effect else 5):
        tag, count = f"call-{int(effect)}-{call}", 0
        with bench.open() as target:
            real = target.client._once

            def once(
                reference: str, method: str, params: tuple[object, ...], timeout: float = 0.0, real: Any = real
            ) -> Any:
                nonlocal count
                count += 1
                if count == call and not effect:  # noqa: B023 - called within this turn
                    raise ConnectionLost(f"{method}: cut", hint="again")
                answer = real(reference, method, params, timeout)
                if count == call:  # noqa: B023
                    raise ConnectionLost(f"{method}: cut", hint="again")
                return answer

            target.client._once = once  # type: ignore[method-assign]
            try:
                follow(bench.work(target, tag))
            except V2xError as stop:
                stops += 1
                assert stop.message and stop.hint, call
            target.client._once = real  # type: ignore[method-assign]
        assert bench.run(tag) is None, call
        bench.check_and_remove(tag)
        if count < call:
            assert call > 40
            return
    pytest.fail("the migration never ends")
