# SPDX-License-Identifier: Apache-2.0
"""Chains of differencing disks whose files name their parent by an identifier (VHD, VHDX).

Such a file also holds paths of its parent, absolute and relative ones, of the machine it was made on. None is ever
opened: a parent is a file of the same listing that has the identity the child asks for. Of a path only the base name
counts, and only to choose between copies that share one identity, and in messages.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

from v2x.disks.chain import MAX_DEPTH, Layer, too_deep
from v2x.disks.interface import ByteSource
from v2x.disks.listing import Listing, plain_name
from v2x.errors import BadImage, InputRefused, V2xError

_MOST_CANDIDATES = 4096


@dataclass(frozen=True, slots=True)
class Identity:
    """What a child knows its parent by. `stamp` (seconds since 2000) is None where the format has none."""

    id: UUID
    stamp: int | None = None

    def __str__(self) -> str:
        return str(self.id) if self.stamp is None else f"{self.id} of {self.stamp:,} seconds after 2000"


@dataclass(frozen=True, slots=True)
class ParentLink:
    """The identities that the parent may have, and the base name it had when the child was made."""

    identities: tuple[Identity, ...]
    name: str

    def matches(self, found: Identity) -> bool:
        return any(
            wanted.id == found.id and (wanted.stamp is None or found.stamp is None or wanted.stamp == found.stamp)
            for wanted in self.identities
        )

    def __str__(self) -> str:
        return " or ".join(str(identity) for identity in self.identities)


class ChainLayer(Layer, Protocol):
    """One opened file of such a chain."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> Identity: ...

    @property
    def parent(self) -> ParentLink | None: ...

    @property
    def variant(self) -> str:
        """fixed, dynamic or differencing."""
        ...

    @property
    def sector_bytes(self) -> int:
        """The sectors that the guest sees."""
        ...

    @property
    def allocated_bytes(self) -> int:
        """Bytes of the disk in blocks that this file stores."""
        ...


AnyLayer = TypeVar("AnyLayer", bound=ChainLayer)


@dataclass(frozen=True, slots=True)
class Format:
    """What differs between the formats. `suffixes`, in lower case, are the names among which parents are looked for.

    `open_layer` reads and checks a whole file and owns its source; `identify` reads only what identifies it.
    """

    suffixes: tuple[str, ...]
    open_layer: Callable[[ByteSource], ChainLayer]
    identify: Callable[[ByteSource], Identity]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFacts:
    """What a disk is, told from tables alone. `chain` names its files, the one in use first.

    `allocated_bytes` is an upper bound. `missing` names parents that are not in the listing as far as their name is
    known; `problem` is why the chain cannot be read, in a sentence, or empty.
    """

    capacity_bytes: int
    allocated_bytes: int
    variant: str
    sector_bytes: int
    chain: tuple[str, ...]
    missing: tuple[str, ...] = ()
    problem: str = ""


def base_name(path: str) -> str:
    """The last part of a Windows or other path."""
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def open_chain(listing: Listing, name: str, chain: Sequence[str] | None, format: Format) -> list[ChainLayer]:
    """The layers from `name` down to the base, each checked to be the parent that the one above was made on.

    `chain` are the names that the hypervisor gives, with or without `name` itself first; without it, each parent is
    looked for by its identity among the files of the listing. InputRefused MISSING-PARENT when there is none,
    BadImage PARENT-CHANGED when a file is not the parent any more, BadImage for loops and for more than 64 files.
    """
    layers: list[ChainLayer] = []
    try:
        layers.extend(_walk(listing, name, chain, format))
    except BaseException:
        for layer in layers:
            layer.close()
        raise
    return layers


def describe_chain(listing: Listing, name: str, chain: Sequence[str] | None, format: Format) -> ChainFacts:
    """What `name` is. Raises only when the file itself cannot be read; what lies below it is told in `problem`."""
    steps = _walk(listing, name, chain, format)
    layers = [next(steps)]
    problem, missing = "", ""
    try:
        layers.extend(steps)
    except InputRefused as refused:
        problem = refused.message
        link = layers[-1].parent
        if refused.code == "MISSING-PARENT" and link is not None:
            missing = link.name
    finally:
        for layer in layers:
            layer.close()
    top = layers[0]
    return ChainFacts(
        capacity_bytes=top.size,
        allocated_bytes=min(top.size, sum(layer.allocated_bytes for layer in layers)),
        variant=top.variant,
        sector_bytes=top.sector_bytes,
        chain=tuple(layer.name for layer in layers),
        missing=(missing,) if missing else (),
        problem=problem,
    )


