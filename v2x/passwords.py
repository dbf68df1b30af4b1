# SPDX-License-Identifier: Apache-2.0
"""The passwords of one run, each looked for once; and of which sources and targets they may be."""

import threading
from collections.abc import Callable, Iterable, Mapping

from v2x import secrets
from v2x.endpoints import address_of
from v2x.errors import LoginError, UsageError
from v2x.model.address import Scheme
from v2x.model.plan import Endpoint
from v2x.secrets import Secret
from v2x.text import plural

Ask = Callable[[str], str]
_SERVERS = (Scheme.VSPHERE, Scheme.HYPERV, Scheme.XAPI)


class Passwords:
    """`files` are password files by side and alias, "" for one that names none; `ask` gives what asks a person.

    Thread-safe; a person is asked one thing at a time.
    """

    def __init__(self, files: Mapping[str, Mapping[str, str]], ask: Callable[[], Ask | None]) -> None:
        self._files, self._ask = files, ask
        self._known: dict[str, dict[str, str]] = {"source": {}, "target": {}}
        self._found: dict[tuple[str, str], Secret] = {}
        self._lock = threading.RLock()

    def expect(self, side: str, endpoints: Iterable[Endpoint], *, all_of_them: bool = False) -> None:
        """Takes note of what may be opened. UsageError where it is `all_of_them` and a file names none of them."""
        with self._lock:
            for endpoint in endpoints:
                if endpoint.smb_user or address_of(side, endpoint.address).scheme in _SERVERS:
                    self._known[side][endpoint.address] = endpoint.alias
            aliases = set(self._known[side].values())
        if not all_of_them:
            return
        stranger = next((one for one in self._files[side] if one and one not in aliases), None)
        if stranger is not None:
            there = ", ".join(sorted(aliases)) or "none that has a password"
            raise UsageError(
                f"--{side}-password-file {stranger}=…: there is no {side} {stranger}",
                hint=f"there is {there}" if len(aliases) < 2 else f"there are {plural(len(aliases), side)}: {there}",
            )

    def remember(self, side: str, endpoint: Endpoint, password: Secret) -> None:
        """Uses `password` for an endpoint instead of looking for one."""
        self._found[side, endpoint.address] = password

    def forget(self, side: str, endpoint: Endpoint) -> None:
        """Looks for the endpoint's password anew when it is next needed."""
        self._found.pop((side, endpoint.address), None)

    def of(self, side: str, endpoint: Endpoint, who: str = "", *, silent: bool = False) -> Secret:
        """The password of an endpoint, as secrets.find; nobody is asked where it is to be `silent`."""
        key = (side, endpoint.address)
        with self._lock:
            if key not in self._found:
                self.expect(side, [endpoint])
                known = self._known[side]
                self._found[key] = secrets.find(
                    side=side,
                    who=who or address_of(side, endpoint.address).who,
                    alias=endpoint.alias,
                    files=self._files[side],
                    reference=endpoint.secret,
                    others=[alias for address, alias in known.items() if address != endpoint.address],
                    ask=None if silent else self._ask(),
                )
            return self._found[key]

    def if_given(self, side: str, endpoint: Endpoint) -> Secret | None:
        """For logins that can do without: nobody is asked."""
        try:
            return self.of(side, endpoint, silent=True)
        except LoginError:
            return None


def password_files(side: str, given: Iterable[str]) -> dict[str, str]:
    """Files by alias from what was given as ALIAS=FILE or FILE; UsageError for two of one alias.

    A name with an equals sign is an alias and a file, unless a slash stands before it: then it is a path (an alias
    that is an address has one too, behind its scheme).
    """
    found: dict[str, str] = {}
    for text in given:
        alias, sign, path = text.rpartition("=") if "://" in text else text.partition("=")
        if not sign or ("/" in alias and "://" not in alias):
            alias, path = "", text
        if not path:
            raise UsageError(f"--{side}-password-file {text} names no file", hint="FILE, or ALIAS=FILE")
        if alias in found:
            whose = f"of {alias}" if alias else "without an alias"
            raise UsageError(
                f"--{side}-password-file: two files {whose}",
                hint=f"--{side}-password-file ALIAS=FILE for each {side}" if not alias else "leave one out",
            )
        found[alias] = path
    return found
