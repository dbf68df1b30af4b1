# SPDX-License-Identifier: Apache-2.0
"""Reading properties through the PropertyCollector: chosen paths, in pages, over a view or given objects."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyVmomi import vim, vmodl

from v2x.errors import LoginError, V2xError

if TYPE_CHECKING:
    from v2x.sources.vsphere.session import VsphereSession

_Collector = vmodl.query.PropertyCollector
_MOST_TURNS = 3


@dataclass(slots=True, kw_only=True)
class Collected:
    """One object: its reference, the values of the paths that are set, and the faults of those that were refused."""

    reference: Any
    values: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.reference._GetMoId())


def collect(
    session: "VsphereSession", kind: type, paths: Sequence[str], *, objects: Sequence[Any] | None, page: int
) -> Iterator[Collected]:
    """See VsphereSession.retrieve. A listing goes on over the end of a session: it begins again and skips what it
    has given already, since views and page tokens end with their session.
    """
    given: set[str] = set()
    for _ in range(_MOST_TURNS):
        logins = session.logins
        try:
            for found in _listed(session, kind, list(paths), objects, page):
                if found.id not in given:
                    given.add(found.id)
                    yield found
            return
        except V2xError:
            if session.logins == logins:
                raise
    raise LoginError("the server ends every session at once", hint="look at its session limits", code="SESSION")


def _listed(
    session: "VsphereSession", kind: type, paths: list[str], objects: Sequence[Any] | None, page: int
) -> Iterator[Collected]:
    if objects is not None:
        if objects:
            yield from _pages(
                session, kind, paths, [_Collector.ObjectSpec(obj=one, skip=False) for one in objects], page
            )
        return
    view = session.call(
        session.content.viewManager.CreateContainerView, session.content.rootFolder, [kind], True, doing="listing"
    )
    way = _Collector.TraversalSpec(name="view", type=vim.view.ContainerView, path="view", skip=False)
    try:
        yield from _pages(session, kind, paths, [_Collector.ObjectSpec(obj=view, skip=True, selectSet=[way])], page)
    finally:
        # A view that is gone with its session is no loss.
        with contextlib.suppress(V2xError):
            session.call(view.DestroyView)


def _pages(
    session: "VsphereSession", kind: type, paths: list[str], targets: list[Any], page: int
) -> Iterator[Collected]:
    collector = session.content.propertyCollector
    options = _Collector.RetrieveOptions(maxObjects=page)

    def checked(function: Any, *arguments: Any) -> Any:
        answer = function(*arguments)
        for item in answer.objects or [] if answer is not None else []:
            if any(isinstance(one.fault, vim.fault.NotAuthenticated) for one in item.missingSet or []):
                raise vim.fault.NotAuthenticated
        return answer

    while True:
        wanted = _Collector.PropertySpec(type=kind, all=False, pathSet=paths)
        query = _Collector.FilterSpec(objectSet=targets, propSet=[wanted])
        try:
            answer = session.read(checked, collector.RetrievePropertiesEx, [query], options, doing="listing")
            break
        except V2xError as problem:
            unknown = unknown_path(problem)
            if unknown not in paths:
                raise
            paths = [path for path in paths if path != unknown]
    while answer is not None:
        for item in answer.objects or []:
            yield Collected(
                reference=item.obj,
                values={one.name: one.val for one in item.propSet or []},
                refused={one.path: one.fault for one in item.missingSet or []},
            )
        if not answer.token:
            return
        answer = session.read(checked, collector.ContinueRetrievePropertiesEx, answer.token, doing="listing")


def unknown_path(problem: V2xError) -> str:
    """The property path that the server refused as unknown, else an empty string."""
    cause = problem.__cause__
    return str(cause.name or "") if isinstance(cause, vmodl.query.InvalidProperty) else ""


def kind_of(reference: Any) -> str:
    """The type name of a managed object as the wire has it, as in VirtualMachine."""
    return str(reference._wsdlName)
