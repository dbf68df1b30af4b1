# SPDX-License-Identifier: Apache-2.0
"""A pool whose every answer is given: what a simulated one said, with one of its answers changed.

An input is the name of a call, a line end, and the body of its answer; a name that begins with `json:` is of JSON-RPC.
"""

import http.client
import io
import json
import re
import ssl
import tempfile
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any

from tests.fuzz import edits
from v2x.errors import V2xError
from v2x.model.codec import to_json
from v2x.secrets import Secret
from v2x.simulators.xapi import Pool
from v2x.target.xapi import connection, facts
from v2x.target.xapi.client import Client
from v2x.target.xapi.listing import records
from v2x.target.xapi.load import LoadMeter
from v2x.target.xapi.mirror import Mirror
from v2x.tls import Trust

_LISTED = ["pool", "host", "host_metrics", "SR", "PBD", "SM", "network", "PIF", "VLAN", "VM", "VIF", "VDI"]
_MOST_RECORDS = 2
_METHOD = re.compile(rb"<methodName>([^<]{1,80})</methodName>")
_FIELDS = {"VM": ("uuid", "name_label", "other_config"), "VIF": ("VM", "MAC"), "SR": ("uuid", "name_label")}
_NOW = datetime(2026, 5, 6, tzinfo=UTC)

Answers = Mapping[str, bytes]


@cache
def answers() -> Answers:
    """What a simulated pool with storage, networks and a machine answers, by call."""
    with tempfile.TemporaryDirectory() as folder, Pool(folder, login_delay=0, release_delay=0) as pool:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        wire = http.client.HTTPSConnection(pool.address, context=context)

        def ask(path: str, body: bytes) -> bytes:
            wire.request("POST", path, body, {"Content-Type": "text/xml"})
            return wire.getresponse().read()

        found: dict[str, bytes] = {}

        def call(method: str, *parameters: object) -> Any:
            body = ask("/", xmlrpc.client.dumps(parameters, method).encode())  # type: ignore[arg-type]
            answer: Any = xmlrpc.client.loads(body)[0][0]
            kept = {**answer, "Value": _few(answer["Value"])}
            found[method] = xmlrpc.client.dumps((kept,), methodresponse=True).encode()
            return answer

        session = call("session.login_with_password", pool.user, pool.password, "1.1", "v2x")["Value"]
        for kind in _LISTED:
            call(f"{kind}.get_all_records", session)
            asked = {"jsonrpc": "2.0", "method": f"{kind}.get_all_records", "params": [session], "id": 1}
            told = json.loads(ask("/jsonrpc", json.dumps(asked).encode()))
            found[f"json:{kind}.get_all_records"] = json.dumps({**told, "result": _few(told["result"])}).encode()
        host, pool_reference = call("host.get_all", session)["Value"][0], call("pool.get_all", session)["Value"][0]
        domain = call("host.get_record", session, host)["Value"]["control_domain"]
        call("VM.get_record", session, domain)
        call("event.inject", session, "pool", pool_reference)
        call("event.from", session, ["vm", "vdi"], "", 1.0)
        call("VM.get_data_sources", session, domain)
        call("VM.query_data_source", session, domain, "cpu0")
        call("host.get_data_sources", session, host)
        wire.close()
    return found


def _few(records: Any) -> Any:
    """Some of many records, so that an input stays small; those of machines before those of templates."""
    if isinstance(records, dict) and "events" in records:
        return {**records, "events": records["events"][:4]}
    if not isinstance(records, dict) or len(records) <= _MOST_RECORDS:
        return records
    order = sorted(
        records, key=lambda one: bool(records[one].get("is_a_template")) if isinstance(records[one], dict) else 0
    )
    return {one: records[one] for one in order[:_MOST_RECORDS]}


def seeds() -> list[bytes]:
    return [f"{call}\n".encode() + body for call, body in sorted(answers().items())]


class _Socket:
    """Answers each request from `given`; what is not in it is a failure of the pool."""

    def __init__(self, given: Answers) -> None:
        self._given = given
        self._sent = b""

    def settimeout(self, seconds: float) -> None:
        """Answers come at once."""

    def sendall(self, data: bytes) -> None:
        self._sent += data

    def makefile(self, *_: object, **__: object) -> io.BytesIO:
        sent, self._sent = self._sent, b""
        if b" /jsonrpc " in sent[:40]:
            call = "json:" + str(json.loads(sent.partition(b"\r\n\r\n")[2])["method"])
        else:
            method = _METHOD.search(sent)
            call = method[1].decode() if method else ""
        body = self._given.get(call)
        if body is None:
            refusal = {"Status": "Failure", "ErrorDescription": ["HANDLE_INVALID"]}
            body = xmlrpc.client.dumps((refusal,), methodresponse=True).encode()
        if body.startswith(b"HTTP/"):
            return io.BytesIO(body)
        return io.BytesIO(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def close(self) -> None:
        """Nothing was opened."""


@contextmanager
def talking(given: Answers) -> Iterator[Client]:
    """A client of a pool that answers so, for which no time passes but what it waits."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += max(seconds, 0.1)

    kept, connection.connect = connection.connect, lambda *_: _Socket(given)  # type: ignore[assignment]
    try:
        yield Client("pool", 443, "root", Secret("x"), Trust(), patience_seconds=2, now=lambda: clock[0], sleep=sleep)
    finally:
        connection.connect = kept


def read(data: bytes) -> bool:
    """Whether all that v2x asks a pool for came to something; nothing but V2xErrors escape."""
    name, sign, body = data.partition(b"\n")
    call = name.decode("ascii", "replace")
    if not sign or call not in answers():
        return False
    understood = True
    with talking({**answers(), call: body}) as client:
        for ask in _questions(client, call):
            try:
                ask()
            except V2xError:
                understood = False
    return understood


def _questions(client: Client, call: str) -> Iterator[Callable[[], object]]:
    """What v2x asks for in which `call` is part."""
    method = call.removeprefix("json:")
    kind = method.partition(".")[0]
    if method.endswith(".get_all_records"):
        yield lambda: to_json(facts.take(client, _NOW))
        if kind in _FIELDS:
            yield lambda: records(client, kind, *_FIELDS[kind])
    if kind in {"VM", "VDI", "event", "pool"}:
        yield lambda: Mirror(client).of("VM", "tag")
    if kind in {"VM", "VDI", "SR", "host"}:
        yield lambda: LoadMeter(client).load([], ["a"])
    if not method.startswith("session."):
        yield lambda: client.call(method, "ref")
    else:
        yield client.login


def changed(data: bytes, chance: Random) -> bytes:
    name, _, body = data.partition(b"\n")
    if not chance.randrange(20):
        status = chance.choice([b"200 OK", b"302 Found\r\nLocation: https://other/", b"500 No", b"999999999", b""])
        head = chance.choice(
            [b"Content-Length: 5", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"X: " + b"y" * 70000]
        )
        return name + b"\nHTTP/1.1 " + status + b"\r\n" + head + b"\r\n\r\n" + body
    if name.startswith(b"json:"):
        return name + b"\n" + edits.parsed_json(body, chance)
    return name + b"\n" + edits.xml(body, chance)
