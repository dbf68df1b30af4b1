# SPDX-License-Identifier: Apache-2.0
"""A batch whose rows say what is asked for in their guests, with files and keys from v2x.toml; no key is told."""

import contextlib
import csv
import io
import json
import subprocess
import threading
from pathlib import Path

import pytest

from tests.guest_disks import debian_disk
from v2x.convert.guest import ConvertedDisk
from v2x.convert.interface import Conversion, Inspection, Proposal
from v2x.errors import InputRefused
from v2x.migrate import guest
from v2x.simulators.appliance import ApplianceSpec, DiskSpec, NicSpec, write_ova

NETWORK = "Pool-wide network associated with eth0"
KEYS = {"luks_key_files": "planted-passphrase-4711", "bitlocker_key_files": "123456-planted-654321"}


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """v2x.toml here, as its owner's alone, and what it says."""
    monkeypatch.setenv("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")
    lines = ["[guest]"]
    for name, key in KEYS.items():
        file = tmp_path / "private" / f"{name}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(key)
        file.chmod(0o600)
        lines.append(f'{name} = ["{file}"]')
    path = tmp_path / "v2x.toml"
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def started(monkeypatch):
    """The words and the environment of every program that is started from here."""
    seen = set()
    begin = subprocess.Popen.__init__

    def recorded(self, args, *rest, **names):
        seen.add(repr(args) + repr(names.get("env")))
        begin(self, args, *rest, **names)

    monkeypatch.setattr(subprocess.Popen, "__init__", recorded)
    return seen


@contextlib.contextmanager
def words_of_all(seen):
    """Within the block, the words of every program on this machine too, also of those that others start."""
    ended = threading.Event()

    def look():
        while not ended.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield
    finally:
        ended.set()
        looking.join()


def edited(**changes):
    """The cells of plan.csv changed in all of its rows."""
    rows = list(csv.DictReader(io.StringIO(Path("plan.csv").read_text(encoding="utf-8-sig"), newline="")))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows([{**row, **changes} for row in rows])
    Path("plan.csv").write_text(out.getvalue(), encoding="utf-8")


def drafted(bench, disk):
    nics = (NicSpec(network=NETWORK, mac="00:50:56:00:00:01"),)
    write_ova(bench.folder / "web.ova", ApplianceSpec(name="web", disks=(DiskSpec(raw=disk),), nics=nics))
    ran = bench.v2x("plan", "draft", bench.folder / "web.ova", "--target", bench.target, "-o", "plan.csv")
    assert ran.code == 0, ran.err


def untold(bench, said, started):
    """No key is in what was printed, in the state, in the plan, in the reports, or in any program's words."""
    kept = [path for path in bench.folder.rglob("*") if path.is_file() and path.parent.name != "private"]
    assert any("state" in path.parts for path in kept) and any(path.suffix == ".html" for path in kept)
    for key in KEYS.values():
        assert key not in said and not [one for one in started if key in one]
        assert not [path for path in kept if path.suffix not in {".raw", ".ova"} and key.encode() in path.read_bytes()]


@pytest.fixture
def wishes(monkeypatch):
    """Those that each conversion was given, by a guest in which there is nothing to do."""
    asked = []

    @contextlib.contextmanager
    def convert(disks, folder, **named):
        asked.append(named["wishes"])
        yield Conversion(inspection=Inspection(os="linux"), proposal=Proposal()), [ConvertedDisk(one) for one in disks]

    monkeypatch.setattr(guest, "converted_guest", convert)
    monkeypatch.setattr("v2x.migrate.steps.require_libguestfs", lambda: None)
    return asked


def test_words_come_from_the_row_and_files_from_here(bench, raw, configured, started, wishes):
    drafted(bench, raw("odd"))
    edited(convert="auto", guest="Remove-Tools,bitlocker-suspended")
    ran = bench.v2x("batch", "run", "plan.csv", "--json")
    assert ran.code == 0, ran.err
    (wish,) = wishes
    assert (wish.remove_tools, wish.clean_hibernation, wish.bitlocker_suspended) == (True, False, True)
    assert [one.reveal() for one in (*wish.keys, *wish.bitlocker_keys)] == list(KEYS.values())
    untold(bench, ran.out + ran.err, started)


