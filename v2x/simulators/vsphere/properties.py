# SPDX-License-Identifier: Apache-2.0
"""Properties that follow from others: summaries, status, what an entity's permissions and fields are."""

from datetime import UTC, datetime
from typing import Any

from pyVmomi import VmomiSupport, vim

from v2x.simulators.vsphere.disks.guest import GuestDisk
from v2x.simulators.vsphere.estate.files import split
from v2x.simulators.vsphere.state import State, asking
from v2x.simulators.vsphere.store import ABSENT, Entity, computed

_NORMAL = "green"


@computed("ManagedEntity", "overallStatus")
@computed("ManagedEntity", "configStatus")
def _status(_state: State, _entity: Entity) -> Any:
    return vim.ManagedEntity.Status(_NORMAL)


@computed("ManagedEntity", "recentTask")
def _recent(_state: State, _entity: Entity) -> Any:
    return vim.Task.Array([])


@computed("ManagedEntity", "configIssue")
def _issues(_state: State, _entity: Entity) -> Any:
    return vim.event.Event.Array([])


@computed("ManagedEntity", "alarmActionsEnabled")
def _alarms(_state: State, _entity: Entity) -> bool:
    return True


@computed("ManagedEntity", "disabledMethod")
def _disabled(_state: State, _entity: Entity) -> Any:
    return VmomiSupport.GetVmodlType("string[]")([])


@computed("ManagedEntity", "effectiveRole")
def _role(_state: State, _entity: Entity) -> Any:
    context = asking.get()
    account = context.session.account if context is not None else None
    administrator = account is None or account.privileges is None
    return VmomiSupport.GetVmodlType("int[]")([-1 if administrator else 10])


@computed("ManagedEntity", "customValue")
@computed("ExtensibleManagedObject", "value")
def _values(_state: State, entity: Entity) -> Any:
    kept = entity.values.get("_fields", {})
    return vim.CustomFieldsManager.Value.Array(
        [vim.CustomFieldsManager.StringValue(key=key, value=value) for key, value in kept.items()]
    )


@computed("ManagedEntity", "availableField")
@computed("ExtensibleManagedObject", "availableField")
def _available(state: State, entity: Entity) -> Any:
    manager = state.store.find("CustomFieldsManager")
    fields = manager.values.get("field", []) if manager is not None else []
    return vim.CustomFieldsManager.FieldDef.Array(
        [f for f in fields if f.managedObjectType is None or issubclass(entity.kind, f.managedObjectType)]
    )


# machines


@computed("VirtualMachine", "summary")
def _summary(state: State, machine: Entity) -> Any:
    store = state.store
    config, runtime, guest = (store.value(machine, name) for name in ("config", "runtime", "guest"))
    devices = config.hardware.device
    disks = [d for d in devices if isinstance(d, vim.vm.device.VirtualDisk)]
    return vim.vm.Summary(
        vm=machine.ref,
        runtime=runtime,
        guest=vim.vm.Summary.GuestSummary(
            guestId=guest.guestId,
            guestFullName=guest.guestFullName,
            toolsStatus=guest.toolsStatus,
            toolsVersionStatus=guest.toolsVersionStatus,
            toolsVersionStatus2=guest.toolsVersionStatus2,
            toolsRunningStatus=guest.toolsRunningStatus,
            hostName=guest.hostName,
            ipAddress=guest.ipAddress,
        ),
        config=vim.vm.Summary.ConfigSummary(
            name=store.value(machine, "name"),
            template=config.template,
            vmPathName=config.files.vmPathName,
            memorySizeMB=config.hardware.memoryMB,
            cpuReservation=0,
            memoryReservation=0,
            numCpu=config.hardware.numCPU,
            numEthernetCards=sum(isinstance(d, vim.vm.device.VirtualEthernetCard) for d in devices),
            numVirtualDisks=len(disks),
            uuid=config.uuid,
            instanceUuid=config.instanceUuid,
            guestId=config.guestId,
            guestFullName=config.guestFullName,
            annotation=config.annotation,
            managedBy=config.managedBy,
            product=config.vAppConfig.product[0] if config.vAppConfig and config.vAppConfig.product else None,
            installBootRequired=False,
            tpmPresent=any(isinstance(d, vim.vm.device.VirtualTPM) for d in devices),
            numVmiopBackings=0,
        ),
        storage=_storage(state, machine, disks),
        quickStats=vim.vm.Summary.QuickStats(
            guestHeartbeatStatus="green" if guest.guestState == "running" else "gray",
            overallCpuUsage=120 if runtime.powerState == "poweredOn" else 0,
            guestMemoryUsage=512 if runtime.powerState == "poweredOn" else 0,
            hostMemoryUsage=1024 if runtime.powerState == "poweredOn" else 0,
            uptimeSeconds=86400 if runtime.powerState == "poweredOn" else 0,
        ),
        overallStatus=_NORMAL,
    )


