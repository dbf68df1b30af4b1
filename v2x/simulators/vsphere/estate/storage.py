# SPDX-License-Identifier: Apache-2.0
"""Datastores: VMFS 5 and 6, NFS 3 and 4.1, vSAN; each a folder with files."""

from collections.abc import Sequence
from typing import Any

from pyVmomi import vim

from v2x.simulators.vsphere.estate.inventory import Inventory, shown
from v2x.simulators.vsphere.store import Entity

_TIB = 1024**4
KINDS = {"VMFS5": "VMFS", "VMFS6": "VMFS", "NFS": "NFS", "NFS41": "NFS41", "vsan": "vsan"}


def sparse_kind(datastore: Entity) -> str:
    """Which delta a snapshot begins there: seSparse since VMFS 6 and on vSAN, vmfsSparse elsewhere."""
    return "seSparse" if datastore.values["_kind"] in ("VMFS6", "vsan") else "vmfsSparse"


def datastore(
    inventory: Inventory,
    datacenter: Entity,
    name: str,
    kind: str,
    hosts: Sequence[Entity],
    *,
    capacity_bytes: int = 4 * _TIB,
    accessible: bool = True,
    folder: Entity | None = None,
) -> Entity:
    """A datastore of one of KINDS, mounted by `hosts`."""
    state, store = inventory.state, inventory.store
    uuid = inventory.uuid()[:35]
    moid = store.next_id("datastore-") if state.profile.vcenter else uuid
    url = f"ds:///vmfs/volumes/{uuid}/"
    made = store.add(
        vim.Datastore,
        moid,
        name=shown(name),
        vm=vim.VirtualMachine.Array([]),
        _kind=kind,
        info=_info(kind, name, url, uuid, capacity_bytes),
    )
    made.values["summary"] = vim.Datastore.Summary(
        datastore=made.ref,
        name=shown(name),
        url=url,
        capacity=capacity_bytes,
        freeSpace=capacity_bytes * 3 // 5,
        uncommitted=0,
        accessible=accessible,
        multipleHostAccess=len(hosts) > 1,
        type=KINDS[kind],
        maintenanceMode="normal",
    )
    home = folder or inventory.child(datacenter, "datastore")
    made.values["parent"] = home.ref
    made.values["host"] = vim.Datastore.HostMount.Array([_mount(h, uuid, accessible) for h in hosts])
    inventory.hang(home, "childEntity", made.ref)
    inventory.hang(datacenter, "datastore", made.ref)
    for host in hosts:
        inventory.hang(host, "datastore", made.ref)
        inventory.hang(store.get(host.values["parent"]), "datastore", made.ref)
    state.places.add(moid, name)
    return made


def _mount(host: Entity, uuid: str, accessible: bool) -> Any:
    info = vim.host.MountInfo(path=f"/vmfs/volumes/{uuid}", accessMode="readWrite", mounted=True, accessible=accessible)
    return vim.Datastore.HostMount(key=host.ref, mountInfo=info)


def _info(kind: str, name: str, url: str, uuid: str, capacity: int) -> Any:
    common = {"name": shown(name), "url": url, "freeSpace": capacity * 3 // 5, "maxFileSize": 62 * _TIB}
    if kind.startswith("VMFS"):
        volume = vim.host.VmfsVolume(
            type="VMFS",
            name=name,
            capacity=capacity,
            blockSizeMb=1,
            maxBlocks=63 * 1024 * 1024,
            majorVersion=int(kind[-1]),
            version="6.82" if kind == "VMFS6" else "5.61",
            uuid=uuid,
            extent=[vim.host.ScsiDisk.Partition(diskName=f"naa.600{uuid.replace('-', '')[:29]}", partition=1)],
            vmfsUpgradable=False,
            ssd=True,
            local=False,
        )
        return vim.host.VmfsDatastoreInfo(
            **common, maxPhysicalRDMFileSize=62 * _TIB, maxVirtualRDMFileSize=62 * _TIB, vmfs=volume
        )
    if kind.startswith("NFS"):
        volume = vim.host.NasVolume(
            type=KINDS[kind], name=name, capacity=capacity, remoteHost="192.0.2.40", remotePath=f"/export/{name}"
        )
        return vim.host.NasDatastoreInfo(**common, nas=volume)
    return vim.host.VsanDatastoreInfo(**common, membershipUuid=uuid)
