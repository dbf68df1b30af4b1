# SPDX-License-Identifier: Apache-2.0
"""The single door to logging: set-up, JSON lines, and a filter that no secret passes."""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TextIO

from v2x.text import printable

_SESSIONS = (
    (re.compile(r"OpaqueRef:[0-9a-fA-F-]{8,}"), "OpaqueRef:…"),
    (re.compile(r"(?i)\b(authorization:\s*\w+)\s+\S+"), r"\1 …"),
    (re.compile(r"(?i)\b(session_id|vmware_soap_session|vmware-api-session-id)(=|:\s*|%3D)\"?[^&\s\"';]+"), r"\1\2…"),
    (re.compile(r"(://[^/\s:@]+):[^/\s@]+@"), r"\1:…@"),
)
_VALUES = ((re.compile(r"(?i)\b(password|passwd|pwd|token|secret)(=|:\s*|%3D)[^&\s\"']+"), r"\1\2…"),)


def without_sessions(text: str) -> str:
    """`text` without references and cookies of sessions and without passwords in URLs, which a server may have said."""
    for pattern, replacement in _SESSIONS:
        text = pattern.sub(replacement, text)
    return text


def redact(text: str) -> str:
    """`without_sessions`, and without the values of secret-looking keys."""
    text = without_sessions(text)
    for pattern, replacement in _VALUES:
        text = pattern.sub(replacement, text)
    return text


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = printable(redact(record.getMessage()), 4000)
        return f"{record.levelname.lower()}: {message}"


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": printable(redact(record.getMessage()), 4000),
        }
        for key in ("migration", "machine", "disk", "step"):
            if hasattr(record, key):
                fields[key] = printable(redact(str(getattr(record, key))))
        return json.dumps(fields, ensure_ascii=False)


def set_up(*, verbose: bool = False, quiet: bool = False, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Configures the logger `v2x` to write to stderr. Called once, by the command line."""
    logger = logging.getLogger("v2x")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else _Lines())
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING)
    logger.propagate = False
