# SPDX-License-Identifier: Apache-2.0
"""What is found by tag is what the pool holds at that moment, however the list of it is kept."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from v2x.errors import TargetError
from v2x.secrets import Secret
from v2x.simulators.xapi import Layout, Pool
from v2x.simulators.xapi.profiles import PROFILES
from v2x.target import open_xapi
from v2x.target.xapi.failures import ConnectionLost
from v2x.target.xapi.mirror import Mirror
from v2x.target.xapi.pool import XapiTarget
from v2x.tls import Trust


@pytest.fixture
def opened(simulated_pool: Callable[..., Pool]) -> Iterator[Callable[..., tuple[Pool, XapiTarget]]]:
    targets = []

    def make(**options: Any) -> tuple[Pool, XapiTarget]:
        pool = simulated_pool(layout=Layout(hosts=2), save=False, **options)
        host, _, port = pool.address.partition(":")
        trust = Trust(fingerprint=pool.fingerprint)
        target = open_xapi(host, int(port), pool.user, Secret(pool.password), trust, patience_seconds=2.0)
        targets.append(target)
        return pool, target.__enter__()

    yield make
    for target in targets:
        target.close()


def add(pool: Pool, tag: str, name: str = "m") -> str:
    """A tagged VM, as another program would leave it."""
    store = pool.state.store
    template = next(ref for ref in store.refs("VM") if store.get("VM", ref, "reference_label") == "debian-12")
    base = {key: value for key, value in store.values("VM", template).items() if key != "uuid"}
    other = {"v2x-migration": tag} if tag else {}
    return str(store.add("VM", base | {"name_label": name, "is_a_template": False, "other_config": other}))


@pytest.mark.parametrize("profile", PROFILES)
def test_what_others_make_change_and_remove_is_seen_at_once(opened: Callable[..., Any], profile: str) -> None:
    pool, target = opened(profile=profile)
    mirror, store = Mirror(target.client), pool.state.store
    first = add(pool, "a")
    assert mirror.of("VM", "a") == [first]
    second, plain = add(pool, "b"), add(pool, "")
    assert mirror.of("VM", "b") == [second] and mirror.of("VDI", "b") == []
    store.set("VM", plain, other_config={"v2x-migration": "c"})
    assert mirror.of("VM", "c") == [plain]
    store.set("VM", plain, other_config={})
    assert mirror.of("VM", "c") == []
    store.set("VM", first, other_config={"v2x-sealed": "a", "v2x-self": store.get("VM", first, "uuid")})
    assert mirror.of("VM", "a") == [first]
    store.remove("VM", first)
    assert mirror.of("VM", "a") == []


def test_after_another_login_or_coordinator_all_is_listed_anew(opened: Callable[..., Any]) -> None:
    pool, target = opened()
    target._routes.learn()
    mirror = Mirror(target.client)
    assert mirror.of("VM", "a") == []
    mirror._held["VM"]["OpaqueRef:stale"] = {"uuid": "u", "other_config": {"v2x-migration": "a"}}
    assert mirror.of("VM", "a") == ["OpaqueRef:stale"]
    pool.expire_sessions()
    made = add(pool, "a")
    assert mirror.of("VM", "a") == [made]
    mirror._held["VM"]["OpaqueRef:stale"] = {"uuid": "u", "other_config": {"v2x-migration": "a"}}
    pool.promote(1)
    assert mirror.of("VM", "a") == [made]


def test_now_and_then_all_is_listed_anew(opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pool, target = opened()
    mirror, ahead = Mirror(target.client), 0.0
    real = target.client.now
    monkeypatch.setattr(target.client, "now", lambda: real() + ahead)
    made = add(pool, "a")
    assert mirror.of("VM", "a") == [made]
    mirror._held["VM"].clear()
    assert mirror.of("VM", "a") == []
    ahead = 3600.0
    assert mirror.of("VM", "a") == [made]


@pytest.mark.parametrize("trouble", [TargetError("EVENT_FROM_TOKEN_PARSE_FAILURE"), {}, {"token": "t"}, "", [1]])
def test_without_events_each_answer_is_a_list(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, trouble: Any
) -> None:
    pool, target = opened()
    mirror = Mirror(target.client)

    def watch(*words: object) -> Any:
        if isinstance(trouble, Exception):
            raise trouble
        return trouble

    monkeypatch.setattr(target.client, "watch", watch)
    for number in range(3):
        made = add(pool, f"t{number}")
        assert mirror.of("VM", f"t{number}") == [made]


def test_a_list_that_breaks_off_is_not_believed(opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pool, target = opened()
    made = add(pool, "a")
    mirror, real = Mirror(target.client), target.client.read

    def broken(method: str, decode: Any) -> Any:
        raise ConnectionLost(f"{method}: cut")

    monkeypatch.setattr(target.client, "read", broken)
    with pytest.raises(ConnectionLost):
        mirror.of("VM", "a")
    monkeypatch.setattr(target.client, "read", real)
    assert mirror.of("VM", "a") == [made]


def test_many_threads_may_ask(opened: Callable[..., Any]) -> None:
    pool, target = opened()
    mirror, found = Mirror(target.client), []
    made = {f"t{number}": add(pool, f"t{number}") for number in range(6)}

    def ask(tag: str) -> None:
        for _ in range(5):
            add(pool, "noise")
            found.append((tag, mirror.of("VM", tag)))

    threads = [threading.Thread(target=ask, args=(tag,)) for tag in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 30 and all(answer == [made[tag]] for tag, answer in found)
