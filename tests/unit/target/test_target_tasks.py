# SPDX-License-Identifier: Apache-2.0
"""Tasks are watched by events, by looking where there are none, and kept alive for days."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from v2x.errors import TargetError
from v2x.model.machine import Firmware
from v2x.model.target import SecureBoot, TargetDisk, TargetMachine
from v2x.model.units import GIB, MIB
from v2x.secrets import Secret
from v2x.simulators.xapi import Pool
from v2x.simulators.xapi import tasks as of_pool
from v2x.simulators.xapi.profiles import PROFILES
from v2x.target import open_xapi
from v2x.target.xapi import tasks
from v2x.target.xapi.pool import XapiTarget
from v2x.target.xapi.upload import UploadSettings
from v2x.tls import Trust


@pytest.fixture
def opened(simulated_pool: Callable[..., Pool]) -> Iterator[Callable[..., tuple[Pool, XapiTarget]]]:
    targets = []

    def make(target_options: dict[str, Any] | None = None, **options: Any) -> tuple[Pool, XapiTarget]:
        pool = simulated_pool(**options)
        host, _, port = pool.address.partition(":")
        trust = Trust(fingerprint=pool.fingerprint)
        made = open_xapi(host, int(port), pool.user, Secret(pool.password), trust, **(target_options or {}))
        targets.append(made)
        return pool, made.__enter__()

    yield make
    for target in targets:
        target.close()


def later(seconds: float, act: Callable[[], Any]) -> None:
    threading.Timer(seconds, act).start()


def counted(target: XapiTarget) -> Counter[str]:
    calls, real = Counter[str](), target.client._persistently

    def call(method: str, once: Any) -> Any:
        calls[method] += 1
        return real(method, once)

    target.client._persistently = call  # type: ignore[method-assign]
    return calls


@pytest.mark.parametrize("profile", PROFILES)
def test_the_end_of_a_task_is_an_event(opened: Callable[..., Any], profile: str) -> None:
    pool, target = opened(profile=profile)
    task = tasks.create(target.client, "t")
    calls = counted(target)
    later(0.4, lambda: of_pool.succeed(pool.state, task, None))
    assert tasks.wait(target.client, task, patience_seconds=20.0).status == tasks.SUCCESS
    assert calls["event.from"] == 2 and calls["task.get_record"] == 2


@pytest.mark.parametrize("trouble", [TargetError("MESSAGE_METHOD_UNKNOWN"), {}, "", None])
def test_without_events_it_is_looked_at_again(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, trouble: Any
) -> None:
    pool, target = opened()

    def watch(*words: object) -> Any:
        if isinstance(trouble, Exception):
            raise trouble
        return trouble

    monkeypatch.setattr(target.client, "watch", watch)
    task = tasks.create(target.client, "t")
    calls = counted(target)
    later(0.3, lambda: of_pool.succeed(pool.state, task, None))
    assert tasks.wait(target.client, task, patience_seconds=20.0).status == tasks.SUCCESS
    assert calls["task.get_record"] > 2


def test_a_task_that_vanishes_is_noticed_at_once(opened: Callable[..., Any]) -> None:
    pool, target = opened()
    task = tasks.create(target.client, "t")
    later(0.3, lambda: pool.state.store.remove("task", task))
    began = time.monotonic()
    assert tasks.wait(target.client, task, patience_seconds=25.0).status == tasks.VANISHED
    assert time.monotonic() - began < 20
    assert tasks.wait(target.client, task, patience_seconds=25.0).status == tasks.VANISHED


def test_patience_counts_from_the_last_progress(opened: Callable[..., Any]) -> None:
    _, target = opened()
    task = tasks.create(target.client, "t")
    later(0.3, lambda: tasks.report_progress(target.client, task, 0.5))
    began = time.monotonic()
    found = tasks.wait(target.client, task, patience_seconds=0.6)
    assert (found.status, found.progress) == (tasks.PENDING, 0.5)
    assert time.monotonic() - began >= 0.8


def test_other_calls_go_on_while_events_are_waited_for(opened: Callable[..., Any]) -> None:
    pool, target = opened()
    task = tasks.create(target.client, "t")
    found: list[tasks.TaskState] = []
    waiting = threading.Thread(
        target=lambda: found.append(tasks.wait(target.client, task, patience_seconds=20.0)), daemon=True
    )
    waiting.start()
    time.sleep(0.2)
    began = time.monotonic()
    assert target.facts().hosts
    assert time.monotonic() - began < 5 and waiting.is_alive()
    of_pool.succeed(pool.state, task, None)
    waiting.join(10)
    assert [one.status for one in found] == [tasks.SUCCESS]


def test_the_session_may_end_while_events_are_waited_for(opened: Callable[..., Any]) -> None:
    pool, target = opened()
    task = tasks.create(target.client, "t")
    later(0.2, pool.expire_sessions)
    later(0.6, lambda: of_pool.succeed(pool.state, task, None))
    assert tasks.wait(target.client, task, patience_seconds=20.0).status == tasks.SUCCESS


def test_a_pool_that_falls_silent_is_not_waited_for_longer_than_an_event_may_take(opened: Callable[..., Any]) -> None:
    _, target = opened()
    limits: list[float] = []
    real = target.client._once

    def once(reference: str, method: str, params: tuple[object, ...], timeout: float = 0.0) -> Any:
        limits.append(timeout)
        return real(reference, method, params, timeout)

    target.client._once = once  # type: ignore[method-assign]
    target.client.watch(["task"], "", 0.1)
    target.client.call("pool.get_all")
    assert 0.1 < limits[0] < 60 and limits[1] == 0.0


def test_pulses_are_no_progress(opened: Callable[..., Any]) -> None:
    _, target = opened()
    task = tasks.create(target.client, "t")
    pulse = tasks.Pulse(target.client, task, lambda: 1.0, after_seconds=0.0, every_seconds=0.02)
    try:
        found = tasks.wait(target.client, task, patience_seconds=0.5)
        first = tasks.state(target.client, task).progress
        time.sleep(0.1)
        assert found.status == tasks.PENDING and 0.9 < found.progress <= 1.0
        assert tasks.state(target.client, task).progress != first
    finally:
        pulse.end()
        pulse.end()


@pytest.mark.parametrize("upload_format", ["chunked", "qcow2", "vhd", "raw"])
@pytest.mark.parametrize("kept", [True, False])
def test_an_upload_from_a_silent_source_outlives_the_pools_day(
    opened: Callable[..., Any], upload_format: str, kept: bool
) -> None:
    """Days are seconds here: without pulses the pool takes the task away."""
    settings = UploadSettings(old=0.2 if kept else 3600.0, pulse=0.05)
    days = {"tasks_pending_for": 0.4, "session_idle": 0.4, "collect_every": 0.12}
    pool, target = opened({"upload_format": upload_format, "settings": settings}, **days)
    sr = str(pool.records("SR")[pool.ref_by_name("SR", "NFS storage")]["uuid"])
    disk = TargetDisk(source_disk="d", name="d", description="", sr=sr, size_bytes=4 * MIB, device="0")
    claim = target.claim(
        TargetMachine(
            source_id="m", name="m", description="", firmware=Firmware.BIOS, secure_boot=SecureBoot.FALSE, vtpm=False,
            vcpus=1, memory_bytes=GIB, platform={}, boot_order="c", template="other-install-media", disks=(disk,),
        ),
        "tag",
    )  # fmt: skip
    writer = target.writer(claim, claim.disks[0], [0, 1], "p")
    data = bytearray(b"\x5a" * 2 * MIB)
    writer.write(0, data)
    time.sleep(1.5)
    if kept:
        writer.write(1, data)
        assert writer.commit() == 4 * MIB and writer.segments == 1
        assert pool.vdi_path(claim.disks[0].id).read_bytes() == bytes(data) * 2
    else:
        with pytest.raises(TargetError, match="vanished"):
            writer.write(1, data)
            writer.commit()
    writer.abort()
