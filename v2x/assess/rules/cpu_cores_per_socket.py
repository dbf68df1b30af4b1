# SPDX-License-Identifier: Apache-2.0
"""A core count that does not divide the processors."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity
from v2x.text import plural


def check(context: Context) -> Iterator[Said]:
    cpu = context.machine.cpu
    cores = cpu.cores_per_socket
    if cores is None:
        yield Unknown("The source does not tell the cores per socket.", LOOK_AT_THE_SOURCE)
    elif cpu.count >= 1 and (cores < 1 or cpu.count % cores):
        yield Remark(
            f"{plural(cpu.count, 'processor')} with {plural(cores, 'core')} per socket; the topology is not kept."
        )


RULE = MachineRule(
    id="cpu.cores-per-socket",
    severity=Severity.INFO,
    label="Cores per socket do not divide the number of processors",
    remedy=(
        "Nothing has to be done unless software in the guest is licensed by socket; then choose a fitting "
        "number at the source."
    ),
    source="XAPI: VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE",
    check=check,
)
