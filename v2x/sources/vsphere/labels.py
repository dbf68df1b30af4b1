# SPDX-License-Identifier: Apache-2.0
"""Names and notes of machines, and the power states of many of them at once.

A name travels as vSphere keeps it, escapes and all, so that what was read can be set again.
"""

from collections.abc import Mapping, Sequence

from pyVmomi import vim

from v2x.errors import SourceError, V2xError
from v2x.model.machine import Machine, PowerState
from v2x.sources.ovf_dialects import plain_uuid
from v2x.sources.vsphere.failures import GONE, fault_name
from v2x.sources.vsphere.present import IDENTITY, POWER, present
from v2x.sources.vsphere.session import VsphereSession

_NAME, _NOTES = "name", "config.annotation"
_STATE = "runtime.powerState"
_SECONDS = 600.0


def label(session: VsphereSession, machine: Machine) -> dict[str, str]:
    """`name` and `notes` as they are now."""
    now = present(session, machine, [_NAME, _NOTES])
    return {"name": str(now.values.get(_NAME) or ""), "notes": str(now.values.get(_NOTES) or "")}


def relabel(session: VsphereSession, machine: Machine, wanted: Mapping[str, str]) -> None:
    now = present(session, machine)
    spec = vim.vm.ConfigSpec()
    if "name" in wanted:
        spec.name = wanted["name"]
    if "notes" in wanted:
        spec.annotation = wanted["notes"]
    doing = "set its name and notes"
    task = session.call(now.reference.ReconfigVM_Task, spec, doing=doing, subject=machine.name)
    session.wait_task(task, doing=doing, subject=machine.name, timeout=_SECONDS)


def states(session: VsphereSession, machines: Sequence[Machine]) -> dict[str, PowerState]:
    """By id, in one call. One that is not where it was is looked for by its identity; one that is gone is left out."""
    references = {one.reference: vim.VirtualMachine(one.reference, session.stub) for one in machines if one.reference}
    seen: dict[str, tuple[str, PowerState]] = {}
    wanted = list(references.values())
    try:
        for found in session.retrieve(vim.VirtualMachine, [IDENTITY, _STATE], objects=wanted) if wanted else ():
            state = POWER.get(str(found.values.get(_STATE, "")), PowerState.UNKNOWN)
            seen[found.id] = (plain_uuid(str(found.values.get(IDENTITY, ""))), state)
    except V2xError as problem:
        if fault_name(problem.__cause__) not in GONE:
            raise
        # One of them is gone, and the server answers for none then.
    states: dict[str, PowerState] = {}
    for machine in machines:
        identity, state = seen.get(machine.reference, ("", PowerState.UNKNOWN))
        by_uuid = bool(plain_uuid(machine.id))
        if machine.reference in seen and (not by_uuid or identity == machine.id):
            states[machine.id] = state
            continue
        try:
            states[machine.id] = present(session, machine).power
        except SourceError as problem:
            if problem.code != "SOURCE-GONE":
                raise
    return states
