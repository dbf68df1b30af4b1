# SPDX-License-Identifier: Apache-2.0
"""Processor affinity, limits and reservations."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.mapping.scheduling import slowest_mhz
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    kept_back = []
    if machine.cpu.affinity:
        kept_back.append(f"affinity {machine.cpu.affinity}")
    if machine.cpu.limit_mhz and not slowest_mhz(tuple(host.cpu_mhz for host in context.estate.pool.hosts)):
        # Where the speed of the target's processors is known, the limit becomes a cap.
        kept_back.append(f"limit {machine.cpu.limit_mhz} MHz")
    if machine.cpu.reservation_mhz:
        kept_back.append(f"reservation {machine.cpu.reservation_mhz} MHz")
    for key, what in (("cpu.limit_percent", "limit"), ("cpu.reserve_percent", "reservation")):
        if key in machine.attributes:
            kept_back.append(f"{what} {machine.attributes[key]} % of the processors")
    if machine.memory.reservation_bytes:
        kept_back.append(f"memory reservation {show_bytes(machine.memory.reservation_bytes)}")
    if kept_back:
        yield Remark(f"Left out: {', '.join(kept_back)}.")


RULE = MachineRule(
    id="cpu.scheduling-not-carried",
    severity=Severity.INFO,
    label="Processor and memory reservations and affinity are not carried over",
    remedy="Set a cap or an affinity on the new machine if they are still needed; Xen has no reservations.",
    source="XAPI: VCPUs-params; processor numbers mean nothing on another host",
    always_known=LISTED,
    check=check,
)
