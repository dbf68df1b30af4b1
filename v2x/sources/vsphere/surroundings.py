# SPDX-License-Identifier: Apache-2.0
"""What stands around machines: hosts, clusters, datastores, folders, pools; and the names that machines refer to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pyVmomi import vim

from v2x.model.inventory import Datastore, SourceCluster, SourceHost, SourceNetwork
from v2x.sources.vsphere.names import decoded
from v2x.sources.vsphere.networks import read_networks
from v2x.sources.vsphere.pages import Ref, Row, at, dicts, flag, many, number, reference, text

WANTED: Mapping[type, tuple[str, ...]] = {
    vim.Datacenter: ("name", "parent"),
    vim.Folder: ("name", "parent"),
    vim.ResourcePool: ("name", "parent", "owner"),
    vim.VirtualApp: ("name", "parent", "owner", "parentFolder", "vAppConfig.entityConfig"),
    vim.ComputeResource: ("name", "parent"),
    vim.ClusterComputeResource: ("name", "parent", "configurationEx"),
    vim.HostSystem: (
        *("name", "parent", "summary.config.product", "summary.hardware", "runtime.inMaintenanceMode"),
        *("runtime.connectionState", "config.network.portgroup", "config.network.vswitch", "config.autoStart"),
    ),
    vim.Datastore: ("name", "parent", "summary", "host"),
    vim.StoragePod: ("name", "parent"),
    vim.Network: ("name", "parent", "host"),
    vim.dvs.DistributedVirtualPortgroup: ("name", "parent", "host", "key", "config"),
    vim.OpaqueNetwork: ("name", "parent", "host", "summary"),
    vim.DistributedVirtualSwitch: ("name", "parent", "uuid", "config"),
}
_NOT_SHOWN = frozenset({"Datacenters", "vm", "host", "datastore", "network"})
_MOST_DEPTH = 64


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """Rows by moref, and what is made of them."""

    rows: dict[str, Row] = field(default_factory=dict)
    network_names: dict[str, str] = field(default_factory=dict)
    networks: tuple[SourceNetwork, ...] = ()
    hosts: tuple[SourceHost, ...] = ()
    clusters: tuple[SourceCluster, ...] = ()
    datastores: tuple[Datastore, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Surroundings":
        made = cls(rows={row.ref.id: row for row in rows})
        made.networks, made.network_names = read_networks(made.rows.values(), made.name)
        made.hosts = tuple(made._hosts())
        made.clusters = tuple(made._clusters())
        made.datastores = tuple(made._datastores())
        return made

    def kind(self, kind: str) -> Iterator[Row]:
        return (row for row in self.rows.values() if row.ref.kind == kind)

    def name(self, ref: Ref | None) -> str:
        row = self.rows.get(ref.id) if ref else None
        return decoded(text(row.values, "name")) if row else ""

    def network(self, reference_id: str) -> str:
        return self.network_names.get(reference_id, "")

    def _up(self, ref: Ref | None, *ways: str) -> Iterator[Row]:
        """The row of `ref` and those above it; of a vApp, which has two parents, by the first of `ways` that it has."""
        for _ in range(_MOST_DEPTH):
            row = self.rows.get(ref.id) if ref else None
            if row is None:
                return
            yield row
            ref = next((found for way in ways if (found := reference(row.values, way))), None)

    def folder(self, ref: Ref | None) -> str:
        """The path that people see: datacenter and folders, without those that the server keeps for itself."""
        names = []
        for row in self._up(ref, "parentFolder", "parent"):
            name = decoded(text(row.values, "name"))
            hidden = row.ref.kind == "Folder" and name in _NOT_SHOWN and self._is_hidden(row)
            if row.ref.kind in {"Folder", "Datacenter"} and not hidden:
                names.append(name)
        return "/".join(reversed(names))

    def _is_hidden(self, row: Row) -> bool:
        """The root folder, and the four folders directly below each datacenter."""
        above = reference(row.values, "parent")
        return above is None or above.kind == "Datacenter"

    def datacenter(self, ref: Ref | None) -> str:
        """The inventory path of the datacenter around `ref`, with folders, as `/folder` addresses want it."""
        for row in self._up(ref, "parentFolder", "parent"):
            if row.ref.kind == "Datacenter":
                return self.folder(row.ref)
        return ""

    def pool(self, ref: Ref | None) -> str:
        """The resource pool's path below the root pool of its cluster; empty for the root pool itself."""
        names = [decoded(text(row.values, "name")) for row in self._up(ref, "parent") if row.ref.kind == "ResourcePool"]
        return "/".join(reversed(names[:-1]))

    def cluster(self, host: Ref | None) -> str:
        row = self.rows.get(host.id) if host else None
        above = reference(row.values, "parent") if row else None
        return self.name(above) if above and above.kind == "ClusterComputeResource" else ""

    def _hosts(self) -> Iterator[SourceHost]:
        for row in self.kind("HostSystem"):
            values = row.values
            product, hardware = at(values, "summary.config.product"), at(values, "summary.hardware")
            memory = number(hardware, "memorySize")
            yield SourceHost(
                name=decoded(text(values, "name")),
                reference=row.ref.id,
                version=text(product, "fullName") or text(product, "version"),
                cluster=self.cluster(row.ref),
                in_maintenance=flag(values, "runtime.inMaintenanceMode") is True,
                connection_state=text(values, "runtime.connectionState"),
                cores=number(hardware, "numCpuCores"),
                memory_bytes=memory,
                cpu_model=" ".join(text(hardware, "cpuModel").split()),
            )

    def _clusters(self) -> Iterator[SourceCluster]:
        for row in self.kind("ClusterComputeResource"):
            config = row.values.get("configurationEx")
            drs = flag(config, "drsConfig", "enabled")
            yield SourceCluster(
                name=decoded(text(row.values, "name")),
                reference=row.ref.id,
                drs=(text(config, "drsConfig", "defaultVmBehavior") or "on") if drs else "",
                dpm=flag(config, "dpmConfigInfo", "enabled"),
                ha=flag(config, "dasConfig", "enabled"),
                kind="vsphere",
            )

    def _datastores(self) -> Iterator[Datastore]:
        for row in self.kind("Datastore"):
            summary = row.values.get("summary")
            state = text(summary, "maintenanceMode")
            hosts = [reference(one, "key") for one in dicts(row.values.get("host"))]
            yield Datastore(
                name=decoded(text(row.values, "name") or text(summary, "name")),
                reference=row.ref.id,
                kind=text(summary, "type"),
                capacity_bytes=number(summary, "capacity"),
                free_bytes=number(summary, "freeSpace"),
                datacenter=self.datacenter(row.ref),
                accessible=flag(summary, "accessible"),
                shared=flag(summary, "multipleHostAccess"),
                maintenance="" if state == "normal" else state,
                hosts=tuple(self.name(host) for host in hosts if host and self.name(host)),
            )


def references(value: object) -> list[Ref]:
    """The references of a field that may repeat."""
    return [one for one in many(value) if isinstance(one, Ref)]
