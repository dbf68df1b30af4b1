# SPDX-License-Identifier: Apache-2.0
"""The hosts of a source: one session each, the machine's owner found among them.

No host is ever asked about another: from one node to the next the login would have to be handed on, which neither
Kerberos nor NTLM do without being told to trust the host with it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, Self

from v2x.errors import AccessError, InputRefused, SourceError, V2xError
from v2x.model.inventory import SourceProblem
from v2x.model.machine import Machine
from v2x.sources.hyperv.document import SCHEMA, read_document
from v2x.sources.hyperv.estate import host_name, missing_rights
from v2x.sources.hyperv.failures import no_hyperv, no_rights
from v2x.sources.hyperv.fields import Fields
from v2x.sources.hyperv.login import HostAccess
from v2x.sources.hyperv.scripts import COLLECT, POWER, Script

_AT_ONCE = 8
_STATE_SECONDS = 120.0


class Session(Protocol):
    """What is used of a PowerShell session."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: Any) -> None: ...

    def run(
        self, script: Script, parameters: Mapping[str, Any] | None = None, deadline_seconds: float = ...
    ) -> "_Reply": ...


class _Reply(Protocol):
    @property
    def text(self) -> str: ...


Connect = Callable[[HostAccess], Session]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the power script said, and the host it said it on."""

    access: HostAccess
    fields: Fields


class Hosts:
    """All hosts of an address under one login."""

    def __init__(self, hosts: Sequence[HostAccess], connect: Connect) -> None:
        self._hosts = tuple(hosts)
        self._connect = connect
        self._names: dict[str, HostAccess] = {}

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(access.host for access in self._hosts)

    def collect(self) -> tuple[list[Fields], list[SourceProblem]]:
        """What each host tells. The first is asked alone: one wrong password must not be tried on all of them.

        A host that cannot be asked becomes a problem, as long as another could be.
        """
        first, *rest = self._hosts
        found: list[Fields | V2xError] = []
        with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="v2x-hyperv") as pool:
            found.append(self._collected(first))
            if isinstance(found[0], AccessError) and found[0].code == "LOGIN":
                raise found[0]
            found.extend(pool.map(self._collected, rest))
        documents = [one for one in found if isinstance(one, Fields)]
        failures = [(access, one) for access, one in zip(self._hosts, found, strict=True) if isinstance(one, V2xError)]
        if not documents:
            raise failures[0][1]
        for access, one in zip(self._hosts, found, strict=True):
            if isinstance(one, Fields):
                self._names[host_name(one).casefold()] = access
        problems = [
            SourceProblem(subject=access.host, code=failure.code, text=failure.message) for access, failure in failures
        ]
        return documents, problems

    def _collected(self, access: HostAccess) -> Fields | V2xError:
        try:
            return self._document(access)
        except V2xError as problem:
            return problem

    def _document(self, access: HostAccess, ids: Sequence[str] = ()) -> Fields:
        with self._connect(access) as session:
            text = session.run(COLLECT, {"Id": list(ids)} if ids else None).text
        document = read_document(text, f"the answer of {access.host}")
        if document.flag("hyperv") is False:
            raise no_hyperv(access.host)
        if not document.rows("vms") and missing_rights(document):
            raise no_rights(access.host, document.row("account").text("name") or access.user)
        return document

    def one(self, machine: Machine) -> tuple[HostAccess, Fields]:
        """What the machine's host tells of it now. SourceError when no host has it any more."""
        trouble: V2xError | None = None
        for access in self._likely(machine):
            try:
                document = self._document(access, [machine.id])
            except AccessError as problem:
                if problem.code == "LOGIN":
                    raise
                trouble = trouble or problem
                continue
            if any(row.text("id").lower() == machine.id for row in document.rows("vms")):
                return access, document
        raise trouble or self._gone(machine)

    def state(self, machine: Machine) -> Answer:
        """What the power script says of a machine, on the host that has it."""
        trouble: V2xError | None = None
        for access in self._likely(machine):
            try:
                return self._power(access, machine, "state", "", _STATE_SECONDS)
            except (AccessError, SourceError) as problem:
                if problem.code not in {"REMOTE-SCRIPT", "CONNECT"} or len(self._hosts) == 1:
                    raise
                trouble = trouble or problem
        raise trouble or self._gone(machine)

    def change(self, machine: Machine, action: str, value: str = "", deadline_seconds: float = 120.0) -> Answer:
        """Changes a machine, only on the host that has it: a replica elsewhere has the same id."""
        return self._power(self.state(machine).access, machine, action, value, deadline_seconds)

    def _power(self, access: HostAccess, machine: Machine, action: str, value: str, deadline_seconds: float) -> Answer:
        parameters = {"Action": action, "Id": machine.id, "Value": value}
        with self._connect(access) as session:
            return Answer(access, _power_answer(session.run(POWER, parameters, deadline_seconds).text, access))

    def _likely(self, machine: Machine) -> list[HostAccess]:
        """The host that had the machine when it was listed first; it may have moved since."""
        known = self._names.get(machine.host.casefold())
        near = [one for one in self._hosts if one.host.partition(".")[0].casefold() == machine.host.casefold()]
        return list(dict.fromkeys([*([known] if known else []), *near, *self._hosts]))

    def near(self, machine: Machine) -> tuple[str, ...]:
        """Addresses to read its files from: its own host first, then those that see the same cluster volumes."""
        return tuple(access.host for access in self._likely(machine))

    def _gone(self, machine: Machine) -> SourceError:
        return SourceError(
            f"{machine.name} is on none of {', '.join(self.addresses)} any more",
            code="SOURCE-CHANGED",
            hint="take the inventory again; name all nodes of its cluster in the address",
        )


def _power_answer(text: str, access: HostAccess) -> Fields:
    try:
        answer = Fields(json.loads(text))
    except (ValueError, RecursionError):
        answer = Fields(None)
    if answer.text("schema") != f"{SCHEMA.partition('/')[0]}.power/1":
        raise InputRefused(f"{access.host} gave no answer that v2x knows to its power script", code="REMOTE-PROTOCOL")
    return answer