def _storage(state: State, machine: Entity, disks: list[Any]) -> Any:
    known = state.disks.get(machine.moid, {})
    committed = sum(_committed(disk) for disk in known.values())
    capacity = sum(d.capacityInBytes or 0 for d in disks)
    if not known:
        committed = capacity // 3
    return vim.vm.Summary.StorageSummary(
        committed=committed,
        uncommitted=max(0, capacity - committed),
        unshared=committed,
        timestamp=datetime.now(UTC),
    )


def _committed(disk: GuestDisk) -> int:
    return sum(each.extent.stat().st_blocks * 512 for each in list(disk.layers) if each.extent.exists())


@computed("VirtualMachine", "storage")
def _storage_info(state: State, machine: Entity) -> Any:
    """What the machine's disks take on each datastore."""
    known = state.disks.get(machine.moid, {})
    used: dict[str, list[int]] = {ref._moId: [0, 0] for ref in state.store.value(machine, "datastore")}
    for device in state.store.value(machine, "config").hardware.device:
        if not isinstance(device, vim.vm.device.VirtualDisk) or device.backing.datastore._moId not in used:
            continue
        committed = _committed(known[device.key]) if device.key in known else device.capacityInBytes // 3
        place = used[device.backing.datastore._moId]
        place[0] += committed
        place[1] += max(0, device.capacityInBytes - committed)
    return vim.vm.StorageInfo(
        perDatastoreUsage=[
            vim.vm.StorageInfo.UsageOnDatastore(
                datastore=vim.Datastore(moid), committed=taken, uncommitted=free, unshared=taken
            )
            for moid, (taken, free) in used.items()
        ],
        timestamp=datetime.now(UTC),
    )


@computed("VirtualMachine", "guestHeartbeatStatus")
def _heartbeat(state: State, machine: Entity) -> Any:
    running = state.store.value(machine, "guest").guestState == "running"
    return vim.ManagedEntity.Status("green" if running else "gray")


@computed("VirtualMachine", "capability")
def _capability(_state: State, _machine: Entity) -> Any:
    return vim.vm.Capability(
        snapshotOperationsSupported=True,
        multipleSnapshotsSupported=True,
        snapshotConfigSupported=True,
        poweredOffSnapshotsSupported=True,
        memorySnapshotsSupported=True,
        revertToSnapshotSupported=True,
        quiescedSnapshotsSupported=True,
        changeTrackingSupported=True,
        bootOptionsSupported=True,
        seSparseDiskSupported=True,
        nestedHVSupported=True,
    )


@computed("VirtualMachine", "rootSnapshot")
def _root_snapshots(state: State, machine: Entity) -> Any:
    info = state.store.value(machine, "snapshot")
    return vim.vm.Snapshot.Array([t.snapshot for t in info.rootSnapshotList] if info is not ABSENT else [])


@computed("VirtualMachine", "layoutEx")
def _layout(state: State, machine: Entity) -> Any:
    config = state.store.value(machine, "config")
    layout = vim.vm.FileLayoutEx(timestamp=datetime.now(UTC))
    layout.file.append(_file(0, config.files.vmPathName, "config", 2700))
    for disk in state.disks.get(machine.moid, {}).values():
        name = next(
            split(d.backing.fileName)[0] for d in config.hardware.device if state.disks[machine.moid].get(d.key) is disk
        )
        for layer in list(disk.layers):
            number = len(layout.file)
            layout.file.append(_file(number, f"[{name}] {disk.shown(layer)}", "diskDescriptor", 500))
            extent = disk.shown_extent(layer)
            size = layer.extent.stat().st_blocks * 512 if layer.extent.exists() else 0
            layout.file.append(_file(number + 1, f"[{name}] {extent}", "diskExtent", size))
    return layout


