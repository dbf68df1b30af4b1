# SPDX-License-Identifier: Apache-2.0
"""The small filter language of get_all_records_where: `field "name__label" = "x"`, and, or, not, true, false."""

import re
from collections.abc import Callable
from typing import Any

from v2x.simulators.xapi.failure import ApiError, internal

Predicate = Callable[[dict[str, Any]], bool]
_TOKEN = re.compile(r'\s*(?:([()=])|"((?:[^"\\]|\\.)*)"|(\w+))')
_DEPTH_LIMIT = 50


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise internal("Db_filter.Expression_error")
            sign, quoted, word = found.groups()
            if quoted is not None:
                self._tokens.append(("text", re.sub(r"\\(.)", r"\1", quoted)))
            else:
                self._tokens.append(("sign", sign) if sign else ("word", word))
            at = found.end()
        self._depth = 0

    def _peek(self) -> tuple[str, str]:
        return self._tokens[0] if self._tokens else ("end", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._tokens = self._tokens[1:]
        return token

    def whole(self) -> Predicate:
        made = self._either()
        if self._tokens:
            raise self._error()
        return made

    def _error(self) -> ApiError:
        return internal("Db_filter.Expression_error")

    def _either(self) -> Predicate:
        left = self._both()
        while self._peek() == ("word", "or"):
            self._next()
            left = _or(left, self._both())
        return left

    def _both(self) -> Predicate:
        left = self._single()
        while self._peek() == ("word", "and"):
            self._next()
            left = _and(left, self._single())
        return left

    def _single(self) -> Predicate:
        self._depth += 1
        if self._depth > _DEPTH_LIMIT:
            raise self._error()
        token = self._peek()
        if token == ("word", "not"):
            self._next()
            made = _not(self._single())
        elif token == ("sign", "("):
            self._next()
            made = self._either()
            if self._next() != ("sign", ")"):
                raise self._error()
        else:
            made = self._comparison()
        self._depth -= 1
        return made

    def _comparison(self) -> Predicate:
        if self._peek() in (("word", "true"), ("word", "false")):
            verdict = self._next()[1] == "true"
            return lambda _record: verdict
        left = self._value()
        if self._next() != ("sign", "="):
            raise self._error()
        right = self._value()
        return lambda record: left(record) == right(record)

    def _value(self) -> Callable[[dict[str, Any]], str]:
        kind, text = self._next()
        if (kind, text) == ("word", "field"):
            kind, name = self._next()
            if kind != "text":
                raise self._error()
            key = name.replace("__", "_")
            return lambda record: _shown(record.get(key, ""))
        if kind != "text":
            raise self._error()
        return lambda _record: text


def _or(a: Predicate, b: Predicate) -> Predicate:
    return lambda record: a(record) or b(record)


def _and(a: Predicate, b: Predicate) -> Predicate:
    return lambda record: a(record) and b(record)


def _not(a: Predicate) -> Predicate:
    return lambda record: not a(record)


def parse(expression: str) -> Predicate:
    """A test of a record. INTERNAL_ERROR when the expression does not parse."""
    return _Parser(expression).whole()
