# SPDX-License-Identifier: Apache-2.0
"""Answers of vCenter (SOAP) and of Hyper-V hosts (PowerShell remoting) as targets.

An input is the place of the answer in what was recorded of a simulated server, a line end, and its body.
"""

import base64
import gzip
import http.client
import io
import re
import struct
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from pyVmomi import vim

from tests import hyperv_estates
from tests.fuzz import edits
from v2x.errors import V2xError
from v2x.model.address import parse_address
from v2x.model.codec import from_json, to_json
from v2x.model.machine import Machine
from v2x.secrets import Secret
from v2x.simulators.hyperv.service import HyperV
from v2x.simulators.vsphere import VsphereSimulator
from v2x.sources.hyperv.document import read_document
from v2x.sources.hyperv.login import host_access
from v2x.sources.hyperv.scripts import COLLECT
from v2x.sources.hyperv.session import PowerShellSession
from v2x.sources.vsphere import pages, session
from v2x.sources.vsphere.machine import PATHS, Around, read_machine
from v2x.sources.vsphere.networks import read_networks
from v2x.sources.vsphere.session import VsphereSession
from v2x.sources.vsphere.source import VsphereSource
from v2x.sources.vsphere.surroundings import Surroundings
from v2x.tls import Trust

_MOST_BODY = 20_000
_MESSAGE = re.compile(rb"MessageID[^>]*>(uuid:[0-9A-Fa-f-]+)<")
_STREAM = re.compile(rb"Stream[^>]*>([A-Za-z0-9+/=]{88,})<")
_FRAGMENT = struct.Struct(">QQBI")
_MESSAGE_HEAD = 40
_RELATES = re.compile(rb"(RelatesTo[^>]*>)uuid:[0-9A-Fa-f-]+(?=<)")


def placed(data: bytes) -> tuple[int, bytes] | None:
    head, sign, body = data.partition(b"\n")
    return (int(head), body) if sign and head.isdigit() and len(head) < 5 else None


def changed(data: bytes, chance: Random) -> bytes:
    head, sign, body = data.partition(b"\n")
    return head + sign + edits.xml(body, chance)


class _Answer(io.BytesIO):
    """As much of http.client's answer as pyVmomi and the pages take."""

    reason = "x"

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(body)
        self.status = status

    def getheader(self, name: str, default: str | None = None) -> str | None:
        return default


class _Wire:
    """A connection to a server that answers everything alike."""

    def __init__(self, status: int, body: bytes) -> None:
        self._answer = status, body

    def request(self, *_: object) -> None:
        """Nothing is sent."""

    def getresponse(self) -> _Answer:
        return _Answer(*self._answer)

    def close(self) -> None:
        """Nothing is open."""


@cache
def soap_answers() -> tuple[tuple[int, bytes], ...]:
    """(HTTP status, body) of what a stand-in for vCenter answers while it is listed; long ones without most objects."""
    found: dict[bytes, int] = {}

    def recorded(base: type[http.client.HTTPResponse]) -> type[http.client.HTTPResponse]:
        class Recorded(base):  # type: ignore[misc,valid-type]
            def begin(self) -> None:
                super().begin()
                body = super().read()
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                del self.headers["Content-Encoding"]
                found.setdefault(_shortened(body), self.status)
                self.fp, self.length, self.chunked = io.BytesIO(body), len(body), False

        return Recorded

    with tempfile.TemporaryDirectory() as folder, VsphereSimulator(Path(folder)) as server:
        address = parse_address(f"vsphere://{server.user}@127.1:{server.port}")
        trust = Trust(fingerprint=server.fingerprint, option="source")
        with (
            patch.object(session, "BoundedAnswer", recorded(session.BoundedAnswer)),
            patch.object(http.client, "HTTPResponse", recorded(http.client.HTTPResponse)),
            VsphereSource.open(address, password=Secret(server.password), trust=trust) as source,
        ):
            source.inventory()
    return tuple((status, body) for body, status in found.items() if b"nvelope" in body and len(body) < _MOST_BODY)


def _shortened(body: bytes) -> bytes:
    """Without most of the objects of a page."""
    if len(body) < _MOST_BODY or b"<objects>" not in body:
        return body
    head, *objects = body.split(b"<objects>")
    tail = objects[-1].partition(b"</objects>")[2]
    kept, size = [], 0
    for one in sorted((one.partition(b"</objects>")[0] for one in objects), key=len)[::-1]:
        if size + len(one) < _MOST_BODY - 2000:
            kept.append(b"<objects>" + one + b"</objects>")
            size += len(one)
    return head + b"".join(kept[:6]) + tail


def soap_seeds() -> list[bytes]:
    return [f"{number}\n".encode() + body for number, (_, body) in enumerate(soap_answers())]


def read_soap(data: bytes) -> bool:
    """As a page of a listing with the machines in it, and as the answer to calls of pyVmomi."""
    found = placed(data)
    if found is None or found[0] >= len(soap_answers()):
        return False
    opened = answering(soap_answers()[found[0]][0], found[1])
    understood = False
    for ask in (_listing, _retrieved, _called):
        try:
            ask(opened)
            understood = True
        except (V2xError, session._SessionEnded):
            continue
    return understood


