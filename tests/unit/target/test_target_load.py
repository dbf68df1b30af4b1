# SPDX-License-Identifier: Apache-2.0
"""What a pool tells of its strain, and what it does not."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from v2x.secrets import Secret
from v2x.simulators.xapi import Layout, Pool, strain_orders
from v2x.simulators.xapi.attach import attach_to_dom0
from v2x.simulators.xapi.calls.vdi import make_vdi
from v2x.target import open_xapi
from v2x.target.interface import Load, TellsLoad
from v2x.target.xapi.load import count_chains
from v2x.target.xapi.pool import XapiTarget
from v2x.tls import Trust

NFS = "NFS storage"


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool(simulated_pool: Callable[..., Pool]) -> Pool:
    return simulated_pool(layout=Layout(hosts=2))


@pytest.fixture
def target(pool: Pool, clock: Clock) -> Iterator[XapiTarget]:
    host, _, port = pool.address.partition(":")
    trust = Trust(fingerprint=pool.fingerprint)
    with open_xapi(
        host, int(port), pool.user, Secret(pool.password), trust, patience_seconds=0.5, now=clock, sleep=lambda _s: None
    ) as opened:
        yield opened


def host_uuids(pool: Pool) -> list[str]:
    return [pool.state.store.get("host", one, "uuid") for one in pool.state.store.refs("host")]


def sr_uuid(pool: Pool) -> str:
    return str(pool.state.store.get("SR", pool.ref_by_name("SR", NFS), "uuid"))


def strained(pool: Pool, **order: object) -> None:
    strain_orders.command(pool.state, order)


def attached(pool: Pool, host: int = 0) -> None:
    """A disk of the NFS storage in the control domain of a host."""
    values = {"SR": pool.ref_by_name("SR", NFS), "virtual_size": 4 << 20, "type": "user", "other_config": {}}
    attach_to_dom0(pool.state, make_vdi(pool.state, values), "RW", pool.state.store.refs("host")[host])


def of_storage(load: Load, pool: Pool) -> tuple[float | None, int | None]:
    found = load.storage[sr_uuid(pool)]
    return found.latency_seconds, found.chains


def test_a_pool_tells_its_load(pool: Pool, target: XapiTarget) -> None:
    assert isinstance(target, TellsLoad)
    one, two = host_uuids(pool)
    strained(pool, host=1, cpu=0.91)
    strained(pool, sr=sr_uuid(pool), latency=0.08, chains=31)
    load = target.load([one, two], [sr_uuid(pool)])
    assert load.cpu[two] == pytest.approx(0.91)
    assert 0 < (load.cpu[one] or 0) < 0.1
    assert of_storage(load, pool) == (pytest.approx(0.08), 31)
    assert load.missing == {}


def test_no_host_named_means_all_that_are_enabled(pool: Pool, target: XapiTarget) -> None:
    one, two = host_uuids(pool)
    pool.state.store.set("host", pool.state.store.refs("host")[1], enabled=False)
    assert list(target.load([], []).cpu) == [one]
    load = target.load([two], [])
    assert load.cpu == {two: None}
    assert load.missing == {f"cpu of {two}": "the host is not enabled"}


@pytest.mark.parametrize("profile", ["xcp-ng-8.2", "xcp-ng-8.3-2024", "xcp-ng-8.3"])
def test_every_product_tells_its_cpu(simulated_pool: Callable[..., Pool], profile: str) -> None:
    pool = simulated_pool(profile=profile)
    strained(pool, host=0, cpu=0.7)
    host, _, port = pool.address.partition(":")
    trust = Trust(fingerprint=pool.fingerprint)
    with open_xapi(host, int(port), pool.user, Secret(pool.password), trust) as target:
        assert list(target.load([], []).cpu.values()) == [pytest.approx(0.7)]


def test_the_worst_host_speaks_for_the_storage(pool: Pool, target: XapiTarget) -> None:
    assert of_storage(target.load([], [sr_uuid(pool)]), pool) == (None, 0)
    attached(pool, host=1)
    latency, _ = of_storage(target.load([], [sr_uuid(pool)]), pool)
    assert latency == pytest.approx(0.0009)


def test_a_source_that_is_off_is_not_measured_and_stays_off(pool: Pool, target: XapiTarget) -> None:
    attached(pool)
    store, (host, _) = pool.state.store, pool.state.store.refs("host")
    domain, name = store.get("host", host, "control_domain"), f"latency_{sr_uuid(pool)[:8]}"
    off = {(domain, "cpu_usage"), (domain, "cpu3"), (host, name)}
    pool.state.strain.off |= off
    one = host_uuids(pool)[0]
    load = target.load([one], [sr_uuid(pool)])
    assert load.cpu == {one: None}
    assert of_storage(load, pool)[0] is None
    assert "are off" in load.missing[f"cpu of {one}"]
    assert load.missing[f"latency of {sr_uuid(pool)}"] == f"the data source {name} is off"
    assert pool.state.strain.off == off
    assert "data_source" not in str(pool.ledger.to_json()["calls"])


@pytest.mark.parametrize("value", [math.nan, -1.0])
def test_no_number_is_not_measured(
    pool: Pool, target: XapiTarget, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    asked = target.client.call

    def call(method: str, *parameters: object) -> object:
        return value if method.endswith("query_data_source") else asked(method, *parameters)

    monkeypatch.setattr(target.client, "call", call)
    one = host_uuids(pool)[0]
    load = target.load([one], [])
    assert load.cpu == {one: None}
    assert "no value now" in load.missing[f"cpu of {one}"]


def test_a_unit_that_is_not_known_is_not_guessed(
    pool: Pool, target: XapiTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    attached(pool)
    asked = target.client.call

    def call(method: str, *parameters: object) -> object:
        told = asked(method, *parameters)
        return [{**one, "units": "jiffies"} for one in told] if method == "host.get_data_sources" else told

    monkeypatch.setattr(target.client, "call", call)
    load = target.load([], [sr_uuid(pool)])
    assert of_storage(load, pool)[0] is None
    assert "jiffies" in load.missing[f"latency of {sr_uuid(pool)}"]


def test_chains_are_counted_once_a_minute_and_lists_asked_for_seldom(
    pool: Pool, target: XapiTarget, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    asked = target.client.call
    monkeypatch.setattr(target.client, "call", lambda method, *rest: calls.append(method) or asked(method, *rest))
    one = host_uuids(pool)[0]
    strained(pool, sr=sr_uuid(pool), latency=0.01, chains=3)
    assert of_storage(target.load([one], [sr_uuid(pool)]), pool)[1] == 3
    strained(pool, sr=sr_uuid(pool), chains=9)
    calls.clear()
    assert of_storage(target.load([one], [sr_uuid(pool)]), pool)[1] == 3
    assert sorted(set(calls)) == ["VM.query_data_source", "host.query_data_source"]
    clock.seconds += 61
    assert of_storage(target.load([one], [sr_uuid(pool)]), pool)[1] == 9


def test_counting_chains_takes_a_small_share_of_the_time(
    pool: Pool, target: XapiTarget, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[float] = []
    asked = target.client.read

    def read(method: str, decode: Callable[[bytes], object]) -> object:
        if method == "VDI.get_all_records":
            counted.append(clock.seconds)
            clock.seconds += 10
        return asked(method, decode)

    monkeypatch.setattr(target.client, "read", read)
    for _ in range(60):
        target.load([], [sr_uuid(pool)])
        clock.seconds += 15
    assert [round(after - before) for before, after in pairwise(counted)] == [205, 205, 205, 205]


def test_only_parents_with_one_child_wait() -> None:
    def vdi(uuid: str, parent: str = "", sr: str = "a") -> dict[str, object]:
        return {"uuid": uuid, "SR": sr, "sm_config": {"vhd-parent": parent} if parent else {}}

    shared = [vdi("base"), vdi("leaf", "base"), vdi("snapshot", "base")]
    chain = [vdi("b1", sr="b"), vdi("b2", "b1", sr="b"), vdi("b3", "b2", sr="b")]
    odd = [{"uuid": "x", "SR": "c", "sm_config": "?"}, vdi("orphan", "gone", sr="c")]
    assert count_chains({str(n): one for n, one in enumerate([*shared, *chain, *odd])}) == {"b": 2}
