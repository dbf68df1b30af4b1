# SPDX-License-Identifier: Apache-2.0
"""The processor's weight and cap (VM.VCPUs_params) from shares and limits.

A weight says how much a machine gets beside others when processors are scarce; 256 is the normal one. A cap is the most
it gets at any time, in hundredths of a processor (xapi: datamodel_vm.ml; Xen: sched-credit). A mask is never made: the
numbers of the source's processors mean nothing on another host.
"""

from v2x.mapping.ledger import Case
from v2x.model.machine import GuestIdKind, Machine

NORMAL_WEIGHT = 256
_MOST_WEIGHT = 65535
_VMWARE_SHARES_PER_CPU = 1000
"""What VMware gives each virtual processor at the level normal."""
_HYPERV_WEIGHT = 100
"""Hyper-V's relative weight of a machine that nobody changed."""


def weight(machine: Machine) -> int | None:
    """The weight for the machine's shares; None where it has none, or shares of an unknown scale."""
    shares, kind = machine.cpu.shares, machine.guest.os_id_kind
    if not shares or shares < 1:
        return None
    if kind is GuestIdKind.HYPERV:
        normal = _HYPERV_WEIGHT
    elif kind in (GuestIdKind.VMWARE, GuestIdKind.CIM):
        normal = _VMWARE_SHARES_PER_CPU * max(1, machine.cpu.count)
    else:
        return None
    return max(1, min(_MOST_WEIGHT, round(NORMAL_WEIGHT * shares / normal)))


def cap(limit_mhz: int | None, vcpus: int, host_mhz: int) -> int | None:
    """The cap for a limit, on hosts whose slowest processor has `host_mhz`; None where the limit limits nothing."""
    if not limit_mhz or limit_mhz < 1 or host_mhz < 1:
        return None
    hundredths = -(-limit_mhz * 100 // host_mhz)
    return hundredths if hundredths < vcpus * 100 else None


def slowest_mhz(speeds: tuple[int, ...]) -> int:
    """The speed that a cap is reckoned by: on a faster host the machine then gets more than it had, never less."""
    return min((speed for speed in speeds if speed > 0), default=0)


def vcpus_params(case: Case, vcpus: int) -> dict[str, str]:
    """VM.VCPUs_params; notes what became of shares and limit, and what is left out."""
    cpu, found = case.machine.cpu, {}
    chosen = weight(case.machine)
    if chosen is not None and chosen != NORMAL_WEIGHT:
        found["weight"] = str(chosen)
        case.ledger.note(f"CPU shares: {cpu.shares:,} → weight {chosen} (normal is {NORMAL_WEIGHT}).")
    elif cpu.shares and chosen is None:
        case.ledger.note(f"CPU shares: {cpu.shares:,} → none, because their scale is not known.")
    mhz = slowest_mhz(tuple(host.cpu_mhz for host in case.facts.hosts))
    most = cap(cpu.limit_mhz, vcpus, mhz)
    if most is not None:
        found["cap"] = str(most)
        case.ledger.note(
            f"CPU limit: {cpu.limit_mhz:,} MHz → cap {most}, that is {most / 100:g} processors of {mhz:,} MHz."
        )
    elif cpu.limit_mhz:
        why = f"{vcpus} vCPUs are less" if mhz else "the speed of the target's processors is not known"
        case.ledger.note(f"CPU limit: {cpu.limit_mhz:,} MHz → none, because {why}.")
    if cpu.affinity or cpu.numa_affinity:
        case.ledger.note("CPU affinity: none, because processor numbers mean nothing on another host.")
    return found