def test_who_goes_on_with_a_row_uses_a_table_of_its_own(bench, raw, configured, wishes, monkeypatch):
    drafted(bench, raw("odd"))
    edited(convert="auto", guest="clean-hibernation")
    whole, good = configured.read_text(), guest.converted_guest

    def refuses(*given, **named):
        wishes.append(named["wishes"])
        raise InputRefused("no key that was given opens /dev/sda2", code="GUEST-LOCKED")

    configured.write_text("")
    monkeypatch.setattr(guest, "converted_guest", refuses)
    assert bench.v2x("batch", "run", "plan.csv").code == 6
    configured.write_text(whole)
    monkeypatch.setattr(guest, "converted_guest", good)
    ran = bench.v2x("batch", "resume", pool=False)
    assert ran.code == 0, ran.err
    first, second = wishes
    assert first.clean_hibernation and second.clean_hibernation
    assert first.keys == () and [one.reveal() for one in second.keys] == [KEYS["luks_key_files"]]


def test_one_machine_takes_the_table_too_and_options_go_before(bench, raw, configured, wishes):
    drafted(bench, raw("odd"))
    own = bench.folder / "private" / "own.txt"
    own.write_text("mine")
    own.chmod(0o600)
    asked = ("--remove-tools", "--bitlocker-key-file", own)
    ova, out = bench.folder / "web.ova", bench.folder / "out.xva"
    assert bench.migrate(ova, "--convert", "auto", *asked).code == 0
    assert bench.v2x("convert", ova, out, "--convert-guest", *asked).code == 0
    for wish in wishes:
        assert wish.remove_tools and not wish.bitlocker_suspended
        assert [one.reveal() for one in (*wish.keys, *wish.bitlocker_keys)] == [KEYS["luks_key_files"], "mine"]
    assert len(wishes) == 2
    configured.write_text('[guest]\nagent = "gone.deb"\n')
    assert bench.v2x("convert", ova, out, "--force").code == 0, "without a conversion it is not looked at"
    ran = bench.v2x("convert", ova, out, "--force", "--convert-guest")
    assert ran.code == 2 and "[guest] of v2x.toml: there is no file gone.deb" in ran.err


def test_wrong_words_and_files_are_refused_before_anything_begins(bench, raw, configured):
    drafted(bench, raw("odd"))
    edited(guest="remove-tools")
    ran = bench.v2x("plan", "check", "plan.csv", "--json")
    assert [one["rule"] for one in ran.json["findings"]] == ["plan.guest"]
    edited(convert="auto", guest="remove-tool")
    ran = bench.v2x("plan", "check", "plan.csv")
    assert ran.code == 2 and "valid: words with commas between: remove-tools, clean-hibernation" in ran.err
    edited(convert="auto", guest="")
    configured.chmod(0o644)
    ran = bench.v2x("batch", "run", "plan.csv")
    assert ran.code == 2 and "[CONFIG-MODE]" in ran.err
    configured.chmod(0o600)
    configured.write_text('[guest]\nwindows_drivers = "gone.msi"\n')
    ran = bench.v2x("batch", "run", "plan.csv")
    assert ran.code == 2 and "[guest] of v2x.toml: there is no file gone.msi" in ran.err
    assert not bench.leftovers() and not (bench.folder / "state").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_real_libguestfs_is_told_no_key_in_its_words(bench, configured, started, tmp_path_factory):
    drafted(bench, debian_disk(tmp_path_factory.mktemp("guest")))
    edited(convert="auto", guest="remove-tools")
    with words_of_all(started):
        ran = bench.v2x("batch", "run", "plan.csv", "--json")
    assert ran.code == 0, ran.err
    report = json.loads((bench.folder / "plan.report.json").read_text())
    assert report["migrations"][0]["changes"]
    assert [one for one in started if "guestfs" in one] and [one for one in started if "qemu-system" in one]
    untold(bench, ran.out + ran.err, started)
