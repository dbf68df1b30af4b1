# SPDX-License-Identifier: Apache-2.0
"""XML-RPC as xapi speaks it (xapi: ocaml-rpc xmlrpc.ml): strict about types, no entities, no DTD, bounded depth.

The stdlib's parser is too lenient to stand for the server, so this one is written over expat.
"""

import base64
import binascii
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from xml.parsers import expat

from v2x.simulators.xapi.datamodel import DateTime
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.wire import BAD_TEXT, I4, Binary

_SCALARS = frozenset({"string", "int", "i4", "i8", "boolean", "double", "dateTime.iso8601", "base64", "nil", "ex:nil"})
_DEPTH_LIMIT = 64
_CONTROL = {n: None for n in range(0x20) if n not in (0x09, 0x0A)}


class Malformed(Exception):
    """The body is no XML-RPC."""


def _scalar(tag: str, text: str) -> Any:
    try:
        if tag == "string":
            return text
        if tag in ("int", "i4", "i8"):
            return int(text.strip(), 10)
        if tag == "double":
            return float(text.strip())
        if tag == "base64":
            return Binary(base64.b64decode(text, validate=False))
    except (ValueError, binascii.Error) as error:
        raise Malformed(str(error)) from None
    if tag == "boolean":
        if text.strip() not in ("0", "1"):
            raise Malformed(f"boolean {text[:20]!r}")
        return text.strip() == "1"
    return DateTime(text.strip()) if tag == "dateTime.iso8601" else None


class _Builder:
    """Follows the elements; a finished value lands in the container on top of the stack."""

    def __init__(self) -> None:
        self.method = ""
        self.params: list[Any] = []
        self._containers: list[list[Any] | dict[str, Any]] = []
        self._names: list[str] = []
        self._text: list[str] = []
        self._values: list[list[Any]] = []
        self._path: list[str] = []

    def start(self, tag: str, _attrs: dict[str, str]) -> None:
        self._path.append(tag)
        if len(self._path) > _DEPTH_LIMIT:
            raise Malformed("nested too deeply")
        self._text = []
        if tag == "value":
            self._values.append([])
        elif tag == "array":
            self._containers.append([])
        elif tag == "struct":
            self._containers.append({})

    def text(self, data: str) -> None:
        self._text.append(data)

    def end(self, tag: str) -> None:
        self._path.pop()
        text = "".join(self._text)
        if tag == "value":
            self._end_value(text)
        elif tag in _SCALARS:
            self._put(_scalar(tag, text))
        elif tag in ("array", "struct"):
            self._put(self._containers.pop())
        elif tag == "name":
            self._names.append(text)
        elif tag == "methodName":
            self.method = text.strip()
        elif tag not in ("methodCall", "params", "param", "data", "member"):
            raise Malformed(f"element {tag}")
        self._text = []

    def _put(self, value: Any) -> None:
        if not self._values:
            raise Malformed("a typed value outside <value>")
        self._values[-1].append(value)

    def _end_value(self, text: str) -> None:
        got = self._values.pop()
        if len(got) > 1:
            raise Malformed("two values in one")
        value = got[0] if got else text
        parent = self._path[-1] if self._path else ""
        if parent == "data" and self._containers and isinstance(self._containers[-1], list):
            self._containers[-1].append(value)
        elif parent == "member" and self._containers and isinstance(self._containers[-1], dict):
            if not self._names:
                raise Malformed("a member without a name")
            self._containers[-1][self._names.pop()] = value
        elif parent in ("param", ""):
            self.params.append(value)
        else:
            raise Malformed(f"a value in {parent}")


def _refuse(*_args: Any) -> None:
    raise Malformed("a document type or an entity")


def _parse(body: bytes) -> _Builder:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        body = body.decode("utf-8", "surrogateescape").encode("utf-8", "surrogatepass")
        text = body.decode("utf-8", "surrogatepass")
        body = "".join(BAD_TEXT if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text).encode()
    builder = _Builder()
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise Malformed(str(error)) from None
    return builder


def parse_call(body: bytes) -> tuple[str, list[Any]]:
    """A methodCall as (method, parameters). Malformed when it is none."""
    builder = _parse(body)
    if not builder.method:
        raise Malformed("no methodName")
    return builder.method, builder.params


def parse_value(body: bytes) -> Any:
    """A document that is one `<value>`, as ova.xml is."""
    builder = _parse(body)
    if len(builder.params) != 1 or builder.method:
        raise Malformed("not one value")
    return builder.params[0]


def attributes_of(body: bytes, tag: str) -> list[dict[str, str]]:
    """The attributes of each element `tag` of a small document, as in other_config:disks."""
    found: list[dict[str, str]] = []

    def start(name: str, attrs: dict[str, str]) -> None:
        if name == tag:
            found.append(attrs)

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise Malformed(str(error)) from None
    return found


def _escape(text: str) -> str:
    if _PLAIN(text):
        return text
    text = text.translate(_CONTROL)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def value_xml(value: Any) -> str:
    """`value` as a `<value>` element. Ints are bare digits, void is the empty value."""
    out: list[str] = []
    _write(value, out.append)
    return "".join(out)


@lru_cache(4096)
def _member(name: str) -> str:
    return f"<member><name>{_escape(name)}</name>"


def _write(value: Any, put: Callable[[str], None]) -> None:
    """The parts of one element, one after the other: a pool's records are some tens of MiB of them."""
    kind = type(value)
    if kind is str:
        put(f"<value>{value if _PLAIN(value) else _escape(value)}</value>")
    elif kind is bool:
        put(_TRUE if value else _FALSE)
    elif kind is int:
        put(f"<value>{value}</value>")
    elif kind is dict:
        put("<value><struct>")
        for name, item in value.items():
            put(_member(name if type(name) is str else str(name)))
            _write(item, put)
            put("</member>")
        put("</struct></value>")
    elif kind is list or kind is tuple:
        put("<value><array><data>")
        for item in value:
            _write(item, put)
        put("</data></array></value>")
    elif value is None:
        put("<value></value>")
    else:
        tag = _TAGS.get(kind)
        text = _escape(str(int(value) if isinstance(value, int) else value))
        put(f"<value><{tag}>{text}</{tag}></value>" if tag else f"<value>{text}</value>")


_PLAIN = re.compile(r"[^&<>\x00-\x08\x0b-\x1f]*").fullmatch
_TRUE, _FALSE = "<value><boolean>1</boolean></value>", "<value><boolean>0</boolean></value>"
_TAGS: dict[type, str] = {I4: "i4", float: "double", DateTime: "dateTime.iso8601"}


def _response(value: Any) -> bytes:
    head = '<?xml version="1.0"?><methodResponse><params><param>'
    return f"{head}{value_xml(value)}</param></params></methodResponse>".encode()


def success(value: Any) -> bytes:
    return _response({"Status": "Success", "Value": "" if value is None else value})


def failure(error: ApiError) -> bytes:
    return _response({"Status": "Failure", "ErrorDescription": error.description})


def fault(text: str) -> bytes:
    """The one fault there is: `Async.` of a call that has no such form."""
    body = value_xml({"faultCode": I4(1), "faultString": text})
    return f'<?xml version="1.0"?><methodResponse><fault>{body}</fault></methodResponse>'.encode()
