# SPDX-License-Identifier: Apache-2.0
"""The inventory of a vCenter or ESXi host, in a constant number of round trips per 1,000 machines."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from pyVmomi import vim

from v2x.errors import UsageError, V2xError
from v2x.model.inventory import Datastore, Inventory, SourceInfo, SourceProblem
from v2x.model.machine import Machine
from v2x.sources.ovf_dialects import plain_uuid
from v2x.sources.vsphere.estate import Files
from v2x.sources.vsphere.groups import read_groups, read_priorities, read_starts
from v2x.sources.vsphere.licence import with_licence
from v2x.sources.vsphere.machine import LIGHT_PATHS, PATHS, Around, machine_id, read_machine
from v2x.sources.vsphere.names import decoded, folder_of
from v2x.sources.vsphere.pages import PAGE_OBJECTS, Ref, Row, list_all, many, reference, text
from v2x.sources.vsphere.privileges import missing_privileges
from v2x.sources.vsphere.session import VsphereSession
from v2x.sources.vsphere.surroundings import WANTED, Surroundings
from v2x.sources.vsphere.tags import read_tags, replicated_datastores

Select = Callable[[str], bool]
Progress = Callable[[int], None]


@dataclass(kw_only=True)
class Listing:
    """One pass over a server. `progress` is that of VsphereOptions."""

    session: VsphereSession
    address: str
    taken_at: datetime
    select: Select | None = None
    datacenter: str = ""
    progress: Progress | None = None
    page: int = PAGE_OBJECTS
    problems: list[SourceProblem] = field(default_factory=list)
    _repeated: set[str] = field(default_factory=set)
    _light: dict[str, Row] = field(default_factory=dict)
    _datacenters: dict[str, str] = field(default_factory=dict)
    _replicated: frozenset[str] = frozenset()

    def inventory(self) -> Inventory:
        near = Surroundings.of(list_all(self.session, WANTED, page=self.page))
        machines = self._machines(near)
        about = self.session.about
        return Inventory(
            source=SourceInfo(
                kind="vsphere",
                address=self.address,
                product=about.product,
                version=about.api_version,
                instance=about.instance,
                account=self.session.user,
                missing_privileges=self._missing(machines),
            ),
            taken_at=self.taken_at,
            machines=tuple(machines),
            networks=near.networks,
            datastores=self._datastores(near),
            hosts=with_licence(self.session, near.hosts, self.problems),
            clusters=near.clusters,
            groups=read_groups(near, machines, self._datacenters),
            problems=tuple(self.problems),
        )

    def _datastores(self, near: Surroundings) -> tuple[Datastore, ...]:
        """What tags say of replication is only ever yes: a datastore without them may be replicated all the same."""
        return tuple(
            replace(one, replicated=True) if one.reference in self._replicated else one for one in near.datastores
        )

    def _machines(self, near: Surroundings) -> list[Machine]:
        chosen, wanted = self._chosen(), self._wanted_datacenters(near)
        around = Around(
            surroundings=near,
            fields=self._fields(),
            starts=read_starts(near),
            priorities=read_priorities(near),
        )
        machines: list[Machine] = []
        busy: dict[str, list[Ref]] = {}
        for row in list_all(self.session, {vim.VirtualMachine: PATHS}, objects=chosen, page=self.page):
            datacenter = near.datacenter(_parent(row))
            if wanted is not None and datacenter not in wanted:
                continue
            self._datacenters[row.ref.id] = datacenter
            if not row.values.get("config.hardware.device"):
                self._note_unread(row)
            tasks = [one for one in many(row.values.get("recentTask")) if isinstance(one, Ref)]
            if tasks:
                busy[row.ref.id] = tasks
            machines.append(read_machine(row, around, self._repeated))
            if self.progress is not None:
                self.progress(1)
        if self.progress is not None:
            self.progress(0)
        machines = self._with_unique_ids(machines)
        machines = self._with_borrowed(machines, near)
        machines = self._with_tasks(machines, busy)
        return self._with_tags(machines, near)

    def _chosen(self) -> list[object] | None:
        """The machines that `select` takes, from a light listing of all; None where everything is wanted."""
        if self.select is None:
            return None
        self._light = {
            row.ref.id: row for row in list_all(self.session, {vim.VirtualMachine: LIGHT_PATHS}, page=self.page * 4)
        }
        count = Counter(plain_uuid(text(row.values, "config.instanceUuid")) for row in self._light.values())
        self._repeated = {one for one, times in count.items() if one and times > 1}
        return [
            vim.VirtualMachine(moref, self.session.stub)
            for moref, row in self._light.items()
            if self.select(decoded(text(row.values, "name")))
            or self.select(machine_id(row, self._repeated))
            or self.select(moref)
        ]

    def _wanted_datacenters(self, near: Surroundings) -> frozenset[str] | None:
        """The paths of the datacenters that the address names, by name or path; None where it names none."""
        wanted = self.datacenter.strip("/")
        if not wanted:
            return None
        paths = {near.folder(row.ref): near.name(row.ref) for row in near.kind("Datacenter")}
        found = frozenset(path for path, name in paths.items() if wanted in (path, name))
        if not found:
            known = ", ".join(sorted(paths)) or "none"
            raise UsageError(f"there is no datacenter {wanted} here", code="ADDRESS", hint=f"there are: {known}")
        return found

    def _note_unread(self, row: Row) -> None:
        state = text(row.values, "runtime.connectionState")
        why = f"its host says {state}" if state not in {"", "connected"} else "its configuration cannot be read"
        if row.refused:
            why = f"{', '.join(sorted(set(row.refused.values())))} for {', '.join(sorted(row.refused)[:3])}"
        name = decoded(text(row.values, "name")) or row.ref.id
        self.problems.append(
            SourceProblem(subject=name, code="UNREADABLE", text=f"nothing known of its devices: {why}")
        )

    def _with_unique_ids(self, machines: list[Machine]) -> list[Machine]:
        count = Counter(machine.id for machine in machines)
        repeated = {one for one, times in count.items() if times > 1}
        for one in sorted(repeated):
            same = [machine.name for machine in machines if machine.id == one]
            told = f"{len(same)} machines have the instance uuid {one}; they go by their morefs: {', '.join(same[:5])}"
            self.problems.append(SourceProblem(subject=same[0], code="UUID-REPEATED", text=told))
        return [replace(one, id=one.reference) if one.id in repeated else one for one in machines]

    def _fields(self) -> dict[str, str]:
        manager = self.session.content.customFieldsManager
        if manager is None:
            return {}
        try:
            (found,) = self.session.retrieve(vim.CustomFieldsManager, ["field"], objects=[manager])
        except (V2xError, ValueError):
            return {}
        return {str(one.key): one.name for one in found.values.get("field") or []}

    def _with_borrowed(self, machines: list[Machine], near: Surroundings) -> list[Machine]:
        """Marks disks that lie in another machine's folder and are that machine's as well."""
        files = Files()
        for machine in machines:
            files.add(machine, self._datacenters[machine.reference])
        strangers = {
            (near.datacenter(_parent(row)), folder_of(text(row.values, "config.files.vmPathName"))): row
            for row in self._light.values()
        }
        suspects = {
            row.ref.id: row
            for machine in machines
            for folder in files.strange_folders(machine)
            if (row := strangers.get((self._datacenters[machine.reference], folder))) is not None
        }
        for row in self._detailed(suspects.values()):
            owner = read_machine(row, Around(surroundings=near), self._repeated)
            files.add(owner, near.datacenter(_parent(suspects[row.ref.id])))
        return [files.with_borrowed(one, self._datacenters[one.reference]) for one in machines]

    def _detailed(self, rows: Iterable[Row]) -> Iterator[Row]:
        objects = [vim.VirtualMachine(row.ref.id, self.session.stub) for row in rows]
        paths = (*LIGHT_PATHS, "config.hardware.device")
        return list_all(self.session, {vim.VirtualMachine: paths}, objects=objects, page=self.page)

    def _with_tasks(self, machines: list[Machine], busy: dict[str, list[Ref]]) -> list[Machine]:
        """Machines with the tasks that run on them now among their locks."""
        refs = {ref.id for tasks in busy.values() for ref in tasks}
        objects = [vim.Task(one, self.session.stub) for one in sorted(refs)]
        running: dict[str, str] = {}
        try:
            for row in list_all(self.session, {vim.Task: ("info.state", "info.descriptionId")}, objects=objects):
                if text(row.values, "info.state") == "running":
                    running[row.ref.id] = text(row.values, "info.descriptionId") or "a task"
        except V2xError:
            return machines  # a task that ended meanwhile is gone, and with it the question
        found = {moref: [running[ref.id] for ref in tasks if ref.id in running] for moref, tasks in busy.items()}
        return [
            replace(one, locks=(*one.locks, *(f"task {name} is running" for name in found[one.reference])))
            if found.get(one.reference)
            else one
            for one in machines
        ]

    def _with_tags(self, machines: list[Machine], near: Surroundings) -> list[Machine]:
        stores = [one.reference for one in near.datastores]
        try:
            tags = read_tags(self.session, [machine.reference for machine in machines], stores)
        except V2xError as problem:
            self.problems.append(SourceProblem(subject="tags", code="TAGS", text=f"not read: {problem.message}"))
            return machines
        self._replicated = replicated_datastores({moref: tags[moref] for moref in stores if moref in tags})
        names = {(one.datacenter, one.name) for one in near.datastores if one.reference in self._replicated}
        return [self._on_arrays(replace(one, tags=tags.get(one.reference, one.tags)), names) for one in machines]

    def _on_arrays(self, machine: Machine, replicated: set[tuple[str, str]]) -> Machine:
        """A machine with disks on a datastore that its array replicates is replicated itself."""
        datacenter = self._datacenters.get(machine.reference, "")
        found = sorted({disk.datastore for disk in machine.disks if (datacenter, disk.datastore) in replicated})
        if not found or machine.replication:
            return machine
        return replace(machine, replication=f"by the array of datastore {', '.join(found)}")

    def _missing(self, machines: list[Machine]) -> tuple[str, ...]:
        """What the account lacks at the root and on a machine as well: a role may be granted further down."""
        missing = missing_privileges(self.session)
        if not missing or not machines:
            return missing
        entity = vim.VirtualMachine(machines[0].reference, self.session.stub)
        return missing_privileges(self.session, entity, missing)


def _parent(row: Row) -> Ref | None:
    return reference(row.values, "parent") or reference(row.values, "parentVApp")
