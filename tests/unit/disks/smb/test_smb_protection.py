# SPDX-License-Identifier: Apache-2.0
"""Whoever sits on the wire between v2x and the file server: answers that are changed, stripped or made up."""

import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from smbprotocol.header import NtStatus, Smb2Flags, SMB2HeaderResponse

from v2x.disks.smb.connection import ProtectedConnection, SmbAccess, Unprotected
from v2x.disks.smb.listing import SmbFolder
from v2x.disks.smb.paths import UncPath
from v2x.disks.smb.server import SmbServers
from v2x.errors import TrustError
from v2x.secrets import Secret
from v2x.simulators.hyperv.share import Share

MIB = 1 << 20
READ = 8
SIGNED = 0x8


class Wire:
    """Passes SMB messages between a client and a server; `change` may alter each answer of the server."""

    def __init__(self, port: int, change: Callable[[bytearray], bytearray]) -> None:
        self._server_port = port
        self._change = change
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
            except OSError:
                return
            self._open += [client, server]
            threading.Thread(target=self._pass, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, self._change), daemon=True).start()

    def _pass(
        self, origin: socket.socket, goal: socket.socket, change: Callable[[bytearray], bytearray] | None
    ) -> None:
        try:
            while head := _exactly(origin, 4):
                message = bytearray(_exactly(origin, struct.unpack(">I", head)[0]))
                if change is not None:
                    message = change(message)
                goal.sendall(struct.pack(">I", len(message)) + message)
        except OSError:
            pass
        for one in (origin, goal):
            one.close()

    def close(self) -> None:
        for one in self._open:
            one.close()


def _exactly(origin: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = origin.recv(count - len(data))
        if not more:
            return b""
        data += more
    return data


def is_read(message: bytearray) -> bool:
    return message[:4] == b"\xfeSMB" and struct.unpack_from("<H", message, 12)[0] == READ and len(message) > 4096


def altered(message: bytearray) -> bytearray:
    """One byte of what was read, with the signature as it was."""
    if is_read(message):
        message[-100] ^= 1
    return message


def stripped(message: bytearray) -> bytearray:
    """The same, without any signature."""
    if is_read(message):
        flags = struct.unpack_from("<I", message, 16)[0]
        struct.pack_into("<I", message, 16, flags & ~SIGNED)
        message[48:64] = bytes(16)
        message[-100] ^= 1
    return message


def encrypted_altered(message: bytearray) -> bytearray:
    if message[:4] == b"\xfdSMB" and len(message) > 4096:
        message[-100] ^= 1
    return message


@pytest.fixture
def wires() -> Iterator[list[Wire]]:
    made: list[Wire] = []
    yield made
    for wire in made:
        wire.close()


@pytest.mark.parametrize(
    ("encryption", "change"),
    [(False, altered), (False, stripped), (True, encrypted_altered)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_changed_answers_are_never_used(
    tmp_path: Path,
    hyperv_share: Callable[..., Share],
    wires: list[Wire],
    encryption: bool,
    change: Callable[[bytearray], bytearray],
) -> None:
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive" / "disk.vhdx").write_bytes(random.Random(1).randbytes(MIB))
    share = hyperv_share(D=tmp_path / "drive", encryption="required" if encryption else "off")
    wire = Wire(share.port, change)
    wires.append(wire)
    servers = SmbServers(SmbAccess(user=share.user, password=Secret(share.password), encryption=encryption))
    source = SmbFolder(servers, UncPath(server="127.0.0.1", share="D$", port=wire.port)).open("disk.vhdx")
    buffer = bytearray(64)
    source.read_into(0, buffer)  # too small to be altered
    with pytest.raises(TrustError, match="not protected as agreed"):
        source.read_into(0, bytearray(512 << 10))
    servers.close()


def answer(*, signed: bool = False, status: int = NtStatus.STATUS_SUCCESS) -> Any:
    header = SMB2HeaderResponse()
    header["message_id"] = 7
    header["status"] = status
    header["command"] = READ
    if signed:
        header["flags"].set_flag(Smb2Flags.SMB2_FLAGS_SIGNED)
    return header


@pytest.mark.parametrize(
    ("encrypted", "header"),
    [
        (True, answer()),
        (True, answer(signed=True)),
        (True, answer(status=NtStatus.STATUS_PENDING)),
        (False, answer()),
        (False, answer(signed=True)),
    ],
    ids=["encrypted, plain", "encrypted, signed", "encrypted, pending", "signed, plain", "signed, by another"],
)
def test_an_answer_without_the_agreed_protection_ends_the_connection(encrypted: bool, header: Any) -> None:
    connection = ProtectedConnection("guid", "host", 445, timeout_seconds=1)
    connection.dialect = 0x0311
    connection.signing_algorithm_id = 2
    connection.session_table[1] = SimpleNamespace(encrypt_data=encrypted, signing_key=b"k" * 16)
    with pytest.raises(Unprotected):
        connection.verify_signature(header, 1)


def test_the_note_that_an_answer_takes_longer_needs_no_signature() -> None:
    connection = ProtectedConnection("guid", "host", 445, timeout_seconds=1)
    connection.session_table[1] = SimpleNamespace(encrypt_data=False, signing_key=b"k" * 16)
    connection.verify_signature(answer(status=NtStatus.STATUS_PENDING), 1)
