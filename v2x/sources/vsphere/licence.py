# SPDX-License-Identifier: Apache-2.0
"""The licence of a host that is reached without a vCenter: the free one makes the interface read-only."""

from dataclasses import replace

from pyVmomi import vim

from v2x.errors import V2xError
from v2x.model.inventory import SourceHost, SourceProblem
from v2x.sources.vsphere.session import VsphereSession

_FREE = ("esxBasic", "esxiFree")
"""Edition keys of licences without write access (VMware KB 2107518: vSphere Hypervisor)."""


def with_licence(
    session: VsphereSession, hosts: tuple[SourceHost, ...], problems: list[SourceProblem]
) -> tuple[SourceHost, ...]:
    """The hosts with the licence of the one that answers; a vCenter manages no host of the free licence."""
    manager = session.content.licenseManager
    if session.about.is_vcenter or manager is None or len(hosts) != 1:
        return hosts
    try:
        (found,) = session.retrieve(vim.LicenseManager, ["licenses"], objects=[manager])
    except (V2xError, ValueError):
        return hosts
    licences = found.values.get("licenses") or []
    if not licences:
        return hosts
    name, edition = licences[0].name or "", licences[0].editionKey or ""
    free = edition.startswith(_FREE)
    if free:
        text = f"{name}: snapshots, power and exports are refused; machines that are off can be read over ssh or https"
        problems.append(SourceProblem(subject=hosts[0].name, code="READ-ONLY-LICENCE", text=text))
    return (replace(hosts[0], licence=name, read_only_licence=free, edition=edition),)