def _file(key: int, name: str, kind: str, size: int) -> Any:
    return vim.vm.FileLayoutEx.FileInfo(key=key, name=name, type=kind, size=size, uniqueSize=size, accessible=True)


# places


@computed("HostSystem", "summary")
def _host_summary(state: State, host: Entity) -> Any:
    values = host.values
    return vim.host.Summary(
        host=host.ref,
        hardware=vim.host.Summary.HardwareSummary(
            vendor="Simulated",
            model="S1",
            uuid=values["_uuid"],
            memorySize=values["hardware"].memorySize,
            cpuModel="Simulated CPU @ 2.60GHz",
            cpuMhz=2600,
            numCpuPkgs=values["hardware"].cpuInfo.numCpuPackages,
            numCpuCores=values["hardware"].cpuInfo.numCpuCores,
            numCpuThreads=values["hardware"].cpuInfo.numCpuThreads,
            numNics=len(values["_network"].pnic),
            numHBAs=2,
        ),
        runtime=values["runtime"],
        config=vim.host.Summary.ConfigSummary(
            name=values["name"],
            port=443,
            sslThumbprint=state.thumbprints.get(host.moid),
            product=values["config"].product,
            vmotionEnabled=True,
            faultToleranceEnabled=False,
        ),
        quickStats=vim.host.Summary.QuickStats(overallCpuUsage=2000, overallMemoryUsage=32768),
        overallStatus=_NORMAL,
        rebootRequired=False,
        maintenanceModeRequired=False,
    )


@computed("Datastore", "capability")
def _datastore_capability(_state: State, datastore: Entity) -> Any:
    kind = datastore.values["_kind"]
    return vim.Datastore.Capability(
        directoryHierarchySupported=True,
        rawDiskMappingsSupported=kind.startswith("VMFS"),
        perFileThinProvisioningSupported=True,
        storageIORMSupported=True,
        seSparseSupported=kind in ("VMFS6", "vsan"),
        vmfsSparseSupported=kind in ("VMFS5", "VMFS6"),
    )


@computed("ComputeResource", "summary")
def _compute_summary(state: State, compute: Entity) -> Any:
    hosts = [state.store.get(r) for r in compute.values["host"]]
    cores = sum(h.values["hardware"].cpuInfo.numCpuCores for h in hosts)
    memory = sum(h.values["hardware"].memorySize for h in hosts)
    kind = vim.ClusterComputeResource.Summary if issubclass(compute.kind, vim.ClusterComputeResource) else None
    made = (kind or vim.ComputeResource.Summary)(
        totalCpu=cores * 2600,
        totalMemory=memory,
        numCpuCores=cores,
        numCpuThreads=2 * cores,
        effectiveCpu=cores * 2500,
        effectiveMemory=memory // 2**20,
        numHosts=len(hosts),
        numEffectiveHosts=len(hosts),
        overallStatus=_NORMAL,
    )
    if kind is not None:
        made.currentFailoverLevel, made.numVmotions = 1, 0
    return made


@computed("ClusterComputeResource", "configuration")
def _cluster_configuration(_state: State, cluster: Entity) -> Any:
    config = cluster.values["configurationEx"]
    return vim.cluster.ConfigInfo(dasConfig=config.dasConfig, drsConfig=config.drsConfig, rule=list(config.rule))


@computed("ResourcePool", "summary")
def _pool_summary(_state: State, pool: Entity) -> Any:
    usage = vim.ResourcePool.ResourceUsage(
        reservationUsed=0, reservationUsedForVm=0, unreservedForPool=0, unreservedForVm=0, overallUsage=0, maxUsage=0
    )
    kind = vim.VirtualApp.Summary if issubclass(pool.kind, vim.VirtualApp) else vim.ResourcePool.Summary
    return kind(
        name=pool.values["name"],
        config=pool.values["config"],
        runtime=vim.ResourcePool.RuntimeInfo(memory=usage, cpu=usage, overallStatus=_NORMAL),
    )
