# SPDX-License-Identifier: Apache-2.0
"""Wishes for a guest on the command line: refused before anything long begins."""

from pathlib import Path

import pytest

from v2x.cli import run
from v2x.cli.guest_wishes import guest_wishes
from v2x.cli.options import Given
from v2x.config import GuestTable, load_config
from v2x.errors import UsageError


def key_file(folder: Path, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_text("open sesame\nnot this\n")
    path.chmod(mode)
    return path


def wishes(table=GuestTable(), **given):
    return guest_wishes(Given(**given), table, converts=True, how="--convert auto")


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
