# SPDX-License-Identifier: Apache-2.0
"""The products that the stand-in can be: vCenter or a standalone ESXi host, and in which version.

Builds are those of public releases; `api` is the version of the API that the release speaks at most, as pyVmomi's
type tables name it (vim25/<api>).
"""

from dataclasses import dataclass

from v2x.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One product. `free` is an ESXi host without a licence for writing through the API."""

    name: str
    says: str
    vcenter: bool
    version: str
    build: str
    api: str
    free: bool = False

    @property
    def product(self) -> str:
        return "VMware vCenter Server" if self.vcenter else "VMware ESXi"

    @property
    def newer_rest(self) -> bool:
        """Whether /api answers beside /rest: since 7.0 U2."""
        return self.vcenter and int(self.version[0]) >= 7


_RELEASES = (
    ("8.0", "8.0.3", "24022515", "24022510", "8.0.3.0"),
    ("7.0", "7.0.3", "20150588", "19193900", "7.0.3.0"),
    ("6.7", "6.7.0", "14367737", "14320388", "6.7.3"),
    ("6.5", "6.5.0", "5973321", "5969303", "6.5"),
)

_ALL = [
    *(
        Profile(name=f"vcenter-{short}", says=f"vCenter {version}", vcenter=True, version=version, build=build, api=api)
        for short, version, build, _, api in _RELEASES
    ),
    *(
        Profile(
            name=f"esxi-{short}", says=f"a lone ESXi {version}", vcenter=False, version=version, build=build, api=api
        )
        for short, version, _, build, api in _RELEASES
    ),
    Profile(
        name="esxi-free",
        says="a lone ESXi 8.0.3 with the free licence: the API is read-only",
        vcenter=False,
        version="8.0.3",
        build="24022510",
        api="8.0.3.0",
        free=True,
    ),
]
_NEWEST = {"vcenter": "vcenter-8.0", "esxi": "esxi-8.0"}
PROFILES = {p.name: p for p in _ALL}
DEFAULT_PROFILE = "vcenter-8.0"


def profile_named(name: str) -> Profile:
    """The profile `name`; `vcenter` and `esxi` are the newest of each. UsageError when there is none."""
    found = PROFILES.get(_NEWEST.get(name, name))
    if found is None:
        raise UsageError(
            f"No profile {name!r} of the simulated vSphere",
            hint="one of " + ", ".join(f"{p.name} ({p.says})" for p in PROFILES.values()),
        )
    return found
