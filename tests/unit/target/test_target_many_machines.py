# SPDX-License-Identifier: Apache-2.0
"""A pool with many machines costs bytes, never more calls."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from v2x.model.machine import Firmware
from v2x.model.target import SecureBoot, TargetDisk, TargetMachine, TargetNic, UsedMac
from v2x.model.units import GIB, MIB
from v2x.secrets import Secret
from v2x.simulators.xapi import Layout, Pool
from v2x.simulators.xapi.populating import populate
from v2x.simulators.xapi.profiles import PROFILES
from v2x.target import open_xapi
from v2x.target.interface import Surveys, surroundings_of
from v2x.target.xapi import listing
from v2x.target.xapi.connection import NoJson
from v2x.target.xapi.pool import XapiTarget
from v2x.tls import Trust


@pytest.fixture
def opened(simulated_pool: Callable[..., Pool]) -> Iterator[Callable[..., tuple[Pool, XapiTarget]]]:
    targets = []

    def make(**options: Any) -> tuple[Pool, XapiTarget]:
        pool = simulated_pool(layout=Layout(hosts=2), save=False, **options)
        host, _, port = pool.address.partition(":")
        target = open_xapi(host, int(port), pool.user, Secret(pool.password), Trust(fingerprint=pool.fingerprint))
        targets.append(target)
        return pool, target.__enter__()

    yield make
    for target in targets:
        target.close()


def counted(target: XapiTarget, act: Callable[[XapiTarget], Any]) -> tuple[Counter[str], Any]:
    """What went over the wire meanwhile, by method."""
    real, calls = target.client._persistently, Counter[str]()

    def call(method: str, once: Any) -> Any:
        calls[method] += 1
        return real(method, once)

    target.client._persistently = call  # type: ignore[method-assign]
    try:
        return calls, act(target)
    finally:
        target.client._persistently = real  # type: ignore[method-assign]


def planned(pool: Pool, name: str = "new", mac: str = "00:50:56:00:00:01") -> TargetMachine:
    sr = str(pool.records("SR")[pool.ref_by_name("SR", "NFS storage")]["uuid"])
    network = str(next(iter(pool.records("network").values()))["uuid"])
    return TargetMachine(
        source_id="m", name=name, description="", firmware=Firmware.BIOS, secure_boot=SecureBoot.FALSE, vtpm=False,
        vcpus=1, memory_bytes=GIB, platform={}, boot_order="c", template="other-install-media",
        disks=(TargetDisk(source_disk="d", name="d", description="", sr=sr, size_bytes=2 * MIB, device="0"),),
        nics=(TargetNic(source_position=0, device="0", network=network, network_name="n", mac=mac),),
    )  # fmt: skip


ACTS: dict[str, tuple[Callable[[XapiTarget, Pool], Any], int]] = {
    "facts": (lambda target, pool: target.facts(), 11),
    "leftovers": (lambda target, pool: target.leftovers(), 2),
    "survey": (lambda target, pool: target.survey(planned(pool)), 6),
}


@pytest.mark.parametrize("act", ACTS)
def test_the_number_of_calls_does_not_grow(opened: Callable[..., Any], act: str) -> None:
    pool, target = opened()
    do, number = ACTS[act]
    populate(pool.state, 3)
    few, _ = counted(target, lambda target: do(target, pool))
    populate(pool.state, 400, name="more-{:03d}")
    many, found = counted(target, lambda target: do(target, pool))
    assert few == many
    assert many.total() == number and set(many.values()) == {1}
    if act == "facts":
        assert len(found.machine_names) == 403 and len({used.mac for used in found.macs}) == 403


def test_finishing_a_machine_costs_the_same_on_a_large_pool(opened: Callable[..., Any]) -> None:
    totals = []
    for count in (2, 200):
        pool, target = opened()
        populate(pool.state, count)

        def whole(target: XapiTarget, pool: Pool = pool) -> None:
            claim = target.claim(planned(pool), "tag")
            target.writer(claim, claim.disks[0], [], "p").commit()
            target.seal(claim, planned(pool))

        calls, _ = counted(target, whole)
        assert calls["VM.get_all_records"] == calls["VDI.get_all_records"] == 1
        totals.append(calls)
    assert totals[0] == totals[1]


def test_finding_reads_the_lists_once_in_a_run(opened: Callable[..., Any]) -> None:
    """The first time costs two lists, whatever their length; each other time what changed meanwhile."""
    seen = []
    for count in (2, 300):
        pool, target = opened()
        populate(pool.state, count)
        first, _ = counted(target, lambda target: target.find("none"))
        populate(pool.state, 3, name="new-{:03d}")
        again, _ = counted(target, lambda target: target.find("none"))
        seen.append((first, again))
    assert seen[0] == seen[1]
    first, again = seen[0]
    assert first["VM.get_all_records"] == first["VDI.get_all_records"] == 1
    assert again == {"event.from": 2}


@pytest.mark.parametrize("profile", PROFILES)
def test_lists_say_the_same_in_json_and_in_xml(
    opened: Callable[..., Any], profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, target = opened(profile=profile)
    populate(pool.state, 5)
    claim = target.claim(planned(pool), "tag")
    in_json = target.facts(), target.find("tag"), target.leftovers()

    def refuse(*words: object) -> bytes:
        raise NoJson("no")

    monkeypatch.setattr(target.client, "_read", refuse)
    in_xml = target.facts(), target.find("tag"), target.leftovers()
    assert in_xml[1:] == in_json[1:] and in_json[1].id == claim.id
    moment = in_json[0].taken_at
    assert [getattr(in_xml[0], name) for name in in_xml[0].__slots__ if name != "taken_at"] == [
        getattr(in_json[0], name) for name in in_json[0].__slots__ if name != "taken_at"
    ]
    assert moment.tzinfo is not None


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"result": [1]}', b'{"result": {"a": 1}}', b"\xff"])
def test_what_is_no_list_in_json_is_asked_for_in_xml(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    pool, target = opened()
    populate(pool.state, 2)
    monkeypatch.setattr(target.client, "_read", lambda *words: body)
    found = listing.records(target.client, "VM", "name_label")
    assert {"vm-00000", "vm-00001"} <= {record["name_label"] for record in found.values()}


def test_a_list_survives_the_end_of_the_session(opened: Callable[..., Any]) -> None:
    pool, target = opened()
    populate(pool.state, 2)
    pool.expire_sessions()
    assert len(target.facts().machine_names) == 2


def test_a_list_follows_the_coordinator(opened: Callable[..., Any]) -> None:
    pool, target = opened()
    target._routes.learn()
    populate(pool.state, 2)
    pool.promote(1)
    found = listing.records(target.client, "VM", "name_label")
    assert {"vm-00000", "vm-00001"} <= {record["name_label"] for record in found.values()}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_survey_says_what_all_facts_say(opened: Callable[..., Any], profile: str) -> None:
    """By exact questions instead of all facts; an address counts whatever its case."""
    pool, target = opened(profile=profile)
    populate(pool.state, 3)
    vif = next(iter(pool.records("VIF")))
    pool.state.store.set("VIF", vif, MAC="00:50:56:AB:CD:01")
    owner = pool.records("VM")[pool.records("VIF")[vif]["VM"]]["name_label"]
    assert isinstance(target, Surveys)
    for spec in (planned(pool), planned(pool, name="vm-00001"), planned(pool, mac="00:50:56:ab:cd:01")):
        assert target.survey(spec) == surroundings_of(target.facts(), spec)
    assert target.survey(planned(pool, mac="00:50:56:ab:cd:01")).macs == (
        UsedMac(mac="00:50:56:ab:cd:01", machine=owner),
    )
    claim = target.claim(planned(pool, name="mine"), "tag")
    around = target.survey(planned(pool, name="mine"))
    assert claim.id and not around.name_used and not around.macs
