# SPDX-License-Identifier: Apache-2.0
"""Wishes for a guest on the command line: refused before anything long begins."""

from pathlib import Path

import pytest

from v2x.cli import run
from v2x.cli.guest_wishes import guest_wishes, standing_wishes, words_given
from v2x.cli.options import Given
from v2x.config import GuestTable
from v2x.convert.interface import GuestWishes
from v2x.errors import UsageError
from v2x.model.plan import GuestWish


def key_file(folder: Path, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_text("open sesame\nnot this\n")
    path.chmod(mode)
    return path


def wishes(standing=None, **given):
    return guest_wishes(Given(**given), standing or GuestTable(), converts=True, how="--convert auto")


def test_what_is_asked_for_arrives(tmp_path: Path) -> None:
    agent = tmp_path / "agent.RPM"
    agent.write_bytes(b"")
    found = wishes(luks_key_file=[key_file(tmp_path)], remove_tools=True, guest_agent=agent)
    assert (found.remove_tools, found.agent) == (True, agent)
    assert [key.reveal() for key in found.keys] == ["open sesame"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"guest_agent": Path("/x/agent.msi")}, "no package"),
        ({"guest_agent": Path("/x/agent.deb")}, "no file"),
        ({"luks_key_file": [Path("/x/key")]}, "cannot read"),
        ({"luks_ask": True}, "needs a terminal"),
    ],
)
def test_what_cannot_be_is_refused(given, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(UsageError, match=says):
        wishes(**given)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        wishes(luks_key_file=[key_file(tmp_path, 0o644)])
    assert caught.value.code == "SECRET-FILE-MODE"


def test_the_passphrase_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "typed")
    assert [key.reveal() for key in wishes(luks_ask=True).keys] == ["typed"]


@pytest.mark.parametrize("option", ["--remove-tools", "--luks-ask"])
def test_without_a_conversion_a_wish_is_refused(option: str, tmp_path: Path, capfd) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(1 << 20))
    for command in (
        ["convert", str(tmp_path / "a.raw"), str(tmp_path / "b.raw")],
        ["migrate", str(tmp_path / "a.ova"), "--target", f"xva:{tmp_path}"],
    ):
        assert run([*command, option]) == 2
        assert f"{option} is for the conversion of a guest" in capfd.readouterr().err
    assert not (tmp_path / "b.raw").exists()


def table(folder: Path, **changes) -> GuestTable:
    """[guest] with all of its files there."""
    (folder / "t.msi").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1"))
    (folder / "t.deb").write_bytes(b"")
    names = {"windows_drivers": str(folder / "t.msi"), "agent": str(folder / "t.deb")}
    keys = {name: (str(key_file(folder)),) for name in ("luks_key_files", "bitlocker_key_files")}
    return GuestTable(**{**names, **keys, **changes})


def test_what_stands_in_the_table_is_for_every_guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    found = standing_wishes(table(tmp_path, luks_key_files=("~/key",)))
    assert (found.windows_drivers, found.agent) == (tmp_path / "t.msi", tmp_path / "t.deb")
    assert [key.reveal() for key in (*found.keys, *found.bitlocker_keys)] == ["open sesame"] * 2
    assert not (found.remove_tools or found.clean_hibernation or found.bitlocker_suspended)
    assert standing_wishes(GuestTable()) == GuestWishes()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"agent": "/x/a.msi"}, r"\[guest\] of v2x.toml: /x/a.msi is no package"),
        ({"agent": "/x/a.deb"}, "no file /x/a.deb"),
        ({"windows_drivers": "/x/d.msi"}, "no file /x/d.msi"),
        ({"windows_drivers": __file__}, "is no Windows installer"),
        ({"bitlocker_key_files": ("/x/key",)}, "cannot read"),
    ],
)
def test_what_cannot_be_in_the_table_is_refused(tmp_path: Path, changes, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        standing_wishes(table(tmp_path, **changes))
    assert refused.value.hint


def test_an_option_goes_before_the_table(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("mine")
    own.chmod(0o600)
    agent = tmp_path / "own.rpm"
    agent.write_bytes(b"")
    found = wishes(table(tmp_path, agent="/x/gone.deb"), guest_agent=agent, luks_key_file=[own])
    assert (found.agent, found.windows_drivers) == (agent, tmp_path / "t.msi")
    assert [key.reveal() for key in found.keys] == ["mine"]
    assert [key.reveal() for key in found.bitlocker_keys] == ["open sesame"]


def test_without_a_conversion_the_table_is_not_looked_at() -> None:
    gone = GuestTable(agent="/x/gone.deb")
    assert guest_wishes(Given(), gone, converts=False, how="--convert auto") == GuestWishes()


def test_options_that_a_row_has_words_for() -> None:
    given = Given(remove_tools=True, clean_hibernation=True, bitlocker_suspended=True)
    assert words_given(given) == tuple(GuestWish)
    assert words_given(Given()) == ()