def answering(status: int, body: bytes) -> VsphereSession:
    """A session with a server that gives this answer to every call."""
    opened = VsphereSession("server", 443, "u", Secret("p"), Trust(), sleep=lambda _: None)
    opened._stub = stub = session._Stub(host="server", path="/sdk", version="vim.version.version9")
    opened._content = _content(stub)
    stub.GetConnection = lambda: _Wire(status, body)
    return opened


def _content(stub: Any) -> Any:
    made = vim.ServiceInstanceContent()
    made.propertyCollector = vim.PropertyCollector("c", stub)
    made.sessionManager = vim.SessionManager("s", stub)
    return made


def _listing(opened: VsphereSession) -> None:
    page = opened.read(pages._page, opened, "ContinueRetrievePropertiesEx", "token")
    near = Surroundings.of(page.items)
    to_json((near.networks, near.hosts, near.clusters, near.datastores, read_networks(page.items, near.name)))
    for row in page.items:
        if row.ref.kind == "VirtualMachine":
            machine = read_machine(row, Around(surroundings=near))
            assert from_json(to_json(machine), Machine) == machine


def _retrieved(opened: VsphereSession) -> None:
    collector = opened.content.propertyCollector
    opened.read(collector.ContinueRetrievePropertiesEx, "token")
    machine = vim.VirtualMachine("vm-1", opened.stub)
    for number, _ in enumerate(opened.retrieve(vim.VirtualMachine, PATHS, objects=[machine])):
        if number > 20:
            break


def _called(opened: VsphereSession) -> None:
    opened.read(vim.ServiceInstance("ServiceInstance", opened.stub).RetrieveContent)
    opened.call(vim.VirtualMachine("vm-1", opened.stub).QueryChangedDiskAreas, None, 2000, 0, "*")


def psrp_changed(data: bytes, chance: Random) -> bytes:
    """Mostly a message within the envelope: Base64 of fragments ([MS-PSRP] 2.2.4), each a head and CLIXML."""
    streams = list(_STREAM.finditer(data))
    if not streams or not chance.randrange(3):
        return changed(data, chance)
    stream = chance.choice(streams)
    raw = base64.b64decode(stream[1])
    number, part, ends, length = _FRAGMENT.unpack_from(raw)
    begin = _FRAGMENT.size + _MESSAGE_HEAD
    message = edits.xml(raw[begin : _FRAGMENT.size + length].removeprefix(b"\xef\xbb\xbf"), chance)
    made = _FRAGMENT.pack(number, part, ends, _MESSAGE_HEAD + len(message)) + raw[_FRAGMENT.size : begin] + message
    made += raw[_FRAGMENT.size + length :]
    return data[: stream.start(1)] + base64.b64encode(made) + data[stream.end(1) :]


@cache
def psrp_answers() -> tuple[bytes, ...]:
    """What a stand-in for a Hyper-V host answers, from the opening of a session to its end, while it is collected."""
    found: list[bytes] = []
    made = hyperv_estates.estate(hyperv_estates.virtual_machine(disks=[]))
    with tempfile.TemporaryDirectory() as folder, HyperV(Path(folder), smb=False, estate=made) as server:
        password, trust = Secret(server.password), Trust(fingerprint=server.fingerprint)
        access = host_access("127.0.0.1", server.nodes[0].https.port, "hvadmin", password, trust, {})
        with _recording(found), PowerShellSession(access) as opened:
            opened.run(COLLECT)
    return tuple(found)


def _recording(found: list[bytes]) -> Any:
    from pypsrp.wsman import _TransportHTTP

    send = _TransportHTTP.send

    def recorded(self: Any, message: bytes, **options: Any) -> bytes:
        answer: bytes = send(self, message, **options)
        found.append(answer)
        return answer

    return patch.object(_TransportHTTP, "send", recorded)


def psrp_seeds() -> list[bytes]:
    return [f"{number}\n".encode() + body for number, body in enumerate(psrp_answers())]


def read_psrp(data: bytes) -> bool:
    """The same conversation again with one answer changed; what comes after its end is an error of the connection."""
    found = placed(data)
    if found is None or found[0] >= len(psrp_answers()):
        return False
    given: Iterator[bytes] = iter([*psrp_answers()[: found[0]], found[1], *psrp_answers()[found[0] + 1 :]])
    times = iter(range(1_000_000))

    def answered(self: Any, message: bytes, **_: Any) -> bytes:
        answer = next(given, None)
        if answer is None:
            raise http.client.RemoteDisconnected("the conversation is over")
        sent = _MESSAGE.search(message)
        return _RELATES.sub(b"\\1" + sent[1], answer) if sent else answer

    from pypsrp.wsman import _TransportHTTP

    access = host_access("server", 5986, "u", Secret("p"), Trust(), {})
    with patch.object(_TransportHTTP, "send", answered):
        try:
            with PowerShellSession(access, clock=lambda: float(next(times))) as opened:
                reply = opened.run(COLLECT, deadline_seconds=200)
            document = read_document(reply.text, "server")
            hyperv_estates.read_estate([document], "hyperv://x", hyperv_estates.NOW)
        except V2xError:
            return False
    return True
