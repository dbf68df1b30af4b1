# SPDX-License-Identifier: Apache-2.0
"""Finding objects by id, path, name or address."""

from collections.abc import Callable, Iterator
from typing import Any

from pyVmomi import vim

from v2x.simulators.vsphere import paths, traversal
from v2x.simulators.vsphere.dispatch import method
from v2x.simulators.vsphere.state import Context
from v2x.simulators.vsphere.store import Entity


def _machines_or_hosts(context: Context, datacenter: Any, vm_search: bool) -> Iterator[Entity]:
    store = context.store
    for entity in store.all(vim.VirtualMachine if vm_search else vim.HostSystem):
        if datacenter is None:
            yield entity
        else:
            home = traversal.datacenter_of(store, entity)
            if home is not None and home.moid == datacenter._moId:
                yield entity


def _value(context: Context, entity: Entity, path: str) -> Any:
    return paths.read(context.store, entity, path, context.version)


def _by(context: Context, datacenter: Any, vm_search: bool, fits: Callable[[Entity], bool]) -> list[Any]:
    return [e.ref for e in _machines_or_hosts(context, datacenter, vm_search) if fits(e)]


def _by_uuid(context: Context, datacenter: Any, uuid: str, vm_search: bool, instance: bool | None) -> list[Any]:
    path = "config.instanceUuid" if instance else "config.uuid" if vm_search else "summary.hardware.uuid"
    return _by(context, datacenter, vm_search, lambda e: str(_value(context, e, path)).lower() == uuid.lower())


@method("SearchIndex", "FindByUuid")
def find_by_uuid(
    context: Context, _index: Entity, datacenter: Any, uuid: str, vmSearch: bool, instanceUuid: bool | None
) -> Any:
    return next(iter(_by_uuid(context, datacenter, uuid, vmSearch, instanceUuid)), None)


@method("SearchIndex", "FindAllByUuid")
def find_all_by_uuid(
    context: Context, _index: Entity, datacenter: Any, uuid: str, vmSearch: bool, instanceUuid: bool | None
) -> list[Any]:
    return _by_uuid(context, datacenter, uuid, vmSearch, instanceUuid)


def _by_dns(context: Context, datacenter: Any, name: str, vm_search: bool) -> list[Any]:
    path = "guest.hostName" if vm_search else "name"
    return _by(context, datacenter, vm_search, lambda e: str(_value(context, e, path)).lower() == name.lower())


@method("SearchIndex", "FindByDnsName")
def find_by_dns_name(context: Context, _index: Entity, datacenter: Any, dnsName: str, vmSearch: bool) -> Any:
    return next(iter(_by_dns(context, datacenter, dnsName, vmSearch)), None)


@method("SearchIndex", "FindAllByDnsName")
def find_all_by_dns_name(context: Context, _index: Entity, datacenter: Any, dnsName: str, vmSearch: bool) -> list[Any]:
    return _by_dns(context, datacenter, dnsName, vmSearch)


@method("SearchIndex", "FindByIp")
def find_by_ip(context: Context, _index: Entity, datacenter: Any, ip: str, vmSearch: bool) -> Any:
    path = "guest.ipAddress" if vmSearch else "name"
    return next(iter(_by(context, datacenter, vmSearch, lambda e: _value(context, e, path) == ip)), None)


@method("SearchIndex", "FindByDatastorePath")
def find_by_datastore_path(context: Context, _index: Entity, datacenter: Any, path: str) -> Any:
    found = _by(context, datacenter, True, lambda e: _value(context, e, "config.files.vmPathName") == path)
    return next(iter(found), None)


@method("SearchIndex", "FindByInventoryPath")
def find_by_inventory_path(context: Context, _index: Entity, inventoryPath: str) -> Any:
    """Slashes part names, which are compared as the API shows them: with %2f, %5c and %25."""
    store = context.store
    at = store.get(store.get(vim.ServiceInstance("ServiceInstance")).values["content"].rootFolder)
    for name in [part for part in inventoryPath.split("/") if part]:
        found = _child(context, at, name)
        if found is None:
            return None
        at = found
    return at.ref


def _child(context: Context, entity: Entity, name: str) -> Entity | None:
    store = context.store
    for child in traversal.children(store, entity):
        if store.value(child, "name") == name:
            return child
    return None


@method("SearchIndex", "FindChild")
def find_child(context: Context, _index: Entity, entity: Any, name: str) -> Any:
    found = _child(context, context.store.get(entity), name)
    return found.ref if found is not None else None
