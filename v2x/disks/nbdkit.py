# SPDX-License-Identifier: Apache-2.0
"""nbdkit as a server of one disk: started confined, read-only, on a private socket, and ended with us.

nbdkit listens before its plugin opens the disk; a plugin that cannot is heard of only by what nbdkit prints, while the
client sees an export that is not there. So every failure is looked up in what was printed.
"""

import contextlib
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from v2x import proc
from v2x.causes import said_by
from v2x.disks.libnbd import libnbd
from v2x.disks.nbd import NbdReader, NbdServer
from v2x.errors import Retry, SourceError, V2xError
from v2x.log import redact
from v2x.secrets import Secret

_SETTLE_SECONDS: Final = 0.3
_ERROR: Final = re.compile(r"(?:nbdkit: )?(?P<who>[\w-]+)(?:\[\d+\])?: error: (?P<text>.*)")
LIMITS: Final = proc.Limits(address_space_bytes=None, open_files=4096, file_size_bytes=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What a text of a server means: `error` is raised when `pattern` is found in what it printed."""

    pattern: str
    message: str
    hint: str
    code: str
    kind: type[V2xError] = SourceError
    retry: Retry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nbdkit:
    """A command line of nbdkit. `parameters` are given as key=value, each one argument of its own.

    `filters` stand in order, the outermost first. `secret` is handed over by a file descriptor, as the parameter
    password=-FD, and never stands on the command line. `causes` translate what the plugin says.
    """

    plugin: str
    name: str
    program: str = "nbdkit"
    parameters: Sequence[tuple[str, str]] = ()
    filters: Sequence[str] = ()
    options: Sequence[str] = ()
    secret: Secret | None = None
    causes: Sequence[Cause] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def argv(self, socket: Path, secret_fd: int | None) -> list[str]:
        filters = [f"--filter={name}" for name in self.filters]
        settings = [f"{key}={value}" if key else value for key, value in self.parameters]
        if secret_fd is not None:
            settings.insert(0, f"password=-{secret_fd}")
        served = ["--foreground", "--readonly", "--newstyle", "--unix", str(socket)]
        return [self.program, *served, *self.options, *filters, self.plugin, *settings]

    def open(self) -> NbdReader:
        """Starts the server and connects; it ends with the last clone of the reader.

        UsageError MISSING-TOOL without nbdkit or libnbd; else what `causes` say, or SourceError NBDKIT.
        """
        libnbd()
        server = self._started()
        try:
            return server.reader()
        except BaseException:
            server.close()
            raise

    def _started(self) -> "_Server":
        with contextlib.ExitStack() as stack:
            secret_fd = _handed_over(self.secret, stack) if self.secret is not None else None
            server = _Server(
                self.name,
                lambda socket: self.argv(socket, secret_fd),
                limits=LIMITS,
                env=self.env,
                pass_fds=[] if secret_fd is None else [secret_fd],
            )
            server.causes = self.causes
            return server


class _Server(NbdServer):
    # It goes on after a disk could not be opened, and is not waited for.
    end_seconds = _SETTLE_SECONDS
    causes: Sequence[Cause] = ()

    def failure(self, message: str, *, ended: bool) -> V2xError:
        """The cause that nbdkit printed, if it is a known one; else its last error."""
        deadline = time.monotonic() + (0 if ended else _SETTLE_SECONDS)
        while not self._errors() and time.monotonic() < deadline:
            time.sleep(0.01)
        errors = self._errors()
        known = explained(self.messages, self.causes, self.name)
        if known is not None:
            return known
        said = errors[-1] if errors else self.last_words if ended else ""
        told = f": {redact(said)}" if said else ""
        found = said_by(said)
        hint = found.do if found else "v2x -v shows more; see docs/vsphere-transports.md"
        return SourceError(f"{message}{told}", code="NBDKIT", hint=hint)

    def _errors(self) -> list[str]:
        found = (_ERROR.search(line) for line in self.messages.splitlines())
        return [match["text"] for match in found if match]


def explained(messages: str, causes: Sequence[Cause], name: str) -> V2xError | None:
    """The error for the latest line of `messages` that a cause knows; its text is the message's `{said}`."""
    lines = messages.splitlines()
    for line in reversed([line for line in lines if _ERROR.search(line)] or lines):
        for cause in causes:
            found = re.search(cause.pattern, line, re.IGNORECASE)
            if found:
                said = (_ERROR.search(line) or {"text": line})["text"]
                text = cause.message.format(said=redact(said), **found.groupdict())
                return cause.kind(f"{name}: {text}", hint=cause.hint, code=cause.code, retry=cause.retry)
    return None


def _handed_over(secret: Secret, stack: contextlib.ExitStack) -> int:
    """The read end of a pipe that holds the secret; a pipe takes far more than a password without a reader."""
    reading, writing = os.pipe()
    stack.callback(os.close, reading)
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(secret.reveal().encode() + b"\n")
    return reading
