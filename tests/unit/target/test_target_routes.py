# SPDX-License-Identifier: Apache-2.0
"""Which host takes a disk, over which network."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from v2x.errors import TargetError
from v2x.secrets import Secret
from v2x.simulators.xapi import Layout, Pool
from v2x.simulators.xapi.cabling import add_pif
from v2x.target import open_xapi
from v2x.target.xapi.pool import XapiTarget
from v2x.tls import Trust

NFS, LOCAL = "NFS storage", "Local storage 2"


@pytest.fixture
def pool(simulated_pool: Callable[..., Pool]) -> Pool:
    return simulated_pool(layout=Layout(hosts=3))


@pytest.fixture
def opened(pool: Pool) -> Iterator[Callable[..., XapiTarget]]:
    with ExitStack() as stack:

        def make(**options: Any) -> XapiTarget:
            host, _, port = pool.address.partition(":")
            trust = Trust(fingerprint=pool.fingerprint)
            return stack.enter_context(
                open_xapi(host, int(port), pool.user, Secret(pool.password), trust, patience_seconds=1.0, **options)
            )

        yield make


def hosts(pool: Pool) -> list[str]:
    return [pool.state.store.find("host", address=address)[0] for address in pool.addresses]


def route(target: XapiTarget, pool: Pool, sr: str = NFS) -> str:
    found = target._routes.for_sr(pool.ref_by_name("SR", sr))
    return f"{found.host}:{found.port}"


def leave(pool: Pool, number: int, why: str) -> None:
    store, host = pool.state.store, hosts(pool)[number]
    if why == "disabled":
        store.set("host", host, enabled=False)
    elif why == "dead":
        store.set("host_metrics", store.get("host", host, "metrics"), live=False)
    else:
        store.set("host", host, current_operations={"OpaqueRef:task": why})


@pytest.mark.parametrize("why", ["disabled", "dead", "evacuate", "reboot", "shutdown", "apply_updates"])
def test_a_host_that_leaves_gets_no_new_disk(opened: Callable[..., XapiTarget], pool: Pool, why: str) -> None:
    target = opened()
    assert route(target, pool) == pool.addresses[0]
    leave(pool, 0, why)
    other = route(target, pool)
    assert other in pool.addresses[1:]
    leave(pool, pool.addresses.index(other), why)
    assert route(target, pool) not in (pool.addresses[0], other)
    enabled = {host.address: host.enabled for host in target.facts().hosts}
    assert enabled == {address: address not in (pool.addresses[0], other) for address in pool.addresses}


def test_no_host_left_is_named_with_its_reason(opened: Callable[..., XapiTarget], pool: Pool) -> None:
    target = opened()
    leave(pool, 1, "evacuate")
    with pytest.raises(TargetError, match="xcp-host-2 is being evacuated") as refused:
        route(target, pool, LOCAL)
    assert refused.value.code == "NO-HOST"
    assert "another SR" in refused.value.hint


def storage_network(pool: Pool, *numbers: int) -> str:
    """A network "Backup" on which the hosts with these numbers have an address."""
    store = pool.state.store
    network = store.add("network", {"name_label": "Backup", "bridge": "xenbr1"})
    for number in numbers:
        pif = add_pif(pool.state, hosts(pool)[number], network, mac=f"52:54:00:01:00:{number:02x}")
        store.set("PIF", pif, IP="127.0.0.1", currently_attached=True)
    return str(store.get("network", network, "uuid"))


def hide(pool: Pool, number: int) -> str:
    """Leaves the port as it is; the management address leads nowhere."""
    port = pool.addresses[number].partition(":")[2]
    pool.state.store.set("host", hosts(pool)[number], address=f"192.0.2.{number + 1}:{port}")
    return port


@pytest.mark.parametrize("by", ["name", "uuid", "pool"])
def test_disks_travel_over_the_chosen_network(opened: Callable[..., XapiTarget], pool: Pool, by: str) -> None:
    uuid = storage_network(pool, 0, 1, 2)
    if by == "pool":
        pool.state.store.set("pool", pool.state.pool_ref, other_config={"xo:backupNetwork": uuid})
    target = opened(transfer_network={"name": "Backup", "uuid": uuid, "pool": ""}[by])
    port = hide(pool, 1)
    found = target._routes.for_sr(pool.ref_by_name("SR", LOCAL))
    assert (found.host, str(found.port)) == ("127.0.0.1", port)
    assert found.trust.fingerprint in pool.fingerprints.values()


def test_without_a_network_the_hosts_own_address_counts(opened: Callable[..., XapiTarget], pool: Pool) -> None:
    target, port = opened(), hide(pool, 1)
    assert route(target, pool, LOCAL) == f"192.0.2.2:{port}"


def test_a_host_without_an_address_there_is_an_error_when_asked_for(
    opened: Callable[..., XapiTarget], pool: Pool
) -> None:
    storage_network(pool, 0)
    target = opened(transfer_network="Backup")
    assert route(target, pool) == pool.addresses[0]
    with pytest.raises(TargetError, match="host xcp-host-2 has no IP address on network Backup"):
        route(target, pool, LOCAL)


def test_the_pools_own_wish_gives_way(opened: Callable[..., XapiTarget], pool: Pool) -> None:
    wish = storage_network(pool, 0)
    store = pool.state.store
    store.set("pool", pool.state.pool_ref, other_config={"xo:backupNetwork": wish})
    assert route(opened(), pool, LOCAL) == pool.addresses[1]
    store.set("pool", pool.state.pool_ref, other_config={"xo:backupNetwork": "gone"})
    assert route(opened(), pool, LOCAL) == pool.addresses[1]


def test_a_network_that_is_not_there_is_said_at_once(opened: Callable[..., XapiTarget]) -> None:
    with pytest.raises(TargetError, match="no network called Nowhere") as refused:
        opened(transfer_network="Nowhere")
    assert "VLAN 10" in refused.value.hint
