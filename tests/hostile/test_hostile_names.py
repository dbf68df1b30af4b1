# SPDX-License-Identifier: Apache-2.0
"""Machines with names that want to be something else, through the command line: row 11 of the threat table."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.hostile.conftest import Watch
from v2x.cli import run

NAMES = {
    "title": "\x1b]0;owned\x07web",
    "colour": "web\x1b[31m red",
    "c1": "web\x9b31m",
    "bidi": "web\u202egpj.exe\u2066",
    "lines": "web|0D|0AINFO: all is well|0D|0Aerror: none",
    "markup": "web [bold]x[/bold] [link=https://192.0.2.9]here[/link]",
    "long": "w" * 10_000,
    "formula": '=HYPERLINK("http://192.0.2.9")',
    "private": "web\ue000\u200b",
    "percent": "web %s %(name)s {0} {name!r}",
}
VMX = (
    '.encoding = "UTF-8"\nconfig.version = "8"\nvirtualHW.version = "19"\ndisplayName = "{name}"\n'
    'guestOS = "debian12-64"\nmemSize = "512"\nannotation = "{name}"\nscsi0.present = "TRUE"\n'
    'scsi0:0.present = "TRUE"\nscsi0:0.fileName = "{disk}"\nethernet0.present = "TRUE"\n'
    'ethernet0.networkName = "{name}"\n'
)


@pytest.fixture
def say(tmp_path, capfd, monkeypatch, watched: Watch):
    """Runs a command; what it printed, of which every letter has to be fit to be shown."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("V2X_STATE", str(tmp_path / "state"))

    def say(*words: object, codes=(0,)) -> tuple[str, str]:
        capfd.readouterr()
        code = run([str(word) for word in words])
        out, err = capfd.readouterr()
        assert code in codes, err
        for printed in (out, err):
            # The beginning and the line ends of a CSV file.
            text = printed.removeprefix("\ufeff").replace("\r\n", "\n")
            bad = {letter for letter in text if not letter.isprintable() and letter != "\n"}
            assert not bad, [hex(ord(letter)) for letter in bad]
        return out, err

    return say


@pytest.fixture(params=list(NAMES))
def folder(request, tmp_path) -> Path:
    place = tmp_path / "machines"
    place.mkdir()
    (place / "disk-flat.vmdk").write_bytes(bytes(65536))
    (place / "disk.vmdk").write_text(
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
        'createType="monolithicFlat"\nRW 128 FLAT "disk-flat.vmdk" 0\n'
    )
    (place / "web.vmx").write_text(VMX.format(name=NAMES[request.param], disk="disk.vmdk"))
    return place


def test_lists_and_reports_hold_no_sign_that_a_terminal_obeys(say, folder, tmp_path):
    out, _ = say("inventory", folder, "--verbose")
    assert "web" in out or "www" in out or "HYPERLINK" in out
    assert max(len(line) for line in out.splitlines()) < 600, "a long name is cut"
    assert not [line for line in out.splitlines() if line.startswith(("INFO", "error:"))]
    say("assess", folder, "--verbose", codes=(0, 3))
    out, _ = say("assess", folder, "--format", "csv", codes=(0, 3))
    for row in csv.reader(io.StringIO(out, newline="")):
        assert not [cell for cell in row if cell[:1] in "=+-@\t\r" and cell], row


def test_messages_as_json_lines_stay_one_line_each(say, folder):
    _, err = say("inventory", folder, "--verbose", "--log-json")
    for line in err.splitlines():
        if line.startswith("{"):
            assert json.loads(line)["message"]


def test_an_error_that_names_the_machine_is_one_line(say, folder):
    (folder / "disk-flat.vmdk").unlink()
    _, err = say("migrate", folder, "no such machine", "--target", f"xva:{folder.parent / 'out'}", codes=(2, 4, 5, 6))
    assert sum(line.startswith("error:") for line in err.splitlines()) == 1


def test_files_with_such_names_are_shown_as_text(say, tmp_path):
    for name in ("\x1b[2J.ova", "x\nerror: none.ova", "\u202eavo.ova"):
        (tmp_path / name).write_bytes(b"no archive")
        _, err = say("inventory", tmp_path / name, codes=(2, 6))
        assert sum(line.startswith("error:") for line in err.splitlines()) == 1


def test_a_name_with_wrong_bytes_is_shown_as_text(say, tmp_path):
    path = tmp_path / "x.ova"
    renamed = Path(str(tmp_path) + "/\udcff\udc9b.ova")
    path.write_bytes(b"no archive")
    path.rename(renamed)
    say("inventory", renamed, codes=(2, 6))
