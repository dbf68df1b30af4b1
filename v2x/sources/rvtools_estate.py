# SPDX-License-Identifier: Apache-2.0
"""Hosts, datastores and networks of an RVTools export."""

from collections.abc import Iterable, Sequence

from v2x.model.inventory import Datastore, SourceHost, SourceNetwork, SourceProblem
from v2x.model.machine import Machine
from v2x.sources.rvtools_cells import Row, count, flag, mebibytes, name, text


def hosts(rows: Sequence[Row]) -> tuple[SourceHost, ...]:
    return tuple(
        SourceHost(
            name=name(row, "host"),
            version=text(row, "version"),
            cluster=text(row, "cluster"),
            in_maintenance=flag(row, "maintenance") is True,
        )
        for row in rows
        if name(row, "host")
    )


def datastores(rows: Sequence[Row]) -> tuple[Datastore, ...]:
    """Each name once: an export of several vCenters may list a shared one several times."""
    found = {
        name(row, "name"): Datastore(
            name=name(row, "name"),
            kind=text(row, "type"),
            capacity_bytes=mebibytes(row, "capacity"),
            free_bytes=mebibytes(row, "free"),
        )
        for row in reversed(rows)
        if name(row, "name")
    }
    return tuple(found[key] for key in sorted(found))


def networks(
    standard: Sequence[Row], distributed: Sequence[Row], problems: list[SourceProblem]
) -> dict[str, SourceNetwork]:
    """Port groups by name. Where hosts give one name different VLANs, the VLAN is unknown and a problem says so."""
    tags: dict[str, set[int | None]] = {}
    kinds: dict[str, str] = {}
    for rows, kind in ((standard, "standard"), (distributed, "distributed")):
        for row in rows:
            if named := name(row, "name"):
                kinds.setdefault(named, kind)
                tags.setdefault(named, set()).add(_vlan(row))
    unlike = sorted(named for named, found in tags.items() if len(found) > 1)
    if unlike:
        some = ", ".join(unlike[:5])
        text_ = f"{len(unlike):,} port groups have not the same VLAN on all hosts, so it is unknown: {some}"
        problems.append(SourceProblem(subject="vPort", code="VLAN-DIFFERS", text=text_))
    return {
        named: SourceNetwork(name=named, kind=kinds[named], vlan=next(iter(found)) if len(found) == 1 else None)
        for named, found in tags.items()
    }


def with_unlisted(known: dict[str, SourceNetwork], machines: Iterable[Machine]) -> tuple[SourceNetwork, ...]:
    """All networks, also those that only a machine's card names."""
    found = dict(known)
    for machine in machines:
        for nic in machine.nics:
            if nic.network and nic.network not in found:
                found[nic.network] = SourceNetwork(name=nic.network, kind="rvtools")
    return tuple(found.values())


def _vlan(row: Row) -> int | None:
    """A single tag. 0 is none, 4095 and ranges hand all tags to the guest, and private VLANs are no single tag."""
    tag = count(row, "vlan")
    return tag if tag is not None and 0 < tag < 4095 else None
