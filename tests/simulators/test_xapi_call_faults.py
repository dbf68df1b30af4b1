# SPDX-License-Identifier: Apache-2.0
"""Faults of single calls of the simulated pool: late, cut, garbled, refused by HTTP, before and after their effect."""

import http.client
import json
import ssl
import time
import xmlrpc.client

import pytest


@pytest.fixture
def pool(simulated_pool):
    return simulated_pool()


class Caller:
    """The standard library as a client that tries nothing twice."""

    def __init__(self, pool):
        self.host, _, self.port = pool.address.partition(":")
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.session = self.call("session.login_with_password", pool.user, pool.password)["Value"]

    def post(self, path, body):
        """Status and body of one request on a connection of its own."""
        connection = http.client.HTTPSConnection(self.host, int(self.port), context=self.context, timeout=20)
        try:
            connection.request("POST", path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def call(self, method, *params):
        status, body = self.post("/", xmlrpc.client.dumps(params, method).encode())
        assert status == 200, status
        return xmlrpc.client.loads(body)[0][0]

    def tag(self, pool, name="mark"):
        return self.call("pool.add_tags", self.session, pool.state.pool_ref, name)


def tags(pool):
    (one,) = pool.records("pool").values()
    return list(one["tags"])


@pytest.fixture
def caller(pool):
    return Caller(pool)


def test_a_call_that_never_happened(pool, caller):
    pool.faults.arm("status", target="pool.add_tags", at=503)
    with pytest.raises(AssertionError, match="503"):
        caller.tag(pool)
    assert tags(pool) == []
    assert caller.tag(pool)["Status"] == "Success"
    assert tags(pool) == ["mark"]


def test_a_call_whose_answer_is_an_error_of_http(pool, caller):
    pool.faults.arm("status_late", target="effect")
    with pytest.raises(AssertionError, match="500"):
        caller.tag(pool)
    assert tags(pool) == ["mark"]


@pytest.mark.parametrize("at", [0, 40])
def test_a_call_whose_answer_is_cut(pool, caller, at):
    pool.faults.arm("cut_answer", target="pool.add_tags", at=at)
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        caller.tag(pool)
    assert tags(pool) == ["mark"]


def test_a_call_whose_answer_is_garbled(pool, caller):
    pool.faults.arm("broken", target="rpc", after=1)
    assert caller.call("session.get_uuid", caller.session, caller.session)["Status"] == "Success"
    with pytest.raises(xmlrpc.client.expat.ExpatError):
        caller.tag(pool)
    assert tags(pool) == ["mark"]


def test_json_is_garbled_too(pool, caller):
    pool.faults.arm("broken", target="look")
    order = {"jsonrpc": "2.0", "method": "pool.get_all", "params": [caller.session], "id": 1}
    status, body = caller.post("/jsonrpc", json.dumps(order).encode())
    assert status == 200
    with pytest.raises(ValueError, match=r"control character|Invalid|Expecting|Extra"):
        json.loads(body)
    assert json.loads(caller.post("/jsonrpc", json.dumps(order).encode())[1])["result"]


def test_a_call_that_comes_late(pool, caller):
    pool.faults.arm("slow", target="pool.add_tags", seconds=0.3)
    begun = time.monotonic()
    caller.call("session.get_uuid", caller.session, caller.session)
    assert time.monotonic() - begun < 0.3
    caller.tag(pool)
    assert time.monotonic() - begun >= 0.3


def test_an_asynchronous_call_is_named_without_that(pool, caller):
    pool.faults.arm("status", target="VM.clean_shutdown")
    with pytest.raises(AssertionError, match="500"):
        caller.call("Async.VM.clean_shutdown", caller.session, "OpaqueRef:NULL")
