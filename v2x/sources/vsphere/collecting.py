# SPDX-License-Identifier: Apache-2.0
"""Reading properties through the PropertyCollector: chosen paths, in pages, over a view or given objects."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pyVmomi import vim, vmodl

from v2x.errors import LoginError, SourceError, V2xError

if TYPE_CHECKING:
    from v2x.sources.vsphere.session import VsphereSession

T = TypeVar("T")
_Collector = vmodl.query.PropertyCollector
_MOST_TURNS = 3
MOST_OBJECTS, MOST_EMPTY_PAGES = 1_000_000, 100
"""Of one list: ten times what the largest vCenter holds, and pages in a row that hold nothing."""


@dataclass(slots=True, kw_only=True)
class Collected:
    """One object: its reference, the values of the paths that are set, and the faults of those that were refused."""

    reference: Any
    values: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.reference._GetMoId())


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a listing; `token` asks for the next one and is empty in the last."""

    token: str
    items: list[T]


class Traversal(Generic[T]):
    """A listing of `wanted` (types, each with its paths) in pages; `fetch` gets one: fetch(method name, arguments…).

    It goes over every object of those types, or over `objects`. A path that the server does not know is left out of
    all answers. Where the session ends on the way the listing begins again, without the items given already (told
    apart by `identity`): views and page tokens end with their session.
    """

    def __init__(
        self,
        session: "VsphereSession",
        wanted: Mapping[type, Sequence[str]],
        objects: Sequence[Any] | None,
        *,
        page: int,
        fetch: Callable[..., Page[T]],
        identity: Callable[[T], object],
    ) -> None:
        self._session, self._objects = session, objects
        self._wanted = {kind: list(paths) for kind, paths in wanted.items()}
        self._options = _Collector.RetrieveOptions(maxObjects=page)
        self._fetch, self._identity = fetch, identity

    def __iter__(self) -> Iterator[T]:
        given: set[object] = set()
        for _ in range(_MOST_TURNS):
            logins = self._session.logins
            try:
                for item in self._listed():
                    key = self._identity(item)
                    if key not in given:
                        given.add(key)
                        yield item
                return
            except V2xError:
                if self._session.logins == logins:
                    raise
        raise LoginError("the server ends every session at once", hint="look at its session limits", code="SESSION")

    def _listed(self) -> Iterator[T]:
        if self._objects is not None:
            if self._objects:
                yield from self._pages([_Collector.ObjectSpec(obj=one, skip=False) for one in self._objects])
            return
        content = self._session.content
        view = self._session.call(
            content.viewManager.CreateContainerView, content.rootFolder, list(self._wanted), True, doing="list"
        )
        way = _Collector.TraversalSpec(name="view", type=vim.view.ContainerView, path="view", skip=False)
        try:
            yield from self._pages([_Collector.ObjectSpec(obj=view, skip=True, selectSet=[way])])
        finally:
            # A view that went with its session is no loss.
            with contextlib.suppress(V2xError):
                self._session.call(view.DestroyView)

    def _pages(self, targets: list[Any]) -> Iterator[T]:
        page = self._first(targets)
        count = empty = 0
        while True:
            token = page.token
            count, empty = count + len(page.items), 0 if page.items else empty + 1
            page.items.reverse()
            while page.items:
                yield page.items.pop()
            if not token:
                return
            if count > MOST_OBJECTS or empty > MOST_EMPTY_PAGES:
                raise SourceError(
                    f"{self._session.host} lists without end: {count:,} objects so far, {empty} empty pages in a row",
                    hint="look at the server: no vCenter has as many",
                    code="ENDLESS-LIST",
                )
            page = self._session.read(self._fetch, "ContinueRetrievePropertiesEx", token, doing="list")

    def _first(self, targets: list[Any]) -> Page[T]:
        while True:
            specs = [_Collector.PropertySpec(type=kind, all=False, pathSet=of) for kind, of in self._wanted.items()]
            query = _Collector.FilterSpec(objectSet=targets, propSet=specs)
            try:
                first: Page[T] = self._session.read(
                    self._fetch, "RetrievePropertiesEx", [query], self._options, doing="list"
                )
                return first
            except V2xError as problem:
                cause = problem.__cause__
                unknown = str(cause.name) if isinstance(cause, vmodl.query.InvalidProperty) else ""
                holders = [paths for paths in self._wanted.values() if unknown in paths]
                if not holders:
                    raise
                for paths in holders:
                    paths.remove(unknown)


def collect(
    session: "VsphereSession", kind: type, paths: Sequence[str], *, objects: Sequence[Any] | None, page: int
) -> Iterator[Collected]:
    """See VsphereSession.retrieve."""

    def fetch(method: str, *arguments: Any) -> Page[Collected]:
        return _collected(getattr(session.content.propertyCollector, method)(*arguments))

    return iter(Traversal(session, {kind: paths}, objects, page=page, fetch=fetch, identity=lambda found: found.id))


def _collected(answer: Any) -> Page[Collected]:
    items: list[Collected] = []
    for one in (answer.objects or []) if answer is not None else []:
        if one.obj is None:
            raise ValueError("an object without a reference")
        refused = {missing.path: missing.fault for missing in one.missingSet or []}
        if any(isinstance(fault, vim.fault.NotAuthenticated) for fault in refused.values()):
            raise vim.fault.NotAuthenticated
        values = {each.name: each.val for each in one.propSet or []}
        items.append(Collected(reference=one.obj, values=values, refused=refused))
    return Page((answer.token or "") if answer is not None else "", items)
