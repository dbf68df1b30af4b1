# SPDX-License-Identifier: Apache-2.0
"""Networks made on a pool: whole or not at all, and never twice."""

from collections.abc import Callable
from typing import Any

import pytest

from v2x.errors import Conflict, TargetError, V2xError
from v2x.secrets import Secret
from v2x.simulators.xapi import Layout, Pool
from v2x.simulators.xapi.cabling import add_pif, add_vlan
from v2x.target import open_xapi
from v2x.target.xapi.pool import XapiTarget
from v2x.tls import Trust


def opened(pool: Pool, **options: Any) -> XapiTarget:
    host, _, port = pool.address.partition(":")
    trust = Trust(fingerprint=pool.fingerprint)
    return open_xapi(host, int(port), pool.user, Secret(pool.password), trust, patience_seconds=0.3, **options)


@pytest.fixture
def pool(simulated_pool: Callable[..., Pool]) -> Pool:
    return simulated_pool(layout=Layout(hosts=3))


def counts(pool: Pool) -> dict[str, int]:
    return {kind: len(pool.records(kind)) for kind in ("network", "PIF", "VLAN")}


def eth0(pool: Pool) -> list[str]:
    return [ref for ref, pif in pool.records("PIF").items() if pif["VLAN"] == -1]


def raw(pool: Pool) -> dict[str, Any]:
    return next(one for one in pool.records("network").values() if one["bridge"] == "xenbr0")


def other_network(pool: Pool, name: str = "by hand", **more: Any) -> str:
    return pool.state.store.add("network", {"name_label": name, "bridge": f"br-{len(pool.records('network'))}", **more})


def test_a_vlan_is_made_on_every_host_by_device_or_network(pool: Pool) -> None:
    with opened(pool) as target:
        made = {
            target.ensure_network("By device", 42, "eth0"): 42,
            target.ensure_network("By network", 43, raw(pool)["uuid"]): 43,
        }
        known = {network.uuid: network for network in target.facts().networks}
    for uuid, vlan in made.items():
        assert (known[uuid].vlan, len(known[uuid].hosts), known[uuid].carrier) == (vlan, 3, raw(pool)["uuid"])


@pytest.mark.parametrize("host", [0, 1, 2])
def test_a_vlan_in_use_on_one_host_leaves_nothing_behind(pool: Pool, host: int) -> None:
    add_vlan(pool.state, eth0(pool)[host], 42, other_network(pool))
    before = counts(pool)
    with opened(pool) as target, pytest.raises(TargetError, match=r"VLAN|PIF"):
        target.ensure_network("Shop floor", 42, "eth0")
    assert counts(pool) == before


@pytest.mark.parametrize("call", ["pool.create_VLAN_from_PIF", "network.get_uuid"])
def test_a_failure_at_any_call_takes_back_what_was_made(pool: Pool, call: str) -> None:
    """The last call fails when network and VLANs are all there."""
    before = counts(pool)
    pool.faults.arm("busy", target=call, times=-1)
    with opened(pool, sleep=lambda _: None) as target:
        with pytest.raises(V2xError):
            target.ensure_network("Shop floor", 42, "eth0")
        assert counts(pool) == before
        pool.faults.clear()
        assert target.ensure_network("Shop floor", 42, "eth0")
    assert counts(pool)["VLAN"] == before["VLAN"] + 3


def test_what_cannot_even_be_taken_back_is_adopted_by_the_next_run(pool: Pool) -> None:
    before = counts(pool)
    for call in ("network.get_uuid", "VLAN.destroy"):
        pool.faults.arm("busy", target=call, times=-1)
    with opened(pool, sleep=lambda _: None) as target:
        with pytest.raises(V2xError):
            target.ensure_network("Shop floor", 42, "eth0")
        pool.faults.clear()
        target.ensure_network("Shop floor", 42, "eth0")
    assert counts(pool) == {"network": before["network"] + 1, "PIF": before["PIF"] + 3, "VLAN": before["VLAN"] + 3}


def test_a_host_that_was_down_is_served_by_the_next_run(pool: Pool) -> None:
    host = pool.records("PIF")[eth0(pool)[2]]["host"]
    metrics = pool.records("host")[host]["metrics"]
    with opened(pool) as target:
        pool.state.store.set("host_metrics", metrics, live=False)
        before = counts(pool)
        made = target.ensure_network("Shop floor", 42, "eth0")
        assert counts(pool)["VLAN"] == before["VLAN"] + 2
        pool.state.store.set("host_metrics", metrics, live=True)
        assert target.ensure_network("Shop floor", 42, "eth0") == made
        assert counts(pool)["VLAN"] == before["VLAN"] + 3


def test_a_network_left_unfinished_by_its_tag_is_completed(pool: Pool) -> None:
    left = other_network(pool, "Shop floor", other_config={"v2x-network": "Shop floor:42"})
    with opened(pool) as target:
        assert target.ensure_network("Shop floor", 42, "eth0") == pool.records("network")[left]["uuid"]
    assert len(pool.records("network")[left]["PIFs"]) == 3


def test_somebody_elses_network_is_never_changed(pool: Pool) -> None:
    other_network(pool, "Shop floor")
    before = counts(pool)
    with opened(pool) as target, pytest.raises(Conflict, match="is internal, not VLAN 42"):
        target.ensure_network("Shop floor", 42, "eth0")
    assert counts(pool) == before


def test_an_unknown_interface_is_refused_before_anything_is_made(pool: Pool) -> None:
    before = counts(pool)
    with opened(pool) as target, pytest.raises(TargetError, match="no network interface eth7") as caught:
        target.ensure_network("Shop floor", 42, "eth7")
    assert caught.value.hint == "it has: eth0"
    assert counts(pool) == before


def test_facts_know_the_interfaces_of_a_second_network(pool: Pool) -> None:
    second = other_network(pool, "Second")
    for number, ref in enumerate(eth0(pool)):
        host = pool.records("PIF")[ref]["host"]
        added = add_pif(pool.state, host, second, mac=f"52:54:00:01:{number:02x}:01")
        pool.state.store.set("PIF", added, device="eth1")
    with opened(pool) as target:
        networks = {one.name: one for one in target.facts().networks}
    assert [networks[name].device_names for name in ("Second", raw(pool)["name_label"], "VLAN 10", "Internal")] == [
        "eth1", "eth0", "eth0", "",
    ]  # fmt: skip
    assert networks["VLAN 10"].carrier == raw(pool)["uuid"]
