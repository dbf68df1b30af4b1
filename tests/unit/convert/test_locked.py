# SPDX-License-Identifier: Apache-2.0
"""What is said of disks that cannot be looked into, and when a key in vain is an error."""

import contextlib
from typing import Any

import pytest

from v2x.convert import guest as guest_module
from v2x.convert.guest import plan_guest
from v2x.convert.interface import GuestWishes
from v2x.errors import InputRefused
from v2x.secrets import Secret

KEYS = GuestWishes(keys=(Secret("x"),))


class Closed:
    """A guest of which only its partitions are known."""

    systems = 0
    unmounted: tuple[str, ...] = ()
    stable_names: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, kinds: dict[str, str], locked: tuple[str, ...], unlocked: tuple[str, ...]) -> None:
        self.kinds, self.locked, self.unlocked = kinds, locked, unlocked


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch):
    def looked(kinds: dict[str, str], wishes: GuestWishes, *, locked=(), unlocked=()) -> list[str]:
        @contextlib.contextmanager
        def opened(*given: Any):
            yield Closed(kinds, locked, unlocked)

        monkeypatch.setattr(guest_module, "_looked_into", opened)
        found = plan_guest([], wishes=wishes)
        assert found.changes_nothing
        return [one.text for one in found.proposal.remarks]

    return looked


def test_each_kind_is_named_with_its_partition(look) -> None:
    kinds = {"/dev/sda2": "crypto_LUKS", "/dev/sdb1": "zfs_member"}
    said = look(kinds, GuestWishes(), locked=("/dev/sda2",))
    assert [line.split(",")[0] for line in said] == [
        "/dev/sda2: encrypted with LUKS and not opened",
        "/dev/sdb1: a pool of ZFS",
    ]


def test_where_nothing_is_known_that_is_said(look) -> None:
    assert look({}, GuestWishes()) == ["no operating system was found on the disks"]


def test_keys_that_open_nothing_are_refused_and_one_that_opens_something_is_enough(look) -> None:
    with pytest.raises(InputRefused, match=r"no key that was given opens /dev/sda2") as caught:
        look({}, KEYS, locked=("/dev/sda2",))
    assert caught.value.code == "GUEST-LOCKED"
    assert len(look({}, KEYS, locked=("/dev/sdb1",), unlocked=("/dev/sda2",))) == 1
    assert look({}, KEYS) == ["no operating system was found on the disks"]
