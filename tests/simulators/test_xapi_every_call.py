# SPDX-License-Identifier: Apache-2.0
"""Every call of every version, over JSON-RPC: it exists, counts, decodes, asks for session and role, and answers.

Nothing here is written by hand for one call: names, parameters, roles and results come from the datamodel.
"""

import http.client
import json
import ssl
import sys
from typing import Any

import pytest

from v2x.simulators.xapi import PROFILES, Account, Layout, Pool
from v2x.simulators.xapi.datamodel import Datamodel, Message, Type, load

NULL = "OpaqueRef:NULL"
GONE = "OpaqueRef:gone"
_NO_DANGLING = frozenset({"event.inject"})
"""Calls whose class comes as text beside the reference."""


class Json:
    """One connection, kept alive. `ask` returns (result, None) or (None, [code, …])."""

    def __init__(self, address: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._connection = http.client.HTTPSConnection(address, context=context, timeout=30)

    def ask(self, method: str, *params: Any) -> tuple[Any, list[str] | None]:
        self._connection.request("POST", "/jsonrpc", json.dumps({"method": method, "params": params, "id": 1}))
        told = json.loads(self._connection.getresponse().read())
        return told["result"], told["error"]

    def login(self, user: str, password: str) -> str:
        session, error = self.ask("session.login_with_password", user, password)
        assert error is None, error
        return session


def sample(model: Datamodel, type_: Type, ref: str = GONE) -> Any:
    """A value of the type, as JSON has it."""
    if type_.kind == "record":
        fields = model.classes[type_.name].fields.values()
        return {f.name: sample(model, f.type, ref) for f in fields if f.ctor == "required"}
    if type_.kind == "option":
        return sample(model, type_.args[0], ref)
    simple = {"string": "x", "int": 1, "float": 1.0, "bool": False, "datetime": "20260102T03:04:05Z", "ref": ref}
    if type_.kind in ("set", "map"):
        return [] if type_.kind == "set" else {}
    return model.enums[type_.name][0] if type_.kind == "enum" else simple[type_.kind]


def wrong(type_: Type) -> Any:
    """A value that no decoder of the type takes."""
    return {"never": "a text"} if type_.kind not in ("map", "record") else "no struct"


def arguments(message: Message, model: Datamodel, ref: str = GONE) -> list[Any]:
    return [sample(model, p.type, ref) for p in message.params]


def fits(model: Datamodel, type_: Type, value: Any) -> bool:
    """Whether a JSON value is one of the type."""
    if type_.kind == "set":
        return isinstance(value, list) and all(fits(model, type_.args[0], one) for one in value)
    if type_.kind == "map":
        return isinstance(value, dict) and all(fits(model, type_.args[1], one) for one in value.values())
    if type_.kind == "record":
        return isinstance(value, dict)
    if type_.kind == "enum":
        return value in model.enums[type_.name]
    if type_.kind in ("int", "bool", "float"):
        kinds = {"int": int, "bool": bool, "float": (int, float)}
        return isinstance(value, kinds[type_.kind]) and (type_.kind == "bool" or not isinstance(value, bool))
    return isinstance(value, str)


@pytest.fixture(params=sorted(PROFILES))
def version(request):
    return request.param


@pytest.fixture
def model(version):
    return load(PROFILES[version].datamodel)


@pytest.fixture
def walked(simulated_pool, version) -> Pool:
    return simulated_pool(profile=version, hosts=2, layout=Layout(hosts=2, nics=2), accounts=ACCOUNTS, save=False)


ACCOUNTS = [Account(f"a {role}", "p", role) for role in load("head").roles]


def test_invariant_03_every_call_counts_decodes_and_asks_for_a_session_in_this_order(walked, model):
    client = Json(walked.address)
    told, _error = client.ask("system.listMethods")
    assert sorted(told) == sorted(m.full_name for m in model.calls.values())
    for message in model.calls.values():
        name, first = message.full_name, [] if message.no_session else ["no session"]
        given = arguments(message, model)
        most, least = len(message.params), message.least_params
        mismatch = ["MESSAGE_PARAMETER_COUNT_MISMATCH", name, str(most)]
        assert client.ask(name, *first, *given, "more")[1] == [*mismatch, str(most + 1)]
        if least:
            assert client.ask(name, *first, *given[: least - 1])[1] == [*mismatch, str(least - 1)]
        for at, param in enumerate(message.params):
            _result, error = client.ask(name, *first, *given[:at], wrong(param.type), *given[at + 1 :])
            assert error and error[0] == "INTERNAL_ERROR", (name, param, error)
        if not message.no_session:
            for count in {least, most}:
                assert client.ask(name, *first, *given[:count])[1] == ["SESSION_INVALID", "no session"], name
    assert client.ask("VM.no_such_call", "no session")[1] == ["MESSAGE_METHOD_UNKNOWN", "VM.no_such_call"]


def test_invariant_07_async_is_of_the_calls_that_the_datamodel_marks_and_of_no_other(walked, model):
    client = Json(walked.address)
    for message in model.calls.values():
        first = [] if message.no_session else ["no session"]
        _result, error = client.ask(f"Async.{message.full_name}", *first, *arguments(message, model), "more")
        if message.is_async:
            assert error and error[0] == "MESSAGE_PARAMETER_COUNT_MISMATCH", (message.full_name, error)
        else:
            assert error and error[0] == "INTERNAL_ERROR" and "asynchronous" in error[1], (message.full_name, error)
    assert not any(m.is_async for m in model.calls.values() if m.kind in ("getter", "setter", "add", "remove"))


def test_invariant_06_every_call_has_its_least_role(walked, model):
    client = Json(walked.address)
    sessions = {role: client.login(f"a {role}", "p") for role in model.roles}
    for message in model.calls.values():
        if message.no_session or message.full_name.startswith("session."):
            continue
        given = arguments(message, model)
        if message.pool_internal or message.role not in model.roles:
            denied, allowed = "pool-admin", None
        else:
            at = model.roles.index(message.role)
            allowed, denied = model.roles[at], model.roles[at + 1] if at + 1 < len(model.roles) else None
        if denied is not None:
            _result, error = client.ask(message.full_name, sessions[denied], *given)
            assert error and error[:2] == ["RBAC_PERMISSION_DENIED", message.full_name.lower()], message.full_name
        if allowed is not None and message.full_name not in _NOT_FOR_OTHERS:
            _result, error = client.ask(message.full_name, sessions[allowed], *given)
            assert not error or error[0] != "RBAC_PERMISSION_DENIED", (message.full_name, error)


_NOT_FOR_OTHERS = frozenset({"pool.designate_new_master", "event.next"})


def test_every_call_names_a_reference_that_is_gone(walked, model):
    """A call whose first parameter is a reference says which class it was to be of, whatever else is wrong."""
    client = Json(walked.address)
    session = client.login(walked.user, walked.password)
    for message in model.calls.values():
        if message.no_session or message.pool_internal or not message.params or message.full_name in _NO_DANGLING:
            continue
        first = message.params[0].type
        if first.kind == "ref":
            _result, error = client.ask(message.full_name, session, *arguments(message, model))
            assert error == ["HANDLE_INVALID", first.name, GONE], (message.full_name, error)


class _Crashes:
    """Collects what the server prints when a call ends in something that nobody foresaw."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, kind: type, error: BaseException, trace: Any) -> None:
        self.seen.append(f"{kind.__name__}: {error}")


_ENDS = ("session.logout", "session.local_logout", "event.next", "event.from", "pool.designate_new_master")
"""Calls that end the walk, or wait."""


def _existing(walked: Pool, model: Datamodel, message: Message) -> list[Any]:
    """Arguments whose references lead to records that are there, where there are any."""
    given = []
    for param in message.params:
        found = walked.records(param.type.name) if param.type.kind == "ref" else {}
        given.append(sample(model, param.type, next(reversed(found), NULL)))
    return ["true"] if message.name.endswith("_where") else given


def test_every_call_answers_with_its_type_or_with_an_error_of_the_datamodel(walked, model, monkeypatch):
    crashes = _Crashes()
    monkeypatch.setattr(sys, "excepthook", crashes)
    client = Json(walked.address)
    session = client.login(walked.user, walked.password)
    codes = set(model.errors)
    answered = 0
    for message in model.calls.values():
        name = message.full_name
        if message.no_session or name in _ENDS:
            continue
        given = _existing(walked, model, message)
        result, error = client.ask(name, session, *given)
        if error and error[0] == "SESSION_INVALID":
            session = client.login(walked.user, walked.password)
            result, error = client.ask(name, session, *given)
        assert not crashes.seen, (name, crashes.seen)
        if error:
            assert error[0] in codes or error[0].startswith("SR_BACKEND_FAILURE_"), (name, error)
            assert error[0] not in ("MESSAGE_METHOD_UNKNOWN", "SESSION_INVALID"), (name, error)
            assert all(isinstance(part, str) for part in error)
            continue
        answered += 1
        if message.result is None:
            assert result == "", (name, result)
        elif message.cls != "event":
            assert fits(model, message.result, result), (name, message.result, result)
    assert answered > len(model.calls) / 2
