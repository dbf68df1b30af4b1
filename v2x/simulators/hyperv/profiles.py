# SPDX-License-Identifier: Apache-2.0
"""The Windows versions a simulated host can be: what it says of itself, and which commands it has."""

from dataclasses import dataclass

from v2x.errors import UsageError

_NEWER = frozenset({"Get-VMSecurity", "Get-VMNetworkAdapterIsolation"})
_DEVICES = frozenset({"Get-VMAssignableDevice", "Get-VMPmemController", "Get-VMGpuPartitionAdapter"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`newest` is the configuration version of machines made there; `commands` those that older versions lack."""

    name: str
    caption: str
    version: str
    powershell: str
    newest: str
    commands: frozenset[str] = frozenset()

    @property
    def old(self) -> bool:
        """2012 R2 and before, which know neither checkpoint types nor vTPMs."""
        return float(self.newest) < 6.0


PROFILES = {
    one.name: one
    for one in (
        Profile(
            name="2012r2",
            caption="Microsoft Windows Server 2012 R2 Standard",
            version="6.3.9600",
            powershell="4.0",
            newest="5.0",
        ),
        Profile(
            name="2016",
            caption="Microsoft Windows Server 2016 Datacenter",
            version="10.0.14393",
            powershell="5.1.14393.7155",
            newest="8.0",
            commands=_NEWER | {"Get-VMAssignableDevice"},
        ),
        Profile(
            name="2019",
            caption="Microsoft Windows Server 2019 Datacenter",
            version="10.0.17763",
            powershell="5.1.17763.5830",
            newest="9.0",
            commands=_NEWER | {"Get-VMAssignableDevice", "Get-VMPmemController"},
        ),
        Profile(
            name="2022",
            caption="Microsoft Windows Server 2022 Datacenter",
            version="10.0.20348",
            powershell="5.1.20348.2400",
            newest="10.0",
            commands=_NEWER | _DEVICES,
        ),
        Profile(
            name="2025",
            caption="Microsoft Windows Server 2025 Datacenter",
            version="10.0.26100",
            powershell="5.1.26100.1591",
            newest="12.0",
            commands=_NEWER | _DEVICES,
        ),
    )
}
DEFAULT_PROFILE = "2022"


def profile_named(name: str) -> Profile:
    """The profile `name`; UsageError when there is none."""
    if name not in PROFILES:
        raise UsageError(
            f"No profile {name!r} of the simulated Hyper-V",
            hint="one of " + ", ".join(f"{one.name} ({one.caption})" for one in PROFILES.values()),
        )
    return PROFILES[name]
