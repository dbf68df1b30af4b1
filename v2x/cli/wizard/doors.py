# SPDX-License-Identifier: Apache-2.0
"""Where from and where to: the address, who it is, whether it can be trusted, the password, and the first look."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

from v2x.cli import show
from v2x.cli.wizard.prompts import Back, Option, ask_line
from v2x.cli.wizard.talk import Door, Talk
from v2x.cli.wizard.trust import reach, trusted
from v2x.cli.wizard.walk import Step
from v2x.endpoints import address_of
from v2x.errors import AccessError, LoginError, TrustError, V2xError
from v2x.model.inventory import Inventory
from v2x.model.plan import Endpoint
from v2x.model.target import TargetFacts
from v2x.secrets import Secret
from v2x.target.interface import Leftovers, Target
from v2x.text import plural, printable

T = TypeVar("T")

_ADDRESS = "address"
_KINDS = {
    "source": (
        Option("vsphere", "VMware: a vCenter or an ESXi host"),
        Option("hyperv", "Microsoft Hyper-V: a host, or the nodes of a cluster"),
        Option("path", "a file or folder here", "an .ova, .ovf or .vmx file, a Hyper-V export, or a folder of these"),
        Option(_ADDRESS, "another address", "one whole address or alias, as v2x migrate takes it"),
    ),
    "target": (
        Option("xapi", "an XCP-ng or XenServer pool"),
        Option("xva", "XVA files in a folder", "no server is needed; they are imported later"),
        Option(_ADDRESS, "another address", "one whole address or alias, as v2x migrate takes it"),
    ),
}
_HOST = {
    "vsphere": "Name or IP address of the vCenter or ESXi host",
    "hyperv": "Name of the Hyper-V host (of a cluster all nodes, with commas between)",
    "xapi": "Name or IP address of the pool's coordinator (master)",
}
_USER = {"vsphere": "administrator@vsphere.local", "hyperv": "Administrator", "xapi": "root"}
_PLACE = {
    "path": "File or folder",
    "xva": "Folder for the XVA files",
    _ADDRESS: "Address, such as vsphere://USER@HOST",
}
_PLACE_OF_TARGET = {**_PLACE, _ADDRESS: "Address, such as xapi://root@HOST"}
_WHERE = {"source": "Where are the machines now?", "target": "Where shall they go?"}


class DoorQuestions:
    """The questions of one side; what was answered before is what Enter takes when somebody comes back."""

    def __init__(self, talk: Talk, door: Door) -> None:
        self._talk, self._door = talk, door
        self._kind = self._host = self._place = ""
        self._user: dict[str, str] = {}

    @property
    def _saved(self) -> Mapping[str, Endpoint]:
        config = self._talk.app.config
        return config.sources if self._door.side == "source" else config.targets

    def steps(self) -> list[Step]:
        return [
            Step(self._ask_kind),
            Step(self._ask_host, lambda: self._kind in _HOST),
            Step(self._ask_user, lambda: self._kind in _HOST and "://" not in self._host),
            Step(self._ask_place, lambda: self._kind in _PLACE),
        ]

    def _ask_kind(self) -> None:
        saved = [
            Option(f"saved:{alias}", f"{alias}  {printable(one.address, 60)}", "from v2x.toml")
            for alias, one in self._saved.items()
        ]
        options = [*saved, *_KINDS[self._door.side]]
        self._kind = self._talk.prompts.choose(_WHERE[self._door.side], options, self._kind or options[0].value)
        if self._kind.startswith("saved:"):
            self._take(self._kind.removeprefix("saved:"))

    def _ask_host(self) -> None:
        scheme = self._kind
        self._host = ask_line(
            self._talk.prompts, _HOST[scheme], self._host, lambda text: self._wrong(self._composed(text, "user"))
        )
        if "://" in self._host:
            self._take(self._host)

    def _ask_user(self) -> None:
        known = self._user.get(self._kind, _USER[self._kind])
        user = ask_line(self._talk.prompts, "User", known, lambda text: self._wrong(self._composed(self._host, text)))
        self._user[self._kind] = user
        self._take(self._composed(self._host, user))

    def _ask_place(self) -> None:
        words = _PLACE if self._door.side == "source" else _PLACE_OF_TARGET
        prefix = "xva:" if self._kind == "xva" else ""
        self._place = ask_line(
            self._talk.prompts, words[self._kind], self._place, lambda text: self._wrong(_prefixed(prefix, text))
        )
        self._take(_prefixed(prefix, self._place))

    def _composed(self, host: str, user: str) -> str:
        return host if "://" in host else f"{self._kind}://{quote(user, safe='@' + chr(92) + '.-_%')}@{host}"

    def _wrong(self, address: str) -> str:
        """Why an address is none of this side; empty where it is one."""
        if address in self._saved:
            return ""
        try:
            address_of(self._door.side, address)
        except V2xError as problem:
            return f"{problem.message}; {problem.hint}" if problem.hint else problem.message
        return ""

    def _take(self, text: str) -> None:
        """Another server: what was trusted for the one before does not count for it."""
        if text != self._door.text:
            _set_side(self._talk, self._door.side, self._door)
            self._door.text, self._door.endpoint = text, None


def _prefixed(prefix: str, text: str) -> str:
    return text if not prefix or text.startswith(prefix) else prefix + text


def _set_side(talk: Talk, side: str, door: Door) -> None:
    if side == "source":
        talk.app.source_side = door.given
    else:
        talk.app.target_side = door.given


def connected(talk: Talk, door: Door, look: Callable[[Endpoint], T]) -> T:
    """What `look` finds there. A server that is not trusted yet, a wrong password and a lost connection are told, and
    the person says what next; each password that was typed is tried once.

    Raises Back for another address.
    """
    app, prompts = talk.app, talk.prompts
    while True:
        try:
            endpoint = app.endpoint(door.side, door.text)
            reach(talk, endpoint, door.side)
            found = look(endpoint)
        except TrustError as problem:
            if not trusted(talk, door, problem):
                raise Back from None
        except LoginError as problem:
            app.passwords.forget(door.side, app.endpoint(door.side, door.text))
            show.problem(problem)
            again = Option("again", "type the password again", "it is tried once; many wrong ones lock an account")
            if prompts.choose("What next?", (again, _OTHER), "again") != "again":
                raise Back from None
            _ask_again(talk, door)
        except AccessError as problem:
            show.problem(problem)
            if prompts.choose("What next?", (_AGAIN, _OTHER), "again") != "again":
                raise Back from None
        except V2xError as problem:
            show.problem(problem)
            raise Back from None
        else:
            door.endpoint = endpoint
            return found


def _ask_again(talk: Talk, door: Door) -> None:
    """Asks the person, wherever the password that was wrong came from."""
    endpoint = talk.app.endpoint(door.side, door.text)
    who = address_of(door.side, endpoint.address).who
    talk.app.passwords.remember(door.side, endpoint, Secret(talk.prompts.secret(f"Password of {who}")))


_AGAIN = Option("again", "try again")
_OTHER = Option("other", "go back, to another address or user")


def look_at_source(talk: Talk) -> None:
    """Lists the machines of the source. Raises Back where it has none."""
    if talk.source.endpoint is not None and talk.inventory is not None:
        return
    talk.prompts.tell("Looking at what is there …")
    inventory: Inventory = connected(talk, talk.source, talk.app.inventory)
    for trouble in inventory.problems:
        talk.prompts.tell(f"  {printable(trouble.subject)}: {printable(trouble.text)}")
    if not inventory.machines:
        talk.source.endpoint = None
        talk.prompts.tell("No machine was found there.")
        raise Back
    talk.prompts.tell(f"{plural(len(inventory.machines), 'machine')} found.")
    talk.inventory, talk.chosen = inventory, ()


def look_at_target(talk: Talk) -> None:
    """Asks the target what it offers, and what earlier runs began there."""
    if talk.target.endpoint is not None and talk.facts is not None:
        return
    talk.prompts.tell("Looking at the target …")
    talk.facts, talk.begun = connected(talk, talk.target, lambda endpoint: _facts(talk, endpoint))
    if talk.pool.kind != "xva":
        name = printable(talk.pool.pool_name or talk.pool.address, 40)
        talk.prompts.tell(
            f"Pool {name}: {talk.pool.product} {talk.pool.version}, {plural(len(talk.pool.hosts), 'host')}."
        )


def _facts(talk: Talk, endpoint: Endpoint) -> tuple[TargetFacts, frozenset[str]]:
    target: Target = talk.app.open_target(endpoint)
    try:
        claims: Sequence[str] = [one.tag for one in target.leftovers()] if isinstance(target, Leftovers) else ()
        return target.facts(), frozenset(claims)
    finally:
        target.close()


def ask_password(talk: Talk) -> Callable[[str], str]:
    """Asks for a password as everything else is asked; the question comes from the one who needs it."""
    return lambda question: talk.prompts.secret(question.strip().removesuffix(":"))
