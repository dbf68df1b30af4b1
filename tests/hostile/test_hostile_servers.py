# SPDX-License-Identifier: Apache-2.0
"""Servers that answer without end, or other things than they said before: row 17 of the threat table."""

import contextlib
import gzip
import http.client
import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from tests.evil_tls import Authority, TlsServer
from v2x.errors import SourceError, TargetError, V2xError
from v2x.migrate.digests import DigestTable, digest_of
from v2x.migrate.observe import Silent
from v2x.migrate.verify import VerifyMismatch, verify_disk
from v2x.model.migration import VerifyLevel
from v2x.secrets import Secret
from v2x.sources.hyperv import session as hyperv_session
from v2x.sources.hyperv.login import HostAccess
from v2x.sources.hyperv.session import PowerShellSession
from v2x.sources.vsphere import bounded, collecting
from v2x.sources.vsphere.bounded import BoundedAnswer
from v2x.sources.vsphere.collecting import Page
from v2x.target.xapi import connection
from v2x.target.xapi.client import Client
from v2x.target.xapi.connection import ask_json
from v2x.target.xapi.listing import number
from v2x.tls import Trust

MIB = 1 << 20
LOGIN = (
    b"<?xml version='1.0'?><methodResponse><params><param><value><struct>"
    b"<member><name>Status</name><value>Success</value></member>"
    b"<member><name>Value</name><value>OpaqueRef:1</value></member></struct></value></param></params></methodResponse>"
)


@pytest.fixture
def pool(tmp_path: Any) -> Callable[..., Any]:
    """A maker of servers that log in anyone and answer every later call with `begin` and then `more` for ever."""
    file, pin = Authority(tmp_path / "ca").certificate()

    @contextmanager
    def make(begin: bytes, more: bytes, headers: bytes = b"") -> Iterator[tuple[int, Trust, list[int]]]:
        sent = [0]
        calls = [0]

        def serve(secured: Any) -> None:
            while TlsServer.whole_request(secured):
                calls[0] += 1
                if calls[0] == 1 and headers != b"json":
                    secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(LOGIN), LOGIN))
                    continue
                extra = b"" if headers == b"json" else headers
                secured.sendall(b"HTTP/1.1 200 OK\r\n%sConnection: close\r\n\r\n%s" % (extra, begin))
                while more:
                    secured.sendall(more)
                    sent[0] += len(more)
                return

        with TlsServer([file], speak=serve) as server:
            yield server.port, Trust(fingerprint=pin), sent

    return make


