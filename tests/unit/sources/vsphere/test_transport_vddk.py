# SPDX-License-Identifier: Apache-2.0
"""The vddk command line, played against a script that checks every parameter; VDDK itself is never there."""

import json
import os
import stat
import tempfile
from pathlib import Path

import pytest

from tests.images import patterned
from tests.places import content, nbdkit_with, place_for
from v2x.errors import BadImage, LoginError, PermissionRefused, SourceError, TrustError, UsageError
from v2x.secrets import Secret
from v2x.sources.vsphere.transports.options import VddkOptions
from v2x.sources.vsphere.transports.vddk import check_libdir, command, open_vddk, thumbprint

FAKE = Path(__file__).parents[3] / "vddk_fake.py"
MIB = 1 << 20
SIZE = 8 * MIB
RAW = patterned(SIZE, [(0, 70_000), (3 * MIB, MIB), (SIZE - 512, 512)])
PASSWORD = "p w'=d$€"
CERTIFICATE = b"certificate"


class Play:
    """The options that start the fake, and what it noted."""

    def __init__(self, folder: Path, **changes) -> None:
        self.log = folder / "log"
        disk = folder / "disk.raw"
        disk.write_bytes(RAW)
        libdir = folder / "vmware vix-disklib"
        (libdir / "lib64").mkdir(parents=True)
        (libdir / "lib64" / "libvixDiskLib.so.8").touch()
        expect = {
            "libdir": str(libdir),
            "server": "vc.example.org",
            "user": "EXAMPLE\\admin@vsphere.local",
            "thumbprint": thumbprint(CERTIFICATE),
            "vm": "moref=vm-12",
            "snapshot": "snapshot-3",
            "transports": "file:nbdssl:nbd",
            "file": "[ssd 1] web 01/web 01.vmdk",
        }
        script = {"disk": str(disk), "expect": expect, "password": PASSWORD, "log": str(self.log), **changes}
        (folder / "play.json").write_text(json.dumps(script))
        program = nbdkit_with(FAKE, folder / "play.json")
        self.options = VddkOptions(libdir=libdir, program=str(program))

    def open(self, password=PASSWORD, **changes):
        place = place_for(**{"capacity_bytes": SIZE, **changes})
        return open_vddk(
            place,
            "vc.example.org",
            "EXAMPLE\\admin@vsphere.local",
            Secret(password),
            CERTIFICATE,
            self.options,
            sleep=lambda _: None,
        )

    def events(self, kind):
        return [event[kind] for line in self.log.read_text().splitlines() if kind in (event := json.loads(line))]


@pytest.fixture
def play(tmp_path):
    def make(**changes):
        return Play(tmp_path, **changes)

    return make


def test_the_disk_its_map_and_every_parameter(play):
    played = play()
    reader = played.open()
    assert content(reader) == RAW
    data = [(one.start, one.length) for one in reader.extents(0, SIZE) if one.data]
    assert data == [(0, 131072), (3 * MIB, MIB), (SIZE - 65536, 65536)]
    assert all(not any(RAW[one.start : one.end]) for one in reader.extents(0, SIZE) if not one.data)
    reader.close()
    assert played.events("word") == [True]
    assert played.events("open")[0] is True


def test_without_a_snapshot_none_is_named(play):
    made = command(place_for(snapshot_ref=None), "h", "u", Secret("p"), "00", play().options)
    assert not [value for key, value in made.parameters if key == "snapshot"]


def test_the_command_line_holds_no_secret_and_each_setting_is_one_argument(play):
    options = play().options
    made = command(place_for(), "h", "u x", Secret("p"), "00", options)
    argv = made.argv(Path("/s"), 7)
    assert argv[1:6] == ["--foreground", "--readonly", "--newstyle", "--unix", "/s"]
    assert argv[6:9] == ["--filter=multi-conn", "--filter=blocksize", "vddk"]
    assert argv[9] == "password=-7"
    assert "user=u x" in argv
    assert "multi-conn-mode=disable" in argv
    assert "p" not in argv
    assert "Secret(********)" not in str(argv)


