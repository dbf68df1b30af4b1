# SPDX-License-Identifier: Apache-2.0
"""What the command line and v2x.toml ask for inside a guest; checked before anything long begins."""

import sys
from dataclasses import replace
from pathlib import Path

from v2x import secrets
from v2x.cli.options import Given
from v2x.config import GuestTable
from v2x.convert.interface import GuestWishes
from v2x.errors import UsageError
from v2x.model.plan import GuestWish
from v2x.secrets import Secret

_PACKAGES = (".deb", ".rpm")
_COMPOUND_FILE = bytes.fromhex("d0cf11e0a1b11ae1")
"""An installer is a compound file, which begins with these eight bytes (MS-CFB 2.2)."""


def standing_wishes(table: GuestTable) -> GuestWishes:
    """What [guest] of v2x.toml says for every guest that is converted from here, with its keys read.

    UsageError as for the options.
    """
    try:
        return GuestWishes(
            agent=_checked_agent(_path(table.agent)) if table.agent else None,
            keys=tuple(secrets.from_file(_path(file)) for file in table.luks_key_files),
            windows_drivers=_checked_drivers(_path(table.windows_drivers)) if table.windows_drivers else None,
            bitlocker_keys=tuple(secrets.from_file(_path(file)) for file in table.bitlocker_key_files),
        )
    except UsageError as problem:
        raise UsageError(f"[guest] of v2x.toml: {problem.message}", hint=problem.hint, code=problem.code) from None


def words_given(given: Given) -> tuple[GuestWish, ...]:
    """The options that a plan's row has words for."""
    wished = {
        GuestWish.REMOVE_TOOLS: given.remove_tools,
        GuestWish.CLEAN_HIBERNATION: given.clean_hibernation,
        GuestWish.BITLOCKER_SUSPENDED: given.bitlocker_suspended,
    }
    return tuple(word for word, holds in wished.items() if holds)


def guest_wishes(given: Given, table: GuestTable, *, converts: bool, how: str) -> GuestWishes:
    """The wishes, with keys read from their files or asked for. UsageError for one that comes to nothing without a
    conversion, which `how` says how to ask for; for a package that is none; for a key that cannot be read.

    An option goes before what `table` says of the same; without a conversion that is not looked at.
    """
    wished = {
        "--luks-key-file": bool(given.luks_key_file),
        "--luks-ask": given.luks_ask,
        "--remove-tools": given.remove_tools,
        "--guest-agent": given.guest_agent is not None,
        "--windows-drivers": given.windows_drivers is not None,
        "--clean-hibernation": given.clean_hibernation,
        "--bitlocker-suspended": given.bitlocker_suspended,
        "--bitlocker-key-file": bool(given.bitlocker_key_file),
        "--bitlocker-ask": given.bitlocker_ask,
    }
    named = [option for option, holds in wished.items() if holds]
    if named and not converts:
        raise UsageError(f"{named[0]} is for the conversion of a guest", hint=f"add {how}, or leave it out")
    if not converts:
        return GuestWishes()
    table = replace(
        table,
        agent="" if given.guest_agent else table.agent,
        windows_drivers="" if given.windows_drivers else table.windows_drivers,
        luks_key_files=() if given.luks_key_file or given.luks_ask else table.luks_key_files,
        bitlocker_key_files=() if given.bitlocker_key_file or given.bitlocker_ask else table.bitlocker_key_files,
    )
    standing = standing_wishes(table)
    keys = [secrets.from_file(file) for file in given.luks_key_file or []]
    if given.luks_ask:
        keys.append(_asked("--luks-ask", "--luks-key-file", "Passphrase of the guest's encrypted disk: "))
    recovery = [secrets.from_file(file) for file in given.bitlocker_key_file or []]
    if given.bitlocker_ask:
        recovery.append(_asked("--bitlocker-ask", "--bitlocker-key-file", "Recovery key of the BitLocker volume: "))
    return GuestWishes(
        remove_tools=given.remove_tools,
        agent=_checked_agent(given.guest_agent) if given.guest_agent else standing.agent,
        keys=(*keys, *standing.keys),
        windows_drivers=_checked_drivers(given.windows_drivers) if given.windows_drivers else standing.windows_drivers,
        clean_hibernation=given.clean_hibernation,
        bitlocker_suspended=given.bitlocker_suspended,
        bitlocker_keys=(*recovery, *standing.bitlocker_keys),
    )


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _checked_agent(package: Path) -> Path:
    if package.suffix.lower() not in _PACKAGES:
        raise UsageError(
            f"{package} is no package of a guest agent", hint="give its .deb for Debian and Ubuntu, its .rpm for others"
        )
    _check_there(package)
    return package


def _checked_drivers(package: Path) -> Path:
    _check_there(package)
    with open(package, "rb") as file:
        begins = file.read(len(_COMPOUND_FILE))
    if begins != _COMPOUND_FILE:
        raise UsageError(
            f"{package} is no Windows installer", hint="give the .msi of the PV drivers, as XenTools-x64.msi of XCP-ng"
        )
    return package


def _check_there(package: Path) -> None:
    if not package.is_file():
        raise UsageError(f"there is no file {package}", hint="check the path")


def _asked(option: str, instead: str, prompt: str) -> Secret:
    if not sys.stdin.isatty():
        raise UsageError(f"{option} needs a terminal", hint=f"give it with {instead} (mode 0600)")
    from v2x.cli.build import ask_password  # which knows all sources and targets

    return Secret(ask_password()(prompt))
