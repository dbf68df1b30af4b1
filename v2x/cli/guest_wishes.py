# SPDX-License-Identifier: Apache-2.0
"""What the command line asks for inside a guest; checked before anything long begins."""

import sys

from v2x import secrets
from v2x.cli.build import ask_password
from v2x.cli.options import Given
from v2x.convert.interface import GuestWishes
from v2x.errors import UsageError
from v2x.secrets import Secret

_PACKAGES = (".deb", ".rpm")


def guest_wishes(given: Given, *, converts: bool, how: str) -> GuestWishes:
    """The wishes, with keys read from their files or asked for. UsageError for one that comes to nothing without a
    conversion, which `how` says how to ask for; for a package that is none; for a key that cannot be read."""
    files = given.luks_key_file or []
    named = [
        option
        for option, wished in (
            ("--luks-key-file", bool(files)),
            ("--luks-ask", given.luks_ask),
            ("--remove-tools", given.remove_tools),
            ("--guest-agent", given.guest_agent is not None),
        )
        if wished
    ]
    if named and not converts:
        raise UsageError(f"{named[0]} is for the conversion of a guest", hint=f"add {how}, or leave it out")
    if given.guest_agent is not None:
        _check_package(given)
    keys = [secrets.from_file(file) for file in files]
    if given.luks_ask:
        keys.append(_asked())
    return GuestWishes(remove_tools=given.remove_tools, agent=given.guest_agent, keys=tuple(keys))


def _check_package(given: Given) -> None:
    package = given.guest_agent
    if package is None or package.suffix.lower() not in _PACKAGES:
        raise UsageError(
            f"{package} is no package of a guest agent", hint="give its .deb for Debian and Ubuntu, its .rpm for others"
        )
    if not package.is_file():
        raise UsageError(f"there is no file {package}", hint="check the path")


def _asked() -> Secret:
    if not sys.stdin.isatty():
        raise UsageError("--luks-ask needs a terminal", hint="give the passphrase with --luks-key-file (mode 0600)")
    return Secret(ask_password()("Passphrase of the guest's encrypted disk: "))
