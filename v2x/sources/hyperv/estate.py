# SPDX-License-Identifier: Apache-2.0
"""From what was collected on one or several hosts to one inventory.

A machine is known by its identifier, never by its name. Hosts of a cluster may each list one machine (while it moves,
or a replica's shadow); the one whose host owns the machine's role is taken.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from v2x.model.inventory import (
    Datastore,
    Inventory,
    MachineGroup,
    SourceCluster,
    SourceHost,
    SourceInfo,
    SourceNetwork,
    SourceProblem,
    Together,
)
from v2x.model.machine import Machine
from v2x.sources.hyperv.fields import Fields
from v2x.sources.hyperv.machine import read_machine
from v2x.sources.hyperv.nics import read_switches
from v2x.sources.hyperv.words import NODE_STATES

NOT_READ = "NOT-READ"
_NEEDED = ("Hyper-V Administrators",)


def host_name(document: Fields) -> str:
    return document.text("host") or "unknown host"


def read_estate(
    documents: Sequence[Fields],
    address: str,
    taken_at: datetime,
    select: Callable[[str], bool] | None = None,
    problems: Iterable[SourceProblem] = (),
) -> Inventory:
    """One inventory of all documents; `problems` are those of hosts that gave none."""
    first = documents[0] if documents else Fields(None)
    machines, doubts = _machines(documents)
    chosen = tuple(one for one in machines if select is None or select(one.name) or select(one.id))
    return Inventory(
        source=SourceInfo(
            kind="hyperv",
            address=address,
            product=first.text("osCaption") or "Microsoft Hyper-V",
            version=first.text("osVersion"),
            instance=first.row("cluster").text("name") or host_name(first),
            account=first.row("account").text("name"),
            missing_privileges=tuple(dict.fromkeys(one for row in documents for one in missing_rights(row))),
        ),
        taken_at=taken_at,
        machines=chosen,
        networks=_networks(documents),
        datastores=_datastores(documents),
        hosts=_hosts(documents),
        clusters=_clusters(documents),
        groups=_shared(machines),
        problems=(*problems, *doubts, *_warnings(documents)),
    )


def collected_at(document: Fields, now: Callable[[], datetime]) -> datetime:
    """When the document was written, by its own word."""
    text = document.time("collected")
    return datetime.fromisoformat(text) if text else now().astimezone(UTC)


def missing_rights(document: Fields) -> tuple[str, ...]:
    """What the account lacks on this host, empty where the host does not say."""
    account = document.row("account")
    known = [account.flag("administrator"), account.flag("hypervAdministrator")]
    return _NEEDED if False in known and True not in known else ()


def _machines(documents: Sequence[Fields]) -> tuple[list[Machine], list[SourceProblem]]:
    found: dict[str, tuple[bool, Machine]] = {}
    problems: list[SourceProblem] = []
    for document in documents:
        host, cluster = host_name(document), document.row("cluster")
        roles = {row.text("vmId").strip("{}").lower(): row for row in cluster.rows("groups")}
        for row in document.rows("vms"):
            key = row.text("id").strip("{}").lower()
            if not key:
                problems.append(_unread(f"{host}: {row.text('name') or 'a machine'}", "it has no identifier"))
                continue
            role = roles.get(key, Fields(None))
            machine = read_machine(row, host, role, cluster.text("name"))
            owner = role.text("owner").casefold()
            # A replica has the id of its primary, and is not the machine that runs.
            owned = machine.estate is None and (not role or owner == host.casefold())
            if key not in found or (owned and not found[key][0]):
                found[key] = (owned, machine)
        problems.extend(_elsewhere(cluster, documents))
    unique = dict.fromkeys(problems)
    return [machine for _, machine in found.values()], list(unique)


def _elsewhere(cluster: Fields, documents: Sequence[Fields]) -> list[SourceProblem]:
    """Nodes that own machines of the cluster and were not asked."""
    asked = {host_name(document).casefold() for document in documents}
    owned: dict[str, int] = defaultdict(int)
    for row in cluster.rows("groups"):
        owned[row.text("owner")] += 1
    return [
        _unread(node, f"node of {cluster.text('name')}: owns {count} of its machines and was not asked; add it")
        for node, count in sorted(owned.items())
        if node and node.casefold() not in asked
    ]


def _unread(subject: str, text: str) -> SourceProblem:
    return SourceProblem(subject=subject, code=NOT_READ, text=text)


def _warnings(documents: Sequence[Fields]) -> list[SourceProblem]:
    found = []
    for document in documents:
        for row in document.rows("warnings"):
            subject = row.text("subject") or row.text("what")
            said = row.text("text") or row.text("error")
            name = f" ({row.text('id')})" if row.text("id") else ""
            found.append(_unread(f"{host_name(document)}: {subject}", f"{said}{name}"))
    return list(dict.fromkeys(found))


def _networks(documents: Sequence[Fields]) -> tuple[SourceNetwork, ...]:
    """Switches alike on several hosts are one network; those of one name that differ stay apart."""
    hosts: dict[SourceNetwork, list[str]] = defaultdict(list)
    for document in documents:
        for network in read_switches(document, host_name(document)):
            hosts[replace(network, hosts=())].extend(network.hosts)
    return tuple(replace(network, hosts=tuple(dict.fromkeys(names))) for network, names in hosts.items())


def _datastores(documents: Sequence[Fields]) -> tuple[Datastore, ...]:
    found: dict[str, Datastore] = {}
    for document in documents:
        host = host_name(document)
        for row in document.row("cluster").rows("volumes"):
            name = row.text("path").rstrip("\\")
            found.setdefault(name, _datastore(row, name, "csv", shared=True, host=""))
        for row in document.rows("volumes"):
            name = row.text("path").rstrip("\\").upper()
            # D: of two hosts are two volumes, which a machine's disk names alike.
            key = f"{host} {name}"
            found.setdefault(key, _datastore(row, name, row.text("filesystem").lower(), shared=False, host=host))
    return tuple(found.values())


def _datastore(row: Fields, name: str, kind: str, *, shared: bool, host: str) -> Datastore:
    return Datastore(
        name=name,
        kind=kind,
        capacity_bytes=row.number("size"),
        free_bytes=row.number("free"),
        shared=shared,
        hosts=(host,) if host else (),
    )


def _hosts(documents: Sequence[Fields]) -> tuple[SourceHost, ...]:
    found: dict[str, SourceHost] = {}
    for document in documents:
        name = host_name(document)
        found[name.casefold()] = SourceHost(
            name=name,
            version=document.text("osVersion"),
            cluster=document.row("cluster").text("name"),
            connection_state="connected",
            cores=document.positive("cores"),
            memory_bytes=document.positive("memory"),
            cpu_model=document.text("cpuModel"),
            edition=document.text("osCaption"),
        )
    for document in documents:
        cluster = document.row("cluster")
        for row in cluster.rows("nodes"):
            state, name = row.word("state", NODE_STATES), row.text("name")
            known = found.get(name.casefold())
            if known is None:
                known = SourceHost(name=name, cluster=cluster.text("name"), connection_state=state.lower())
            found[name.casefold()] = replace(known, in_maintenance=state == "Paused")
    return tuple(found.values())


def _clusters(documents: Sequence[Fields]) -> tuple[SourceCluster, ...]:
    names = dict.fromkeys(document.row("cluster").text("name") for document in documents)
    return tuple(SourceCluster(name=name, kind="failover", ha=True) for name in names if name)


def _shared(machines: Sequence[Machine]) -> tuple[MachineGroup, ...]:
    """Machines that use one disk file together: they can only be moved together, and the disk only once."""
    users: dict[str, list[str]] = defaultdict(list)
    for machine in machines:
        for disk in machine.disks:
            if disk.shared and disk.files:
                users[disk.files[0].casefold()].append(machine.id)
    return tuple(
        MachineGroup(name=path, kind=Together.SHARED_DISK, machines=tuple(dict.fromkeys(ids)), mandatory=True)
        for path, ids in users.items()
        if len(set(ids)) > 1
    )
