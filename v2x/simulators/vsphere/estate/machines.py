# SPDX-License-Identifier: Apache-2.0
"""Adding a machine to the estate: its configuration, disks, files, and its place in the tree."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pyVmomi import vim

from v2x.errors import UsageError
from v2x.simulators.vsphere.disks.guest import GuestDisk
from v2x.simulators.vsphere.estate import devices, files, guests, networks
from v2x.simulators.vsphere.estate.inventory import Inventory, shown
from v2x.simulators.vsphere.estate.specs import Allocation, DiskSpec, MachineSpec
from v2x.simulators.vsphere.store import Entity

_SECTOR = 512
_CHANGE_VERSION = "2026-01-05T06:00:00.000000Z"


def add_machine(inventory: Inventory, spec: MachineSpec) -> Entity:
    """Adds the machine, with files for its disks. UsageError when a place it names does not exist."""
    return _Addition(inventory, spec).run()


def pattern_of(inventory: Inventory, spec: MachineSpec) -> Entity:
    """A machine that stands nowhere: others are like it but for the marks in it (printing.py)."""
    return _Addition(inventory, spec).pattern()


class _Addition:
    """One machine on its way into the estate."""

    def __init__(self, inventory: Inventory, spec: MachineSpec) -> None:
        self.inventory, self.spec = inventory, spec
        self.state, self.store = inventory.state, inventory.store
        self.host = inventory.named(vim.HostSystem, spec.host)
        self.datastore = inventory.named(vim.Datastore, spec.datastore, among=self.host.values["datastore"])
        self.compute = self.store.get(self.host.values["parent"])
        self.directory = spec.directory or spec.name.replace("/", "_").replace("\\", "_").replace("%", "_")
        self.networks: dict[str, Entity] = {}
        self.datastores = {self.datastore.moid: self.datastore}

    def run(self) -> Entity:
        spec, store = self.spec, self.store
        vcenter = self.state.profile.vcenter
        moid = store.next_id("vm-" if vcenter else "")
        config = self._config(moid)
        made = store.add(
            vim.VirtualMachine,
            moid,
            name=shown(spec.name),
            config=config,
            runtime=self._runtime(),
            guest=guests.guest(spec, [d for d in config.hardware.device if hasattr(d, "macAddress")], self.networks),
            _spec=spec,
        )
        self._place(made)
        self._describe(made)
        disks = self._disks(made)
        self.state.disks[moid] = disks
        files.write_configuration(self.state, made, self.datastore, self.directory)
        if spec.power == "poweredOn":
            for disk in disks.values():
                self.state.places.run(disk, made.moid, True)
        return made

    def pattern(self) -> Entity:
        spec = self.spec
        config = self._config("@MOID@")
        runtime = self._runtime()
        runtime.host = vim.HostSystem("@HOST@")
        values = {
            "name": spec.name,
            "config": config,
            "runtime": runtime,
            "guest": guests.guest(spec, [d for d in config.hardware.device if hasattr(d, "macAddress")], self.networks),
            "datastore": vim.Datastore.Array([self.datastore.ref]),
            "network": vim.Network.Array([n.ref for n in self.networks.values()]),
            "resourcePool": self.compute.values["resourcePool"],
        }
        return Entity(vim.VirtualMachine, "@MOID@", values)

    def _describe(self, made: Entity) -> None:
        """Tags and custom attributes; a lone host has neither."""
        manager = self.store.find("CustomFieldsManager")
        if not self.state.profile.vcenter or manager is None:
            return
        for tag in self.spec.tags:
            self.state.tags.attach(tag, "VirtualMachine", made.moid)
        known = {f.name: f.key for f in manager.values["field"]}
        for name, value in self.spec.fields.items():
            if name not in known:
                known[name] = max(known.values(), default=100) + 1
                manager.values["field"].append(vim.CustomFieldsManager.FieldDef(key=known[name], name=name, type=str))
            made.values.setdefault("_fields", {})[known[name]] = value

    # the configuration

    def _config(self, moid: str) -> Any:
        spec = self.spec
        name = self.datastore.values["summary"].name
        home = f"[{name}] {self.directory}/"
        path = f"{home}{self.directory}.{'vmtx' if spec.template else 'vmx'}"
        hardware = vim.vm.VirtualHardware(
            numCPU=spec.cpus, numCoresPerSocket=spec.cores_per_socket, memoryMB=spec.memory_mib, device=self._devices()
        )
        config = vim.vm.ConfigInfo(
            changeVersion=_CHANGE_VERSION,
            modified=datetime(2026, 1, 5, tzinfo=UTC),
            createDate=self.inventory.days_ago(400),
            name=shown(spec.name),
            guestFullName=spec.guest_name,
            version=spec.hardware,
            uuid=spec.uuid or self.inventory.uuid(),
            instanceUuid=spec.instance_uuid or self.inventory.uuid(),
            template=spec.template,
            guestId=spec.guest_id,
            alternateGuestName=spec.guest_name,
            annotation=spec.annotation,
            files=vim.vm.FileInfo(vmPathName=path, snapshotDirectory=home, suspendDirectory=home, logDirectory=home),
            tools=guests.tools_config(spec),
            flags=vim.vm.FlagInfo(
                diskUuidEnabled=False, snapshotDisabled=False, snapshotLocked=False, vbsEnabled=False
            ),
            defaultPowerOps=vim.vm.DefaultPowerOpInfo(powerOffType="soft", resetType="soft", suspendType="hard"),
            hardware=hardware,
            cpuAllocation=_allocation(spec.cpu),
            memoryAllocation=_allocation(spec.memory),
            latencySensitivity=vim.LatencySensitivity(level=spec.latency),
            memoryHotAddEnabled=spec.memory_hot_add,
            cpuHotAddEnabled=spec.cpu_hot_add,
            cpuHotRemoveEnabled=False,
            extraConfig=[vim.option.OptionValue(key=k, value=v) for k, v in self._extra().items()],
            datastoreUrl=[
                vim.vm.ConfigInfo.DatastoreUrlPair(
                    name=name, url=self.datastore.values["summary"].url.removeprefix("ds://").rstrip("/")
                )
            ],
            swapPlacement="inherit",
            bootOptions=self._boot(hardware.device),
            changeTrackingEnabled=spec.tracking,
            firmware=spec.firmware,
            maxMksConnections=40,
            memoryReservationLockedToMax=spec.memory_locked,
            nestedHVEnabled=spec.nested,
            vPMCEnabled=False,
            vmStorageObjectId="",
        )
        if spec.affinity:
            config.cpuAffinity = vim.vm.AffinityInfo(affinitySet=list(spec.affinity))
        if spec.encrypted:
            config.keyId = _key()
        if spec.managed_by[0]:
            config.managedBy = vim.ext.ManagedByInfo(extensionKey=spec.managed_by[0], type=spec.managed_by[1])
        if spec.product[0]:
            product = vim.vApp.ProductInfo(
                key=0, name=spec.product[0], vendor=spec.product[1], version="1.0", fullVersion="1.0.0"
            )
            config.vAppConfig = vim.vApp.VmConfigInfo(
                product=[product],
                ipAssignment=vim.vApp.IPAssignmentInfo(),
                installBootRequired=False,
                installBootStopDelay=0,
            )
        return config

    def _extra(self) -> Mapping[str, str]:
        return {"nvram": f"{self.directory}.nvram", "svga.present": "TRUE", **self.spec.extra_config}

    def _devices(self) -> list[Any]:
        spec = self.spec
        if spec.placeholder:
            return devices.fixed_devices()
        found = [*devices.fixed_devices(), *devices.other_devices(spec)]
        taken: set[tuple[str, int, int]] = set()
        for number, disk in enumerate(spec.disks):
            unit = devices.unit_of(disk, taken)
            size = self._size(disk)
            found.append(devices.disk_device(disk, number, unit, size, self._backing(disk, number)))
        for number, nic in enumerate(spec.nics):
            network = self.inventory.named(vim.Network, shown(nic.network), among=self.host.values["network"])
            self.networks[nic.network] = network
            mac = nic.mac or "00:50:56:" + ":".join(f"{self.inventory.random.randrange(256):02x}" for _ in range(3))
            behind = networks.backing(self.inventory, network)
            found.append(devices.nic_device(nic, number, behind, mac, spec.power == "poweredOn"))
        devices.list_children(found)
        return found

    def _size(self, disk: DiskSpec) -> int:
        if disk.borrowed:
            lender = self._lender(disk)
            return lender.size_bytes
        size = max(disk.size_bytes, disk.image.stat().st_size if disk.image is not None else 0)
        return -(-size // _SECTOR) * _SECTOR

    def _lender(self, disk: DiskSpec) -> GuestDisk:
        found = files.disk_of_path(self.state, disk.borrowed)
        if found is None:
            raise UsageError(f"The simulated vSphere has no disk {disk.borrowed}")
        return found

    def _home(self, disk: DiskSpec) -> Entity:
        if not disk.datastore:
            return self.datastore
        found = self.inventory.named(vim.Datastore, disk.datastore, among=self.host.values["datastore"])
        self.datastores[found.moid] = found
        return found

    def _backing(self, disk: DiskSpec, number: int) -> Any:
        kinds = vim.vm.device.VirtualDisk
        home = self._home(disk)
        name = f"{self.directory}{f'_{number}' if number else ''}.vmdk"
        file = disk.borrowed or f"[{home.values['summary'].name}] {self.directory}/{name}"
        common: dict[str, Any] = {
            "fileName": file,
            "datastore": home.ref,
            "diskMode": disk.mode,
            "uuid": f"6000C29{self.inventory.uuid()[7:]}",
            "contentId": self.inventory.uuid().replace("-", ""),
            "sharing": "sharingMultiWriter" if disk.shared else "sharingNone",
        }
        if disk.rdm:
            lun = f"vml.0200010000{self.inventory.uuid().replace('-', '')}"
            made = kinds.RawDiskMappingVer1BackingInfo(
                **common, lunUuid=lun[4:], deviceName=lun, compatibilityMode=disk.rdm
            )
        else:
            made = kinds.FlatVer2BackingInfo(
                **common, thinProvisioned=disk.thin, eagerlyScrub=disk.eager, split=False, writeThrough=False
            )
        if disk.encrypted or self.spec.encrypted:
            made.keyId = _key()
        return made

    def _boot(self, found: list[Any]) -> Any:
        options = vim.vm.BootOptions(
            bootDelay=0,
            enterBIOSSetup=False,
            efiSecureBootEnabled=self.spec.secure_boot,
            bootRetryEnabled=False,
            bootRetryDelay=10000,
            networkBootProtocol="ipv4",
        )
        kinds = vim.vm.BootOptions
        disks = [d.key for d in found if isinstance(d, vim.vm.device.VirtualDisk)]
        nics = [d.key for d in found if isinstance(d, vim.vm.device.VirtualEthernetCard)]
        for each in self.spec.boot:
            what, _, number = each.partition(":")
            if what == "disk":
                options.bootOrder.append(kinds.BootableDiskDevice(deviceKey=disks[int(number)]))
            elif what == "nic":
                options.bootOrder.append(kinds.BootableEthernetDevice(deviceKey=nics[int(number)]))
            else:
                options.bootOrder.append(
                    kinds.BootableCdromDevice() if what == "cdrom" else kinds.BootableFloppyDevice()
                )
        return options

    def _runtime(self) -> Any:
        spec = self.spec
        on = spec.power == "poweredOn"
        return vim.vm.RuntimeInfo(
            host=self.host.ref,
            connectionState=spec.connection,
            powerState=spec.power,
            faultToleranceState=spec.fault_tolerance,
            toolsInstallerMounted=False,
            suspendTime=self.inventory.days_ago(2) if spec.power == "suspended" else None,
            bootTime=self.inventory.days_ago(30) if on else None,
            numMksConnections=0,
            recordReplayState="inactive",
            cleanPowerOff=None if on else True,
            onlineStandby=False,
            consolidationNeeded=False,
            cryptoState="locked" if spec.encrypted and not on else "unlocked" if spec.encrypted else None,
        )

    # its place and its files

    def _place(self, made: Entity) -> None:
        inventory, store, spec = self.inventory, self.store, self.spec
        made.values["datastore"] = vim.Datastore.Array([d.ref for d in self.datastores.values()])
        made.values["network"] = vim.Network.Array([n.ref for n in self.networks.values()])
        for holder in (self.host, *self.datastores.values(), *self.networks.values()):
            inventory.hang(holder, "vm", made.ref)
        owner = self.compute
        pool = store.get(owner.values["resourcePool"])
        if spec.pool:
            pool = inventory.named(vim.ResourcePool, spec.pool, among=self._pools(pool))
        if not spec.template:
            made.values["resourcePool"] = pool.ref
            inventory.hang(pool, "vm", made.ref)
        if issubclass(pool.kind, vim.VirtualApp):
            made.values["parentVApp"] = pool.ref  # and neither parent nor a folder
            return
        home = self._folder()
        made.values["parent"] = home.ref
        inventory.hang(home, "childEntity", made.ref)

    def _pools(self, pool: Entity) -> list[Any]:
        found = [pool.ref]
        for ref in pool.values["resourcePool"]:
            found += self._pools(self.store.get(ref))
        return found

    def _folder(self) -> Entity:
        """The folder `a/b` below the datacenter's for machines; made where it is not there."""
        at = self.compute
        while not issubclass(at.kind, vim.Datacenter):
            at = self.store.get(at.values["parent"])
        home = self.inventory.child(at, "vm")
        for name in [part for part in self.spec.folder.split("/") if part]:
            children = [self.store.get(r) for r in home.values["childEntity"]]
            found = [c for c in children if issubclass(c.kind, vim.Folder) and c.values["name"] == name]
            home = found[0] if found else self.inventory.folder(home, name.replace("%2f", "/"), "vm")
        return home

    def _disks(self, made: Entity) -> dict[int, GuestDisk]:
        """The disks with their files: images are filled in, borrowed ones shared."""
        found: dict[int, GuestDisk] = {}
        shown_disks = [d for d in made.values["config"].hardware.device if isinstance(d, vim.vm.device.VirtualDisk)]
        for device, spec in zip(shown_disks, self.spec.disks, strict=False):
            if spec.rdm:
                files.write_mapping(self.state, device)
                continue
            disk = self._lender(spec) if spec.borrowed else files.make_disk(self.state, device, spec.bus, made.moid)
            disk.tracker.wanted = disk.tracker.active = self.spec.tracking or disk.tracker.active
            if spec.image is not None:
                disk.fill(spec.image)
            disk.describe(disk.top)
            if not spec.borrowed:
                disk.seal()
            found[device.key] = disk
        files.show_backings(self.state, made, found)
        return found


def _allocation(asked: Allocation) -> Any:
    level = "custom" if asked.shares else "normal"
    return vim.ResourceAllocationInfo(
        reservation=asked.reservation,
        limit=asked.limit,
        expandableReservation=False,
        shares=vim.SharesInfo(shares=asked.shares or 2000, level=level),
    )


def _key() -> Any:
    return vim.encryption.CryptoKeyId(
        keyId="7c1f0a3e-key-of-the-simulator", providerId=vim.encryption.KeyProviderId(id="sim-kms")
    )
