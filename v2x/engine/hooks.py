# SPDX-License-Identifier: Apache-2.0
"""Hooks: a command or a webhook of the operator's before or after a phase.

A plan names hooks and nothing more. What they do stands in v2x.toml, which must be the user's alone then (mode 0600):
neither a plan nor the state database can make v2x run anything. A hook is handed a JSON description on standard input,
or as the body of a POST; what it prints is kept with the machine's events.
"""

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from v2x import proc
from v2x.errors import MachinesFailed, UsageError
from v2x.model.hook import HOOK_SCHEMA, Hook
from v2x.text import printable
from v2x.tls import Trust, context

_OUTPUT_BYTES = 64 * 1024


class HookFailed(MachinesFailed):
    """A hook ended with an error, or not in its time."""

    code = "HOOK"


def run_hook(hook: Hook, description: Mapping[str, object]) -> str:
    """What the hook said, printable. HookFailed with its last words, or that it took too long."""
    body = json.dumps({"schema": HOOK_SCHEMA, "hook": hook.name, **description}).encode()
    try:
        said = _command(hook, body) if hook.command else _post(hook, body)
    except proc.ToolTimeout:
        raise HookFailed(
            f"hook {hook.name} did not end within {hook.seconds:g} s", hint=f"see [hook.{hook.name}] in v2x.toml"
        ) from None
    except proc.ToolFailed as problem:
        raise HookFailed(f"hook {hook.name}: {problem.message}", hint="see what it printed") from None
    except (OSError, http.client.HTTPException, ssl.SSLError) as problem:
        raise HookFailed(f"hook {hook.name}: {problem}", hint=f"see [hook.{hook.name}] in v2x.toml") from None
    return printable(said.decode(errors="replace").strip(), 2000)


def _command(hook: Hook, body: bytes) -> bytes:
    done = proc.run(hook.command, timeout=hook.seconds, input=body, stdout_limit=_OUTPUT_BYTES)
    return done.stdout or done.stderr.encode()


def _post(hook: Hook, body: bytes) -> bytes:
    parts = urlsplit(hook.url)
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, port, timeout=hook.seconds, context=context(Trust()))
    else:
        connection = http.client.HTTPConnection(host, port, timeout=hook.seconds)
    try:
        path = parts.path or "/"
        connection.request(
            "POST",
            f"{path}?{parts.query}" if parts.query else path,
            body=body,
            headers={"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        said = answer.read(_OUTPUT_BYTES)
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise HookFailed(
            f"hook {hook.name} was answered {answer.status} {printable(answer.reason, 100)}",
            hint="see what the server logged",
        )
    return said


def check_hooks(names: Sequence[str], known: Mapping[str, Hook]) -> None:
    """UsageError for a name that v2x.toml does not have."""
    for name in names:
        if name not in known:
            raise UsageError(
                f"no hook {name}", code="NO-HOOK", hint=f"add [hook.{name}] to v2x.toml, or take it out of the row"
            )


def chosen(names: Sequence[str], known: Mapping[str, Hook], moment: str) -> list[Hook]:
    """The hooks of a row for a moment, in the row's order. UsageError for a name that v2x.toml does not have."""
    check_hooks(names, known)
    return [known[name] for name in names if moment in known[name].at]
