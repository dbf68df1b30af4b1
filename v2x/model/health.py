# SPDX-License-Identifier: Apache-2.0
"""What is known of a guest before its outage and after it, and what came of holding one against the other."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from v2x.model.machine import GuestAddress, GuestVolume, ToolsState


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105  # nosec B105  # a verdict, no secret
    FAIL = "fail"
    NOT_CHECKED = "not checked"


class OnFail(StrEnum):
    """What follows a start or a health check that failed: the machine stays on the target, or goes back by itself."""

    KEEP = "keep"
    ROLLBACK = "rollback"


class Mark(StrEnum):
    """What a source is marked with once its machine is through: nothing, its name, its notes, or both."""

    NO = "no"
    NAME = "name"
    NOTE = "note"
    BOTH = "both"


_BETWEEN = re.compile(r"[,;\s]+")
_PORT = re.compile(r"tcp:(?P<number>[0-9]{1,5})(?:@(?P<address>[A-Za-z0-9.:_-]+))?", re.IGNORECASE)
_MOST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A TCP port that a row names. `address` is empty for the guest's own addresses, `answered` is where it did."""

    number: int
    address: str = ""
    answered: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        return f"tcp:{self.number}" + (f"@{self.address}" if self.address else "")


def ports_of(checks: str) -> tuple[Port, ...]:
    """The ports that a row's `checks` name; every other word is for a person."""
    found = [_port(word) for word in _BETWEEN.split(checks)]
    return tuple(dict.fromkeys(one for one in found if one is not None))


def unread_ports(checks: str) -> tuple[str, ...]:
    """Words that are meant as ports and are none."""
    return tuple(one for one in _BETWEEN.split(checks) if one.casefold().startswith("tcp:") and _port(one) is None)


def _port(word: str) -> Port | None:
    found = _PORT.fullmatch(word)
    if found is None or not 1 <= int(found["number"]) <= _MOST_PORT:
        return None
    return Port(number=int(found["number"]), address=found["address"] or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftercare:
    """What is done for a machine once it is on the target. With `health_seconds` 0 nothing is looked at."""

    ports: tuple[Port, ...] = ()
    on_fail: OnFail = OnFail.KEEP
    health_seconds: float = 300.0
    mark: Mark = Mark.NO


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestBefore:
    """A guest as its source told of it while it ran; `ports` are those of the row, as v2x's machine reached them.

    `running` is False for a machine that was off already: then nobody in it could tell anything.
    """

    taken_at: datetime
    running: bool
    addresses: tuple[GuestAddress, ...] = ()
    volumes: tuple[GuestVolume, ...] = ()
    tools: ToolsState = ToolsState.UNKNOWN
    tools_version: str = ""
    ports: tuple[Port, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """An adapter on the target; `addresses` are what the agent in the guest says, without prefixes."""

    position: int
    mac: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestNow:
    """A guest as the target tells of it.

    `agent` is None while none has said anything, `drivers` None where nobody can say. `disks` are the sizes in bytes
    of those attached, `started` is the target's text for the time of the last start or reboot.
    """

    running: bool
    agent: bool | None = None
    drivers: bool | None = None
    drivers_version: str = ""
    system: str = ""
    adapters: tuple[Adapter, ...] = ()
    disks: tuple[int, ...] = ()
    started: str = ""
    updated: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison; `subject` is what it is about where there are several of a kind, `text` says why so."""

    name: str
    verdict: Verdict
    text: str
    subject: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} {self.subject}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """All checks of a machine after its start; `reboots` were seen meanwhile, the last after `reboot_seconds`."""

    before: GuestBefore | None = None
    checks: tuple[Check, ...] = ()
    seconds: float = 0.0
    reboots: int = 0
    reboot_seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """Fail where one failed, pass where one passed and none failed."""
        found = {check.verdict for check in self.checks}
        return next((one for one in (Verdict.FAIL, Verdict.PASS) if one in found), Verdict.NOT_CHECKED)

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.verdict is Verdict.FAIL)
