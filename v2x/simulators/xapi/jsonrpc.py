# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC 1.0 and 2.0 as xapi speaks it (xapi: ocaml-rpc jsonrpc.ml): ints are numbers, dates strings, void ""."""

import json
from dataclasses import dataclass
from typing import Any

from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.wire import BAD_TEXT
from v2x.simulators.xapi.xmlrpc import Malformed


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    params: list[Any]
    id: int | str
    second: bool
    """JSON-RPC 2.0 rather than 1.0."""


def parse(body: bytes) -> Request:
    """The request in `body`; Malformed when it is none. An `id` is mandatory."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = body.decode("utf-8", "replace").replace("\ufffd", BAD_TEXT)
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from None
    if not isinstance(raw, dict) or not isinstance(raw.get("method"), str):
        raise Malformed("no method")
    ident = raw.get("id")
    if isinstance(ident, bool) or not isinstance(ident, (int, str)):
        raise Malformed("no id")
    params = raw.get("params", [])
    if not isinstance(params, list):
        raise Malformed("params are no list")
    version = raw.get("jsonrpc")
    if version not in (None, "1.0", "2.0"):
        raise Malformed("unknown version")
    return Request(raw["method"], params, ident, version == "2.0")


def success(request: Request, value: Any) -> bytes:
    result = "" if value is None else value
    if request.second:
        return json.dumps({"jsonrpc": "2.0", "result": result, "id": request.id}).encode()
    return json.dumps({"result": result, "error": None, "id": request.id}).encode()


def failure(request: Request, error: ApiError) -> bytes:
    if request.second:
        told = {"code": 1, "message": error.code, "data": list(error.params)}
        return json.dumps({"jsonrpc": "2.0", "error": told, "id": request.id}).encode()
    return json.dumps({"result": None, "error": error.description, "id": request.id}).encode()
