# SPDX-License-Identifier: Apache-2.0
"""Conversions under an engine: told to the state, of one piece over lives and retries, and a few at once."""

import contextlib
import importlib.util
import threading
from pathlib import Path

import pytest

from tests.following import Kept, Wish
from v2x.convert.guest import ConvertedDisk
from v2x.convert.interface import Conversion, Edit, Inspection, Proposal
from v2x.engine import slots
from v2x.engine.attempt import Patience
from v2x.engine.control import Control
from v2x.engine.dbos import DbosEngine
from v2x.engine.live import Actor
from v2x.engine.row import RowRun
from v2x.engine.turns import Turns, conversions_here
from v2x.engine.worker import Worker
from v2x.errors import Retry, Stopped, TargetError, UsageError
from v2x.migrate import guest
from v2x.model.migration import Outcome

_spec = importlib.util.spec_from_file_location("engine_doubles", Path(__file__).with_name("conftest.py"))
kit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kit)

DONE = Conversion(
    inspection=Inspection(os="linux"), proposal=Proposal(edits=(Edit(path="/e", before="a", after="b", why="w"),))
)


@pytest.fixture
def conversions(monkeypatch):
    """Each fills the second block with another byte, and leaves no way to tell which blocks it changed."""
    monkeypatch.setattr("v2x.migrate.steps.require_libguestfs", lambda: None)
    made = []

    @contextlib.contextmanager
    def convert(disks, folder, *, turn, **_):
        with turn():
            block = kit.doubles.BLOCK_BYTES
            contents = [bytearray(disk.data) for disk in disks]
            for content in contents:
                content[block : 2 * block] = bytes([0x40 + len(made)]) * block
            made.append([bytes(content) for content in contents])
        yield DONE, [ConvertedDisk(kit.doubles.MemoryReader(content)) for content in made[-1]]

    monkeypatch.setattr(guest, "converted_guest", convert)
    return made


def ran(estate, *orders):
    store = estate.store()
    control = Control(store, Actor(user="op", worker="", version="0"), lambda: kit.NOW)
    estate.submit(store, orders)
    worker = Worker(
        store, DbosEngine(), lambda _batch: estate.doors, estate.watcher, now=lambda: kit.NOW, pacing=kit.QUICK
    )
    worker.run("b1")
    return control.migrations(control.batch("b1"))


def test_what_was_changed_is_kept_with_the_batch(estate, conversions):
    one, two = ran(estate, estate.order(1, convert=True), estate.order(2))
    assert (one.outcome, two.outcome) == (Outcome.MIGRATED, Outcome.MIGRATED)
    assert [change.what for change in one.changes] == ["/e"] and two.changes == ()
    (disk,) = estate.target.find("t1").disks
    assert bytes(estate.target.vdis[disk.id].data) == conversions[0][0]


def test_a_seal_that_is_tried_again_seals_what_was_converted(estate, conversions, monkeypatch):
    seal, tries = estate.target.seal, []

    def fails(claim, spec):
        tries.append(claim.tag)
        if len(tries) == 1:
            raise TargetError("busy", retry=Retry.LATER)
        seal(claim, spec)

    monkeypatch.setattr(estate.target, "seal", fails)
    (one,) = ran(estate, estate.order(1, convert=True))
    assert one.outcome is Outcome.MIGRATED
    assert "remake" not in estate.target.calls, "the whole disk would be thrown away just before its seal"
    (disk,) = estate.target.find("t1").disks
    assert bytes(estate.target.vdis[disk.id].data) == conversions[-1][0] and len(conversions) == 1


class Killed(BaseException):
    """The program ends here."""


@pytest.mark.parametrize("dies_at", ["integrity", "seal", "copy"])
def test_another_life_goes_on_with_the_conversion_that_was_copied(estate, conversions, dies_at):
    order, answers = estate.order(1, convert=True), {}

    def life(kill):
        from v2x.engine.orders import work_of

        def journal(name, step):
            if name not in answers:
                answer = step()
                if kill and name == dies_at:
                    raise Killed
                answers[name] = answer
            return answers[name]

        made = [work_of(order, estate.source, estate.target, kit.Silent())]
        run = RowRun(
            lambda: work_of(order, estate.source, estate.target, kit.Silent()), lambda *_: None, Kept(made[0]),
            Wish(made[0]), patience=Patience(attempts=1),
        )  # fmt: skip
        return run.follow(journal)

    with pytest.raises(Killed):
        life(kill=True)
    outcome, failure = life(kill=False)
    assert failure is None and outcome in {Outcome.MIGRATED, Outcome.ALREADY}
    assert len(conversions) == (2 if dies_at == "copy" else 1)
    (disk,) = estate.target.find("t1").disks
    assert bytes(estate.target.vdis[disk.id].data) == conversions[-1][0]


def test_so_many_at_once_and_no_more():
    most, turns, at_once, seen = 2, Turns(lambda: 2), [0], []
    lock, release = threading.Lock(), threading.Event()

    def one():
        with turns.taken(lambda: False):
            with lock:
                at_once[0] += 1
                seen.append(at_once[0])
            release.wait(5)
            with lock:
                at_once[0] -= 1

    threads = [threading.Thread(target=one) for _ in range(5)]
    for thread in threads:
        thread.start()
    while len(seen) < most:
        release.wait(0.01)
    with pytest.raises(Stopped), turns.taken(lambda: True):
        raise AssertionError("nobody gave a turn back")
    release.set()
    for thread in threads:
        thread.join()
    assert max(seen) == most and len(seen) == 5
    with turns.taken(lambda: True):
        assert at_once == [0], "a turn that is free is had at once"


def test_without_a_limit_all_come_in():
    turns = Turns(lambda: 0)
    with turns.taken(lambda: True), turns.taken(lambda: True), turns.taken(lambda: True):
        assert 1 <= conversions_here() <= 4


def test_the_limit_has_a_name_like_the_others():
    assert slots.limit_key("conversions") == "conversions"
    with pytest.raises(UsageError, match="unknown limit"):
        slots.limit_key("conversions:web")
