# SPDX-License-Identifier: Apache-2.0
"""Container and list views."""

from typing import Any

from pyVmomi import VmomiSupport, vim, vmodl

from v2x.simulators.vsphere.dispatch import method
from v2x.simulators.vsphere.state import Context
from v2x.simulators.vsphere.store import Entity

_CONTAINERS = (vim.Folder, vim.Datacenter, vim.ComputeResource, vim.ResourcePool, vim.HostSystem)


@method("ViewManager", "CreateContainerView")
def create_container_view(context: Context, _manager: Entity, container: Any, type: Any, recursive: bool) -> Any:
    held = context.store.get(container)
    if not issubclass(held.kind, _CONTAINERS):
        raise vmodl.fault.InvalidArgument(
            invalidProperty="container", msg="A specified parameter was not correct: container"
        )
    return _made(context, vim.view.ContainerView, container=container, type=list(type or ()), recursive=recursive)


@method("ViewManager", "CreateListView")
def create_list_view(context: Context, _manager: Entity, obj: Any) -> Any:
    return _made(context, vim.view.ListView, view=VmomiSupport.GetVmodlType("vmodl.ManagedObject[]")(list(obj or ())))


def _made(context: Context, kind: Any, **values: Any) -> Any:
    store = context.store
    made = store.add(kind, f"session[{context.session.key}]{store.next_id('view-')}", **values)
    context.session.objects.add(made.moid)
    return made.ref


@method("View", "DestroyView")
def destroy_view(context: Context, view: Entity) -> None:
    context.session.objects.discard(view.moid)
    context.store.remove(view)
