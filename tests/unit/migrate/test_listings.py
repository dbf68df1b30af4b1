# SPDX-License-Identifier: Apache-2.0
"""One listing for all who ask at about the same time."""

import threading
import time
from datetime import UTC, datetime

import pytest

from v2x.errors import ConnectError
from v2x.migrate.listings import KEPT_SECONDS, Listings
from v2x.model.inventory import Inventory, SourceInfo

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Lists:
    """A source of the machines that `make` gives it, which counts who asked."""

    def __init__(self, machines, pause=0.0):
        self.machines, self.pause, self.asked, self.problem = machines, pause, [], None

    def inventory(self, select=None):
        chosen = tuple(one for one in self.machines if select(one.id))
        self.asked.append({one.id for one in chosen})
        time.sleep(self.pause)
        if self.problem:
            raise self.problem
        return Inventory(source=SourceInfo(kind="memory", address="m"), taken_at=NOW, machines=chosen)


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def machines(doubles_machine):
    return [doubles_machine(f"m{number}") for number in range(20)]


@pytest.fixture
def doubles_machine():
    import importlib.util
    from dataclasses import replace
    from pathlib import Path

    spec = importlib.util.spec_from_file_location("listing_doubles", Path(__file__).with_name("conftest.py"))
    doubles = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(doubles)
    made = doubles.machine_with({"a": bytes(doubles.BLOCK_BYTES)})
    return lambda name: replace(made, id=name, name=name)


def test_twenty_who_ask_at_once_have_it_listed_once(machines):
    source = Lists(machines, pause=0.2)
    listings = Listings(lambda _name: [one.id for one in machines])
    got = {}
    threads = [
        threading.Thread(target=lambda key=one.id: got.update({key: listings.machine("src", source, key)}))
        for one in machines
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert source.asked == [{one.id for one in machines}]
    assert got == {one.id: one for one in machines}


def test_only_what_is_wanted_is_listed(machines):
    source = Lists(machines)
    listings = Listings(lambda _name: ["m1", "m2"])
    assert listings.machine("src", source, "m1").id == "m1"
    assert listings.machine("src", source, "m2").id == "m2"
    assert source.asked == [{"m1", "m2"}]
    assert listings.machine("src", source, "m9").id == "m9", "one that nobody foresaw is listed all the same"
    assert len(source.asked) == 2


def test_it_is_kept_for_a_short_time_and_each_source_has_its_own(machines):
    clock, source, other = Clock(), Lists(machines), Lists(machines[:1])
    listings = Listings(lambda _name: ["m0", "m1"], now=clock)
    listings.machine("src", source, "m0")
    clock.seconds = KEPT_SECONDS - 1
    listings.machine("src", source, "m1")
    assert listings.machine("other", other, "m1") is None
    assert (len(source.asked), len(other.asked)) == (1, 1)
    clock.seconds = KEPT_SECONDS
    source.machines = machines[1:]
    assert listings.machine("src", source, "m0") is None, "what went meanwhile is gone"
    assert len(source.asked) == 2


def test_an_error_is_not_kept(machines):
    source = Lists(machines)
    listings = Listings(lambda _name: ["m0", "m1"])
    source.problem = ConnectError("away")
    for key in ("m0", "m1"):
        with pytest.raises(ConnectError):
            listings.machine("src", source, key)
    source.problem = None
    assert listings.machine("src", source, "m0").id == "m0"
    assert len(source.asked) == 3