def test_all_options_of_the_user_are_passed_on(tmp_path, play):
    config = tmp_path / "vddk.conf"
    base = play().options
    options = VddkOptions(
        libdir=base.libdir,
        transports="san:hotadd:nbd",
        config=config,
        compression="skipz",
        extra=(("nfchostport", "902"),),
    )
    made = dict(command(place_for(), "h", "u", Secret("p"), "00", options).parameters)
    assert made["transports"] == "san:hotadd:nbd"
    assert made["config"] == str(config)
    assert made["compression"] == "skipz"
    assert made["nfchostport"] == "902"


def test_a_read_that_fails_is_tried_again_through_a_new_nbdkit(play):
    played = play(faults={"read": ["", "VixDiskLib_Read: NBD_ERR_NETWORK_CONNECT", "", "die"]})
    reader = played.open()
    assert content(reader, MIB) == RAW
    reader.close()
    assert len(played.events("word")) >= 3


def test_a_wrong_password_is_tried_once(play):
    played = play()
    with pytest.raises(LoginError, match=r"Hard disk 1 of web 01: VDDK could not log in .*incorrect user name"):
        played.open(password="nope-7731")
    assert played.events("open") == [True]


CASES = [
    ("VixDiskLib_Open: You do not have access rights to this file", SourceError, "LOCKED"),
    ("VixDiskLib_ConnectEx: Insufficient permissions in the host operating system", PermissionRefused, "PERMISSION"),
    ("VixDiskLib_ConnectEx: SSL Exception: thumbprint mismatch", TrustError, "TRUST"),
    ("VixDiskLib_Open: The file specified was not found", SourceError, "SOURCE-GONE"),
    ("VixDiskLib_Open: NBD_ERR_CONNECTION_REFUSED 902", SourceError, "PORT-902"),
    ("VixDiskLib_ConnectEx: Memory allocation failed. Out of memory.", SourceError, "NFC-BUSY"),
    (
        "Current license or ESXi version prohibits execution of the requested operation",
        SourceError,
        "READ-ONLY-LICENCE",
    ),
    ("something new", SourceError, "NBDKIT"),
]


@pytest.mark.parametrize(("text", "kind", "code"), CASES)
def test_what_vddk_says_is_translated(play, text, kind, code):
    with pytest.raises(kind) as refused:
        play(faults={"open": [text]}).open()
    assert refused.value.code == code
    assert code == "NBDKIT" or text in refused.value.message
    assert refused.value.hint


def test_another_size_than_vspheres_is_refused(play):
    with pytest.raises(BadImage) as refused:
        play(size=SIZE - 512).open()
    assert refused.value.code == "CAPACITY-MISMATCH"


def test_a_parameter_that_the_plugin_does_not_know_is_told(play):
    played = play(expect={"libdir": "/elsewhere"})
    with pytest.raises(SourceError, match="nbdkit cannot serve it") as refused:
        played.open()
    assert refused.value.code == "NBDKIT"


def test_debians_nbdkit_lacks_the_plugin_and_the_message_says_so(play):
    options = VddkOptions(libdir=play().options.libdir)
    with pytest.raises(UsageError, match="no vddk plugin") as refused:
        open_vddk(place_for(), "h", "u", Secret("p"), CERTIFICATE, options)
    assert refused.value.code == "MISSING-TOOL"


@pytest.mark.parametrize("folder", [None, "empty", "gone"])
def test_a_folder_without_vddk_is_refused(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError) as refused:
        check_libdir(VddkOptions(libdir=tmp_path / folder if folder else None))
    assert refused.value.code == "VDDK-LIBDIR"
    assert "--vddk-libdir" in refused.value.hint or "vmware-vix-disklib" in refused.value.hint


def test_the_socket_is_private_and_the_server_ends_with_the_reader(play, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    reader = play().open()
    inner = reader._inner._inner
    socket = inner._socket
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    pid = inner._server._child.pid
    reader.close()
    assert not socket.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
