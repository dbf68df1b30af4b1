# SPDX-License-Identifier: Apache-2.0
"""A pool with many machines costs bytes, never more calls."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from v2x.secrets import Secret
from v2x.simulators.xapi import Layout, Pool
from v2x.target import open_xapi
from v2x.target.xapi.pool import XapiTarget
from v2x.tls import Trust


def populate(pool: Pool, count: int) -> None:
    """Machines with a card each, put straight into the database."""
    store = pool.state.store
    template = next(ref for ref in store.refs("VM") if store.get("VM", ref, "reference_label") == "debian-12")
    base = {key: value for key, value in store.values("VM", template).items() if key != "uuid"}
    base |= {"is_a_template": False, "is_default_template": False, "reference_label": ""}
    network = pool.ref_by_name("network", "VLAN 10")
    for number in range(count):
        vm = store.add("VM", base | {"name_label": f"vm{number}"})
        mac = f"02:00:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
        store.add("VIF", {"VM": vm, "network": network, "device": "0", "MAC": mac, "MTU": 1500})


def counted(target: XapiTarget, act: Callable[[XapiTarget], Any]) -> tuple[Counter[str], Any]:
    real, calls = target.client.call, Counter[str]()

    def call(method: str, *params: object) -> Any:
        calls[method] += 1
        return real(method, *params)

    target.client.call = call  # type: ignore[method-assign]
    try:
        return calls, act(target)
    finally:
        target.client.call = real  # type: ignore[method-assign]


@pytest.mark.parametrize("act", [lambda target: target.facts(), lambda target: target.find("none")])
def test_the_number_of_calls_does_not_grow(
    simulated_pool: Callable[..., Pool], act: Callable[[XapiTarget], Any]
) -> None:
    pool = simulated_pool(layout=Layout(hosts=2), save=False)
    host, _, port = pool.address.partition(":")
    with open_xapi(host, int(port), pool.user, Secret(pool.password), Trust(fingerprint=pool.fingerprint)) as target:
        populate(pool, 3)
        few, _ = counted(target, act)
        populate(pool, 400)
        many, found = counted(target, act)
    assert few == many
    assert set(many.values()) == {1} and all(method.endswith("get_all_records") for method in many)
    if found is not None:
        assert len(found.machine_names) == 403 and len({used.mac for used in found.macs}) == 400
