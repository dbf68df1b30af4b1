# SPDX-License-Identifier: Apache-2.0
"""What the command line asks for inside a guest; checked before anything long begins."""

import sys

from v2x import secrets
from v2x.cli.build import ask_password
from v2x.cli.options import Given
from v2x.convert.interface import GuestWishes
from v2x.errors import UsageError
from v2x.secrets import Secret


def guest_wishes(given: Given, *, converts: bool, how: str) -> GuestWishes:
    """The wishes, with keys read from their files or asked for. UsageError for one that comes to nothing without a
    conversion, which `how` says how to ask for; for drivers that are none; for a key that cannot be read."""
    files = given.bitlocker_key_file or []
    named = [
        option
        for option, wished in (
            ("--windows-drivers", given.windows_drivers is not None),
            ("--clean-hibernation", given.clean_hibernation),
            ("--bitlocker-suspended", given.bitlocker_suspended),
            ("--bitlocker-key-file", bool(files)),
            ("--bitlocker-ask", given.bitlocker_ask),
        )
        if wished
    ]
    if named and not converts:
        raise UsageError(f"{named[0]} is for the conversion of a guest", hint=f"add {how}, or leave it out")
    _check_drivers(given)
    keys = [secrets.from_file(file) for file in files]
    if given.bitlocker_ask:
        keys.append(_asked("--bitlocker-ask", "--bitlocker-key-file", "Recovery key of the BitLocker volume: "))
    return GuestWishes(
        windows_drivers=given.windows_drivers,
        clean_hibernation=given.clean_hibernation,
        bitlocker_suspended=given.bitlocker_suspended,
        bitlocker_keys=tuple(keys),
    )


def _check_drivers(given: Given) -> None:
    """An installer is a compound file, which begins with these eight bytes (MS-CFB 2.2)."""
    package = given.windows_drivers
    if package is None:
        return
    if not package.is_file():
        raise UsageError(f"there is no file {package}", hint="check the path")
    with open(package, "rb") as file:
        begins = file.read(8)
    if begins != bytes.fromhex("d0cf11e0a1b11ae1"):
        raise UsageError(
            f"{package} is no Windows installer", hint="give the .msi of the PV drivers, as XenTools-x64.msi of XCP-ng"
        )


def _asked(option: str, instead: str, prompt: str) -> Secret:
    if not sys.stdin.isatty():
        raise UsageError(f"{option} needs a terminal", hint=f"give it with {instead} (mode 0600)")
    return Secret(ask_password()(prompt))
