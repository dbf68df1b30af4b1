# SPDX-License-Identifier: Apache-2.0
"""The locked requirements hold what pyproject.toml asks for, each file by its hash, and name no index."""

import re

import pytest

from tests.release.lock import LOCKS, ROOT, check, faults, read, stamp, wanted

SUM = "0" * 64
TEXT = """\
# of pyproject.toml: sha256:{stamp}
one==1.2 \\
    --hash=sha256:{sum}
    # via v2x (pyproject.toml)
two==3.0 ; sys_platform == 'win32' \\
    --hash=sha256:{sum} \\
    --hash=sha256:{sum}
    # via
    #   one
    #   v2x (pyproject.toml)
"""
ASKED = ["one>=1", "two<4"]


def locked(asked: list[str] = ASKED) -> str:
    return TEXT.format(stamp=stamp(asked), sum=SUM)


def test_the_locks_of_the_checkout_are_of_today() -> None:
    assert check(ROOT) == []
    for name in LOCKS:
        pins = read((ROOT / ".ci" / name).read_text("utf-8"))
        assert len(pins) > 30 and all(re.fullmatch("[0-9a-f]{64}", one) for pin in pins for one in pin.sums)


def test_a_lock_is_read_with_markers_hashes_and_who_asks() -> None:
    one, two = read(locked())
    assert (one.name, one.version, one.sums, one.by) == ("one", "1.2", (SUM,), ("v2x",))
    assert (two.marker, two.wanted_here, two.by) == ("sys_platform == 'win32'", False, ("one", "v2x"))
    assert list(faults(locked(), ASKED)) == []


@pytest.mark.parametrize(
    ("text", "asked", "told"),
    [
        (locked(), [*ASKED, "three"], ["is not of today's pyproject.toml: make lock", "lacks three"]),
        (locked(["one>=2"]), ["one>=2"], ["has one 1.2, wanted >=2"]),
        (locked().replace(f"    --hash=sha256:{SUM}\n    # via v2x", "    # via v2x"), ASKED, ["has no hash for one"]),
        (locked() + "--index-url https://mirror.example.org/simple\n", ASKED, ["names an index", "cannot be read"]),
        (locked().replace("one==1.2", "one>=1.2"), ASKED, ["cannot be read: line 2"]),
    ],
)
def test_what_is_wrong_with_a_lock_is_named(text: str, asked: list[str], told: list[str]) -> None:
    found = list(faults(text, asked))
    assert len(found) == len(told) and all(one.startswith(start) for one, start in zip(found, told, strict=True)), found


def test_development_holds_what_users_run() -> None:
    plain = wanted(ROOT / "pyproject.toml", ())
    assert set(plain) < set(wanted(ROOT / "pyproject.toml", ("dev",)))
