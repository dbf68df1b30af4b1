# SPDX-License-Identifier: Apache-2.0
"""What rows ask for in their guests: words of the order, with the files and keys of the worker that runs it."""

import contextlib
import importlib.util
from pathlib import Path

import pytest

from v2x.cli.guest_wishes import standing_wishes
from v2x.config import GuestTable
from v2x.convert.guest import ConvertedDisk
from v2x.convert.interface import Conversion, GuestWishes, Inspection, Proposal
from v2x.engine.control import Control
from v2x.engine.dbos import DbosEngine
from v2x.engine.inline import InlineEngine
from v2x.engine.live import Actor
from v2x.engine.orders import granted
from v2x.engine.worker import Worker
from v2x.migrate import guest
from v2x.model.codec import to_json
from v2x.model.migration import Outcome
from v2x.model.plan import GuestWish

_spec = importlib.util.spec_from_file_location("engine_doubles", Path(__file__).with_name("conftest.py"))
kit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kit)

KEYS = ("luks-passphrase-4711", "111111-222222-333333-444444-555555-666666-777777-888888")


@pytest.fixture
def asked(monkeypatch):
    """The wishes that each conversion was given, by a guest in which there is nothing to do."""
    monkeypatch.setattr("v2x.migrate.steps.require_libguestfs", lambda: None)
    seen = []

    @contextlib.contextmanager
    def convert(disks, folder, *, wishes, **_):
        seen.append(wishes)
        nothing = Conversion(inspection=Inspection(os="windows"), proposal=Proposal())
        yield nothing, [ConvertedDisk(disk) for disk in disks]

    monkeypatch.setattr(guest, "converted_guest", convert)
    return seen


@pytest.fixture
def here(tmp_path):
    """What [guest] of the v2x.toml of this worker names, with its keys in files."""
    named = []
    for number, key in enumerate(KEYS):
        file = tmp_path / f"{number}.key"
        file.write_text(key + "\n")
        file.chmod(0o600)
        named.append(str(file))
    drivers = tmp_path / "x.msi"
    drivers.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1"))
    table = GuestTable(windows_drivers=str(drivers), luks_key_files=(named[0],), bitlocker_key_files=(named[1],))
    return standing_wishes(table)


def revealed(wishes):
    return tuple(key.reveal() for key in (*wishes.keys, *wishes.bitlocker_keys))


def test_a_worker_grants_each_row_its_words_with_its_own_files_and_writes_down_no_key(estate, asked, here, caplog):
    caplog.set_level("DEBUG")
    store = estate.store()
    control = Control(store, Actor(user="op", worker="", version="0"), lambda: kit.NOW)
    words = (GuestWish.REMOVE_TOOLS, GuestWish.BITLOCKER_SUSPENDED)
    estate.submit(store, [estate.order(1, convert=True, guest=words), estate.order(2, convert=True)])
    worker = Worker(
        store, DbosEngine(), lambda _batch: estate.doors, estate.watcher,
        now=lambda: kit.NOW, pacing=kit.QUICK, rows_at_once=1, wishes=here,
    )  # fmt: skip
    worker.run("b1")
    batch = control.batch("b1")
    migrations = control.migrations(batch)
    assert [one.outcome for one in migrations] == [Outcome.MIGRATED] * 2
    plain, worded = sorted(asked, key=lambda one: one.remove_tools)
    assert (worded.remove_tools, worded.bitlocker_suspended, worded.clean_hibernation) == (True, True, False)
    assert plain == here, "words of one row are not another's"
    for wishes in asked:
        assert revealed(wishes) == KEYS and wishes.windows_drivers == here.windows_drivers
    said = to_json(migrations) + to_json(control.events(batch)) + to_json(control.orders(batch)) + caplog.text.encode()
    files = [path for path in (estate.folder / "state").rglob("*") if path.is_file()]
    kept = b"".join(path.read_bytes() for path in files)
    assert b"bitlocker-suspended" in kept, "the words are kept, and this looks where they are"
    for key in KEYS:
        assert key.encode() not in said + kept


def test_the_engine_for_one_machine_does_the_same(estate, asked, here):
    engine = InlineEngine(estate.doors, estate.watcher, wishes=here)
    engine.submit([estate.order(1, convert=True, guest=(GuestWish.CLEAN_HIBERNATION,))])
    engine.resume()
    (wishes,) = asked
    assert wishes.clean_hibernation and not wishes.remove_tools and revealed(wishes) == KEYS


def test_what_is_asked_for_here_is_not_taken_back_by_a_row_without_words():
    everything = GuestWishes(remove_tools=True, clean_hibernation=True, bitlocker_suspended=True)
    assert granted((), everything) == everything == granted(tuple(GuestWish), GuestWishes())
