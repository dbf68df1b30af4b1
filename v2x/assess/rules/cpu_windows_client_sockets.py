# SPDX-License-Identifier: Apache-2.0
"""A Windows client with more than two sockets."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import is_windows_client
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    cpu = context.machine.cpu
    if not is_windows_client(context.machine.guest):
        return
    if cpu.cores_per_socket is None and cpu.count > 2:
        yield Unknown("The source does not tell the cores per socket.", LOOK_AT_THE_SOURCE)
    elif cpu.cores_per_socket and -(-cpu.count // cpu.cores_per_socket) > 2:
        yield Remark(f"{-(-cpu.count // cpu.cores_per_socket)} sockets.")


RULE = MachineRule(
    id="cpu.windows-client-sockets",
    severity=Severity.WARNING,
    label="A Windows client uses two sockets at most",
    remedy="Give the machine more cores per socket at the source, or fewer vcpus in the plan.",
    source="Windows client editions use up to two processor sockets (one for Home)",
    check=check,
)
