# SPDX-License-Identifier: Apache-2.0
"""Exports by lease: of a machine that is off, or of a snapshot."""

import time
from typing import Any

from pyVmomi import vim, vmodl

from v2x.simulators.vsphere import leases
from v2x.simulators.vsphere.calls.power import refuse_unreachable, wrong_power
from v2x.simulators.vsphere.dispatch import method
from v2x.simulators.vsphere.state import Context
from v2x.simulators.vsphere.store import Entity


@method("VirtualMachine", "ExportVm")
def export_vm(context: Context, machine: Entity) -> Any:
    refuse_unreachable(context.state, machine)
    found = context.store.value(machine, "runtime").powerState
    if found != "poweredOff":
        raise wrong_power("poweredOff", found)
    return _lease(context, machine, None)


@method("VirtualMachineSnapshot", "ExportSnapshot")
def export_snapshot(context: Context, snapshot: Entity) -> Any:
    machine = snapshot.values["_machine"]
    refuse_unreachable(context.state, machine)
    return _lease(context, machine, snapshot)


def _lease(context: Context, machine: Entity, snapshot: Entity | None) -> Any:
    if any(each.machine is machine for each in list(context.state.leases.values())):
        raise vim.fault.TaskInProgress(task=vim.Task("task-0"), msg="Another task is already in progress.")
    config = context.store.own(machine, "config")
    if config.keyId is not None or any(getattr(d.backing, "keyId", None) for d in config.hardware.device):
        raise vim.fault.InvalidState(msg="An encrypted virtual machine cannot be exported.")
    return leases.open_lease(context, machine, snapshot)


def _open(context: Context, lease: Entity) -> leases.Lease:
    """The lease, or Timedout for one that has ended already."""
    found = context.state.leases.get(lease.moid)
    if found is None:
        raise vim.fault.Timedout(msg="The lease has ended.")
    return found


@method("HttpNfcLease", "HttpNfcLeaseProgress")
def progress(context: Context, lease: Entity, percent: int) -> None:
    found = _open(context, lease)
    found.progress = percent
    found.deadline = time.monotonic() + context.state.settings.lease_timeout
    context.store.set(lease, transferProgress=percent)


@method("HttpNfcLease", "HttpNfcLeaseComplete")
def complete(context: Context, lease: Entity) -> None:
    found = _open(context, lease)
    if not found.ready:
        raise vim.fault.InvalidState(msg="The lease is not ready.")
    leases.end(context.state, found, "done")


@method("HttpNfcLease", "HttpNfcLeaseAbort")
def abort(context: Context, lease: Entity, fault: Any) -> None:
    found = _open(context, lease)
    leases.end(context.state, found, "error", fault or vmodl.fault.RequestCanceled(msg="The export was aborted."))


@method("HttpNfcLease", "HttpNfcLeaseGetManifest")
def manifest(context: Context, lease: Entity) -> list[Any]:
    found = _open(context, lease)
    if not found.ready:
        raise vim.fault.InvalidState(msg="The lease is not ready.")
    return [
        vim.HttpNfcLease.ManifestEntry(
            key=f"/{found.machine.moid}/{each.key}",
            sha1=each.sha1,
            size=each.sent_bytes,
            disk=True,
            capacity=each.layer.size_bytes,
            populatedSize=sum(n for _, n in each.disk.allocated(each.layer)),
        )
        for each in found.files.values()
        if each.sha1
    ]