def test_an_answer_of_a_pool_without_end(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_LIMIT_BYTES", 8 * MIB)
    begin = LOGIN.partition(b"OpaqueRef:1")[0]
    with pool(begin, b"x" * 65536) as (port, trust, sent):
        client = Client("127.0.0.1", port, "root", Secret("x"), trust, patience_seconds=0)
        client.login()
        with pytest.raises(TargetError, match="answers with more than"):
            client.call("VM.get_all_records")
        assert sent[0] < 64 * MIB


def test_a_list_of_a_pool_without_end(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_LIMIT_BYTES", 8 * MIB)
    with pool(b'{"result": {"', b"x" * 65536, b"json") as (port, trust, sent):
        with pytest.raises(TargetError, match="answers with more than"):
            ask_json("127.0.0.1", port, trust, "VM.get_all_records", "OpaqueRef:1", 10)
        assert sent[0] < 64 * MIB


def test_an_answer_of_a_pool_that_unpacks_to_gigabytes_is_not_unpacked(pool: Any) -> None:
    bomb = gzip.compress(bytes(256 * MIB), 9)
    with pool(bomb, b"", b"Content-Encoding: gzip\r\n") as (port, trust, _):
        client = Client("127.0.0.1", port, "root", Secret("x"), trust, patience_seconds=0)
        client.login()
        with pytest.raises(V2xError):
            client.call("VM.get_all_records")


@pytest.mark.parametrize("value", ["-1", "9" * 400, "1e9", "0x10", "nan", "", None, [], {}, True, 1.5, "٣"])
def test_numbers_of_a_pool_that_are_none(value: object) -> None:
    found = number(value)
    assert isinstance(found, int)


# vSphere


class Answering:
    """An HTTP answer over a socket pair: what `write` sends."""

    def __init__(self, write: Callable[[socket.socket], None]) -> None:
        near, far = socket.socketpair()
        far.settimeout(20)
        near.settimeout(20)

        def run() -> None:
            with far, contextlib.suppress(OSError):
                write(far)

        threading.Thread(target=run, daemon=True).start()
        self.answer = BoundedAnswer(near)
        self.answer.begin()
        near.close()


def endless(far: socket.socket) -> None:
    far.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        far.sendall(bytes(65536))


@pytest.mark.parametrize("step", [None, -1, 65536])
def test_an_answer_to_a_single_call_without_end(monkeypatch: pytest.MonkeyPatch, step: int | None) -> None:
    monkeypatch.setattr(bounded, "MOST_ANSWER_BYTES", 4 * MIB)
    answer = Answering(endless).answer
    with pytest.raises(http.client.HTTPException, match="more than 4 MiB"):
        while answer.read(step):
            pass


def test_an_answer_to_a_single_call_that_is_packed_without_being_asked_for() -> None:
    packed = gzip.compress(bytes(64 * MIB), 9)

    def write(far: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
        far.sendall(head % len(packed) + packed)

    answer = Answering(write).answer
    assert answer.getheader("Content-Encoding", "identity") == "identity"
    assert answer.getheader("content-length") == str(len(packed))
    assert io.BytesIO(answer.read()).read(2) == b"\x1f\x8b"


class Lister:
    """A session whose server gives pages made by `page(number)`."""

    host, logins = "vc.example.org", 1
    content = SimpleNamespace()

    def __init__(self, page: Callable[[int], Page[Any]]) -> None:
        self.page, self.asked = page, 0

    def read(self, *_: Any, **__: Any) -> Page[Any]:
        self.asked += 1
        return self.page(self.asked)


@pytest.mark.parametrize("full", [True, False], ids=["of new objects", "of nothing"])
def test_pages_without_end(monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    monkeypatch.setattr(collecting, "MOST_OBJECTS", 5_000)
    session = Lister(lambda number: Page("more", [f"vm-{number}-{at}" for at in range(100)] if full else []))
    target = vmodl.query.PropertyCollector("x")
    listing = collecting.Traversal(
        session, {vim.VirtualMachine: ["name"]}, [target], page=100, fetch=lambda *_: None, identity=lambda item: item
    )
    with pytest.raises(SourceError, match="lists without end") as caught:
        for _ in listing:
            pass
    assert caught.value.code == "ENDLESS-LIST"
    assert session.asked <= 102


# Hyper-V


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
def test_an_answer_of_a_host_without_end(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    monkeypatch.setattr(hyperv_session, "MOST_ANSWER_BYTES", 4 * MIB)
    file, pin = Authority(tmp_path / "ca").certificate()
    piece = gzip.compress(bytes(64 * MIB), 9)
    sent = [0]

    def serve(secured: Any) -> None:
        TlsServer.whole_request(secured)
        kind = b"Content-Encoding: gzip\r\n" if packed else b""
        secured.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n%s\r\n" % kind)
        while True:
            secured.sendall(piece)
            sent[0] += len(piece)

    with TlsServer([file], speak=serve) as server:
        access = HostAccess(
            host="127.0.0.1", user="u", trust=Trust(fingerprint=pin), password=Secret("x"), port=server.port
        )
        with pytest.raises(V2xError) as caught, PowerShellSession(access):
            pass
        assert "\n" not in caught.value.message
        assert sent[0] < 64 * MIB


# what the target holds


class Held:
    block = 2 * MIB

    def __init__(self, size: int, told: list[Any]) -> None:
        self.size, self.told = size, told

    def extents(self, start: int, length: int) -> Iterator[Any]:
        yield from self.told

    def read_into(self, offset: int, buffer: Any) -> None:
        if offset + len(buffer) > self.size:
            raise ValueError("beyond the disk")
        buffer[:] = b"\1" * len(buffer)


def test_a_disk_that_shrank_on_the_target_is_no_copy() -> None:
    table = DigestTable()
    table.add(0, digest_of(bytearray(b"\1" * 2 * MIB)))
    digests = table.record(2 * MIB, 4 * MIB)
    with pytest.raises(VerifyMismatch, match="smaller on the target"):
        verify_disk(Held(2 * MIB, []), digests, VerifyLevel.FULL, Silent(), disk="d")  # type: ignore[arg-type]
