# SPDX-License-Identifier: Apache-2.0
"""Automatic activation by a Hyper-V host."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import is_windows_server
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    if not is_windows_server(context.machine.guest):
        return
    host = context.host
    if host is not None and "datacenter" in host.edition.casefold():
        yield Remark(f"Its host “{host.name}” is {host.edition}, which activates guests.")
    elif host is None or not host.edition:
        yield Unknown("The edition of some hosts is not known.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="identity.automatic-activation",
    severity=Severity.WARNING,
    label="Windows that its Hyper-V host activates is not activated on XCP-ng",
    remedy="Give it a KMS, MAK or Active Directory key before the move (slmgr /ipk).",
    source="Microsoft: Automatic Virtual Machine Activation needs a Windows Server Datacenter host",
    sources=frozenset({"hyperv"}),
    check=check,
)
