# SPDX-License-Identifier: Apache-2.0
"""The single door to passwords: prompt, file, environment or keyring; never an argument.

A `Secret` shows itself masked everywhere; only `reveal()` gives the text, at the place where it is sent.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from v2x.errors import LoginError, UsageError


class Secret:
    """A text that must not be shown. Not comparable, not hashable, not picklable, masked in every message."""

    __slots__ = ("_text",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(********)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is never stored")


def from_file(path: str | Path) -> Secret:
    """The first line of a file that only its owner can read. UsageError for other modes or an empty file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        raise UsageError(f"cannot read password file {path}: {problem.strerror}", hint="check the path") from None
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
            raise UsageError(
                f"password file {path} may be read by others",
                hint=f"chmod 600 {path}",
                code="SECRET-FILE-MODE",
            )
        line = file.read(64 * 1024).split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise UsageError(f"password file {path} is empty", hint="put the password on its first line")
    try:
        return Secret(line.decode())
    except UnicodeDecodeError:
        raise UsageError(f"password file {path} is not UTF-8", hint="save it as UTF-8") from None


def from_keyring(reference: str) -> Secret:
    """`service/user` of the system keyring. UsageError where there is no keyring or no such entry."""
    service, _, user = reference.partition("/")
    try:
        import keyring
    except ImportError:
        raise UsageError("no keyring support is installed", hint="pip install 'v2x[keyring]'") from None
    try:
        text = keyring.get_password(service, user)
    except keyring.errors.KeyringError as problem:
        raise UsageError(f"the keyring refused: {problem.__class__.__name__}", hint="unlock the keyring") from None
    if not text:
        raise UsageError(
            f"the keyring has no entry {reference}",
            hint=f"keyring set {service} {user}",
            code="SECRET-MISSING",
        )
    return Secret(text)


def find(
    *, side: str, who: str, file: str = "", reference: str = "", ask: Callable[[str], str] | None = None
) -> Secret:
    """The password for `who` (user@host) on `side` (source or target).

    Order: --SIDE-password-file, the alias's reference (`file:PATH`, `env:NAME`, `keyring:SERVICE/USER`),
    V2X_SIDE_PASSWORD, then `ask`. LoginError when none is there and nobody can be asked.
    """
    if file:
        return from_file(file)
    if reference:
        kind, _, rest = reference.partition(":")
        if kind == "file":
            return from_file(Path(rest).expanduser())
        if kind == "keyring":
            return from_keyring(rest)
        if kind == "env":
            if rest in os.environ:
                return Secret(os.environ[rest])
            raise UsageError(f"environment variable {rest} is not set", hint=f"it should hold the password of {who}")
        raise UsageError(f"unknown secret reference for {who}", hint="use file:PATH, env:NAME or keyring:SERVICE/USER")
    name = f"V2X_{side.upper()}_PASSWORD"
    if os.environ.get(name):
        return Secret(os.environ[name])
    if ask is not None:
        text = ask(f"Password of {who}: ")
        if text:
            return Secret(text)
    raise LoginError(
        f"no password for {who}",
        hint=f"give --{side}-password-file FILE (mode 0600) or set {name}",
        code="NO-PASSWORD",
    )