def _walk(listing: Listing, name: str, chain: Sequence[str] | None, format: Format) -> Iterator[ChainLayer]:
    """Opens one layer after the other; whoever takes them closes them."""
    given = None
    if chain is not None:
        given = list(chain[1:] if chain and chain[0] == name else chain)
        if len(given) >= MAX_DEPTH:
            raise too_deep(len(given) + 1)
    files = _Files(listing, format)
    child = _opened(listing, name, format)
    seen = [name]
    yield child
    while (link := child.parent) is not None:
        parent = files.parent_of(child, link) if given is None else _next_given(given, child)
        if parent in seen:
            raise BadImage(f"the chain of {name} comes back to {parent}", hint="the files were exchanged or edited")
        if len(seen) == MAX_DEPTH:
            raise too_deep(len(seen) + 1)
        seen.append(parent)
        child = _checked_parent(listing, parent, child, link, format)
        yield child
    if given:
        raise BadImage(
            f"{seen[-1]} has no parent, yet {given[0]} is listed below it",
            hint="take the chain from the machine's own configuration",
        )


def _opened(listing: Listing, name: str, format: Format) -> ChainLayer:
    source = listing.open(plain_name(name))
    try:
        return format.open_layer(source)
    except BaseException:
        source.close()
        raise


def _next_given(given: list[str], child: ChainLayer) -> str:
    if not given:
        raise _missing(child)
    return plain_name(given.pop(0))


def _checked_parent(listing: Listing, name: str, child: ChainLayer, link: ParentLink, format: Format) -> ChainLayer:
    try:
        layer = _opened(listing, name, format)
    except InputRefused as problem:
        if problem.code != "MISSING-FILE":
            raise
        raise InputRefused(
            f"{name}, the parent of {child.name}, is missing",
            code="MISSING-PARENT",
            hint="copy the parent disk beside the others",
        ) from None
    try:
        if not link.matches(layer.identity):
            raise _changed(name, layer.identity, child, link)
        if layer.sector_bytes != child.sector_bytes:
            raise BadImage(
                f"{child.name} has sectors of {child.sector_bytes} bytes and its parent {name} of {layer.sector_bytes}",
                hint="copy all files of the machine again from one point in time",
            )
    except BaseException:
        layer.close()
        raise
    return layer


class _Files:
    """The identities of the files of a listing, read when the first parent is looked for."""

    def __init__(self, listing: Listing, format: Format) -> None:
        self._listing = listing
        self._format = format
        self._found: dict[str, Identity] | None = None

    def parent_of(self, child: ChainLayer, link: ParentLink) -> str:
        if self._found is None:
            self._found = dict(self._identities())
        matching = [name for name, identity in self._found.items() if link.matches(identity)]
        if len(matching) == 1:
            return matching[0]
        same = {name.lower(): name for name in matching or self._found}
        named = same.get(link.name.lower())
        if matching and named is None:
            raise BadImage(
                f"{', '.join(matching[:3])} could each be the parent of {child.name}",
                code="AMBIGUOUS-PARENT",
                hint="keep only the one that belongs to the machine in this folder, or give the chain",
            )
        if named is None:
            raise _missing(child)
        if not matching:
            raise _changed(named, self._found[named], child, link)
        return named

    def _identities(self) -> Iterator[tuple[str, Identity]]:
        names = [name for name in self._listing.names() if name.lower().endswith(self._format.suffixes)]
        if len(names) > _MOST_CANDIDATES:
            raise InputRefused(
                f"{len(names):,} disks lie beside one another; a parent is looked for among {_MOST_CANDIDATES:,}",
                hint="move the machine's disks to a folder of their own",
            )
        for name in names:
            try:
                source = self._listing.open(name)
            except V2xError:
                continue  # what cannot be read is nobody's parent, and who needs it is told that it is missing
            try:
                yield name, self._format.identify(source)
            except V2xError:
                continue
            finally:
                source.close()


def _missing(child: ChainLayer) -> InputRefused:
    link = child.parent
    named = f" ({link.name})" if link is not None and link.name else ""
    return InputRefused(
        f"{child.name} needs a parent disk{named} that is not there: no file has the identifier {link}",
        code="MISSING-PARENT",
        hint="copy all files of the chain into one folder, or merge the checkpoints at the source",
    )


def _changed(name: str, found: Identity, child: ChainLayer, link: ParentLink) -> BadImage:
    return BadImage(
        f"{name} is not, or no longer, the parent that {child.name} was made on (it is {found}, expected {link})",
        code="PARENT-CHANGED",
        hint="copy all files of the machine again from one point in time",
    )
