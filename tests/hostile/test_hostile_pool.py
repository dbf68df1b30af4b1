# SPDX-License-Identifier: Apache-2.0
"""Answers of something that is no pool, or of one that lies about them: one of v2x's errors, in bounded memory."""

import tracemalloc
import xmlrpc.client
from collections.abc import Callable
from typing import Any

import pytest

from tests.fuzz.pool import answers, talking
from v2x.errors import ConnectError, TargetError, V2xError
from v2x.target.xapi import connection
from v2x.target.xapi.listing import records

LOGIN = "session.login_with_password"
LIST = "VM.get_all_records"

STRUCTURES = {
    "a member without a value": "<struct><member><name>Status</name></member></struct>",
    "a value without a name": "<struct><member><value>x</value></member></struct>",
    "an array of nothing known": "<array><data><value><nothing/></value></data></array>",
    "a number without digits": "<int></int>",
    "a number beyond all": f"<int>{'9' * 5000}</int>",
}


@pytest.mark.parametrize("name", sorted(STRUCTURES))
@pytest.mark.parametrize("call", [LOGIN, LIST])
def test_structures_that_the_standard_library_stumbles_over(name: str, call: str) -> None:
    body = f"<methodResponse><params><param><value>{STRUCTURES[name]}</value></param></params></methodResponse>"
    given = {**answers(), call: body.encode()}
    with talking(given) as client, pytest.raises((ConnectError, TargetError)) as refused:
        client.call(LIST)
    assert "XML" not in refused.value.message and "\n" not in refused.value.message


@pytest.mark.parametrize("details", [[], [7], [""], "text", 5, [["nested"]], {"a": "b"}])
def test_a_failure_that_names_none(details: Any) -> None:
    body = xmlrpc.client.dumps(({"Status": "Failure", "ErrorDescription": details},), methodresponse=True).encode()
    for call in (LOGIN, LIST):
        with talking({**answers(), call: body}) as client, pytest.raises(V2xError):
            client.call(LIST)


LENGTHS = {
    "beyond any integer": b"Content-Length: " + b"9" * 30,
    "of a tebibyte": b"Content-Length: 1099511627776",
    "in a chunk of a tebibyte": b"Transfer-Encoding: chunked\r\n\r\n10000000000",
    "in a chunk beyond any integer": b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 30,
    "in a negative chunk": b"Transfer-Encoding: chunked\r\n\r\n-5",
}


@pytest.mark.parametrize("name", sorted(LENGTHS))
@pytest.mark.parametrize("call", [LIST, f"json:{LIST}"])
def test_an_answer_of_impossible_length(name: str, call: str) -> None:
    """No memory is taken for what was claimed, and never half an answer for a whole one."""
    given = {**answers(), call: b"HTTP/1.1 200 OK\r\n" + LENGTHS[name] + b"\r\n\r\n{}"}
    ask: Callable[[Any], object] = lambda client: client.call(LIST)  # noqa: E731
    if call.startswith("json:"):
        ask = lambda client: records(client, "VM", "uuid")  # noqa: E731
    with talking(given) as client:
        client.login()
        tracemalloc.start()
        try:
            with pytest.raises(V2xError):
                ask(client)
            assert tracemalloc.get_traced_memory()[1] < 16 << 20
        finally:
            tracemalloc.stop()


def test_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_LIMIT_BYTES", 1 << 20)
    body = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b" " * (4 << 20)
    with talking({**answers(), f"json:{LIST}": body}) as client, pytest.raises(V2xError):
        records(client, "VM", "uuid")
