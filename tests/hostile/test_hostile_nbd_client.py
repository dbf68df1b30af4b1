# SPDX-License-Identifier: Apache-2.0
"""Clients of the NBD export that lie, babble or stop half-way: they lose their connection, nobody else does."""

import contextlib
import random
import socket
import struct
from pathlib import Path

import pytest

from v2x.disks import nbd_session
from v2x.disks.bytesource import FileSource
from v2x.disks.libnbd import libnbd
from v2x.disks.raw import RawReader
from v2x.disks.serve import DiskExport

OPTION = 0x49484156454F5054


@pytest.fixture
def export(tmp_path: Path):
    (tmp_path / "disk.raw").write_bytes(b"\x07" * 65536)
    reader = RawReader(FileSource.open(tmp_path / "disk.raw"))
    with DiskExport(reader) as served:
        yield served
        handle = libnbd().NBD()
        handle.connect_uri(served.uri)
        assert bytes(handle.pread(512, 0)) == b"\x07" * 512
        handle.shutdown()
        assert served.problem is None
    reader.close()


def dial(export: DiskExport, *, greet: bool = True) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(10)
    made.connect(str(export.path))
    assert len(made.recv(18, socket.MSG_WAITALL)) == 18
    if greet:
        made.sendall(struct.pack(">I", 3))
    return made


def option(number: int, data: bytes = b"", *, magic: int = OPTION, length: int | None = None) -> bytes:
    return struct.pack(">QII", magic, number, len(data) if length is None else length) + data


def reply(client: socket.socket) -> tuple[int, int]:
    _, number, kind, length = struct.unpack(">QIII", client.recv(20, socket.MSG_WAITALL))
    client.recv(length, socket.MSG_WAITALL)
    return number, kind


def ended(client: socket.socket) -> bool:
    try:
        while client.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize(
    "said",
    [
        struct.pack(">I", 0),
        struct.pack(">I", 0xFFFFFFFF),
        struct.pack(">I", 3) + option(7, magic=1),
        struct.pack(">I", 3) + option(7, length=0xFFFFFFFF),
        struct.pack(">I", 3) + option(1, b"another export"),
        struct.pack(">I", 3) + option(2),
        struct.pack(">I", 3) + option(3) * 300,
        struct.pack(">I", 3) + option(1) + b"\xff" * 28,
        struct.pack(">I", 3) + option(1) + struct.pack(">IHHQQI", 0x25609513, 0, 1, 1, 0, 0xFFFFFFFF),
        struct.pack(">I", 3) + option(1) + struct.pack(">IHHQQI", 0x25609513, 0, 2, 1, 0, 0),
    ],
)
def test_broken_protocol_ends_the_connection(export: DiskExport, said: bytes) -> None:
    client = dial(export, greet=False)
    with contextlib.suppress(ConnectionError):
        client.sendall(said)
    assert ended(client)
    client.close()


@pytest.mark.parametrize(
    ("number", "data"),
    [
        (3, b"x"),
        (6, b""),
        (6, struct.pack(">I", 0xFFFFFFFF)),
        (7, struct.pack(">IH", 0, 9)),
        (8, b"x"),
        (9, struct.pack(">II", 0, 0)),
        (10, struct.pack(">II", 0, 0xFFFFFFFF)),
        (10, struct.pack(">III", 0, 1, 0x7FFFFFFF)),
        (5, b""),
        (4242, b"x" * 1000),
    ],
)
def test_a_broken_option_is_refused_and_the_next_is_heard(export: DiskExport, number: int, data: bytes) -> None:
    client = dial(export)
    client.sendall(option(number, data))
    answered, kind = reply(client)
    assert answered == number
    assert kind in {0x80000001, 0x80000003}
    client.sendall(option(3))
    assert reply(client) == (3, 2)
    assert reply(client) == (3, 1)
    client.close()


@pytest.mark.parametrize("command", [7, 3, 99, 0xFFFF])
def test_a_command_that_was_not_negotiated_is_an_error(export: DiskExport, command: int) -> None:
    client = dial(export)
    client.sendall(option(1))
    assert len(client.recv(10, socket.MSG_WAITALL)) == 10
    client.sendall(struct.pack(">IHHQQI", 0x25609513, 0xFFFF, command, 77, 0, 512))
    assert struct.unpack(">IIQ", client.recv(16, socket.MSG_WAITALL)) == (0x67446698, 22, 77)
    client.close()


def test_an_offset_at_the_end_of_numbers_does_not_wrap(export: DiskExport) -> None:
    client = dial(export)
    client.sendall(option(1))
    client.recv(10, socket.MSG_WAITALL)
    client.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, 5, 2**64 - 1, 2))
    assert struct.unpack(">IIQ", client.recv(16, socket.MSG_WAITALL)) == (0x67446698, 22, 5)
    client.close()


def test_one_that_stops_half_way_is_let_go(export: DiskExport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nbd_session, "_SAYING_SECONDS", 0.1)
    silent = dial(export, greet=False)
    half = dial(export)
    half.sendall(option(1))
    half.recv(10, socket.MSG_WAITALL)
    half.sendall(b"\x25\x60")
    assert ended(silent)
    assert ended(half)
    silent.close()
    half.close()


def test_one_that_asks_and_never_listens_keeps_nobody_waiting(export: DiskExport) -> None:
    deaf = dial(export)
    deaf.sendall(option(1))
    deaf.recv(10, socket.MSG_WAITALL)
    deaf.setblocking(False)
    request = struct.pack(">IHHQQI", 0x25609513, 0, 0, 1, 0, 65536)
    for _ in range(200):
        try:
            deaf.send(request)
        except BlockingIOError:
            break
    # The fixture reads through a connection of its own, then closes the export, while this one is still open.


def test_noise_is_survived(export: DiskExport) -> None:
    noise = random.Random(11)
    for round_number in range(60):
        client = dial(export, greet=False)
        opening = struct.pack(">I", 3) + option(1) if round_number % 2 else struct.pack(">I", 3)
        with contextlib.suppress(ConnectionError):
            client.sendall(opening + noise.randbytes(noise.randrange(1, 3000)))
        client.close()
