# SPDX-License-Identifier: Apache-2.0
"""The single door to passwords: prompt, file, environment or keyring; never an argument.

Each is for one source or target. One that names none is used where there is a single one only, so that no server ever
sees the password of another.

A `Secret` shows itself masked everywhere; only `reveal()` gives the text, at the place where it is sent.
"""

import os
import re
import stat
from collections.abc import Callable, Collection, Mapping
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
        # A pipe without a writer would hold the program here for ever.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as problem:
        raise UsageError(f"cannot read password file {path}: {problem.strerror}", hint="check the path") from None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"password file {path} is not a regular file", hint="give a file of mode 0600")
        if found.st_mode & 0o077:
            raise UsageError(
                f"password file {path} may be read by others",
                hint=f"chmod 600 {path}",
                code="SECRET-FILE-MODE",
            )
        line = os.read(fd, 64 * 1024).split(b"\n", 1)[0].rstrip(b"\r")
    finally:
        os.close(fd)
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


def variable(side: str, alias: str = "") -> str:
    """The environment variable of a side's password, or of one alias on it: what is no letter or digit becomes _."""
    name = re.sub(r"[^A-Za-z0-9]", "_", alias).upper()
    return f"V2X_{side.upper()}_PASSWORD" + (f"_{name}" if alias else "")


def find(
    *,
    side: str,
    who: str,
    alias: str = "",
    files: Mapping[str, str] | None = None,
    reference: str = "",
    others: Collection[str] = (),
    ask: Callable[[str], str] | None = None,
) -> Secret:
    """The password for `who` (user@host), known as `alias` on `side` (source or target).

    `files` are the password files by alias, "" for the one that names none. `others` are the aliases of the same side
    that may be opened as well: where there are any, what names no alias is for none of them.

    Order: the alias's file, the file that names none, the alias's `reference` (`file:PATH`, `env:NAME`,
    `keyring:SERVICE/USER`), V2X_SIDE_PASSWORD_ALIAS, V2X_SIDE_PASSWORD, then `ask`. UsageError where a file that names
    none was given and there are others, or two aliases have one variable; LoginError when nothing is there and nobody
    can be asked.
    """
    files = files or {}
    if files.get(alias) and alias not in others:
        return from_file(files[alias])
    if files.get(""):
        if others:
            raise UsageError(
                f"--{side}-password-file {files['']} is for a single {side}, and there are {len(others) + 1}",
                hint=f"say whose password it is: --{side}-password-file {alias}=FILE, and one for each of the others",
                code="SECRET-FOR-ONE",
            )
        return from_file(files[""])
    if reference:
        return _referred(reference, who)
    return _from_environment(side, alias, others) or _asked(side, who, alias, others, ask)


def _referred(reference: str, who: str) -> Secret:
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


def _from_environment(side: str, alias: str, others: Collection[str]) -> Secret | None:
    own = variable(side, alias)
    if alias and os.environ.get(own):
        twin = next((one for one in others if variable(side, one) == own), None)
        if twin is not None:
            raise UsageError(
                f"{own} could be the password of {alias} and of {twin}",
                hint=f"give files, --{side}-password-file {alias}=FILE, or each a secret of its own in v2x.toml",
                code="SECRET-FOR-ONE",
            )
        return Secret(os.environ[own])
    general = os.environ.get(variable(side))
    return Secret(general) if general and not others else None


def _asked(side: str, who: str, alias: str, others: Collection[str], ask: Callable[[str], str] | None) -> Secret:
    if ask is not None:
        text = ask(f"Password of {who}: ")
        if text:
            return Secret(text)
    own = variable(side, alias)
    if not others:
        raise LoginError(
            f"no password for {who}",
            hint=f"give --{side}-password-file FILE (mode 0600) or set {variable(side)}",
            code="NO-PASSWORD",
        )
    why = f", and {variable(side)} is for a single {side}" if os.environ.get(variable(side)) else ""
    raise LoginError(
        f"no password for {who}, the {side} {alias}: there are {len(others) + 1} {side}s{why}",
        hint=f"give --{side}-password-file {alias}=FILE (mode 0600), set {own}, or write its secret into v2x.toml",
        code="NO-PASSWORD",
    )
