# SPDX-License-Identifier: Apache-2.0
"""From the shared options to an `App`, and small questions that several commands ask."""

import sys
from collections.abc import Callable
from fnmatch import fnmatchcase

from v2x.app import App, Side
from v2x.cli.options import Given
from v2x.errors import UsageError


def build(given: Given) -> App:
    """The composition root with what the command line gave."""
    return App.create(
        config=given.config,
        mappings=given.mappings,
        source_side=Side(
            password_file=given.source_password_file,
            ca=given.source_ca,
            fingerprint=given.source_fingerprint,
            settings=_settings(given),
            shares=tuple(given.share or ()),
            smb_user=given.smb_user or "",
            smb_encryption=not given.no_smb_encryption,
            experimental_vmcx=given.experimental_vmcx,
        ),
        target_side=Side(
            password_file=given.target_password_file, ca=given.target_ca, fingerprint=given.target_fingerprint
        ),
        ask=ask_password() if sys.stdin.isatty() else None,
    )


def _settings(given: Given) -> dict[str, str]:
    """The settings of the source, by the names that v2x.toml has for them."""
    found = {}
    for text in given.source_set or ():
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise UsageError(f"--source-set {text} is not KEY=VALUE", hint="for example --source-set auth=kerberos")
        found[key] = value
    return found


def ask_password() -> Callable[[str], str]:
    """Prompts on the terminal without echo."""
    from getpass import getpass

    return getpass


def selection(patterns: list[str] | None) -> Callable[[str], bool] | None:
    """A test of names and ids against shell patterns, without case; None where everything is wanted."""
    if not patterns:
        return None
    folded = [pattern.casefold() for pattern in patterns]
    return lambda name: any(fnmatchcase(name.casefold(), pattern) for pattern in folded)
