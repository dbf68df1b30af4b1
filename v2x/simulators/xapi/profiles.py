# SPDX-License-Identifier: Apache-2.0
"""The products a simulated pool can be: which datamodel, which product strings, which abilities.

Facts: xapi, xapi_globs.ml.
"""

from dataclasses import dataclass

from v2x.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One product version. `vif_devices` is what VM.get_allowed_VIF_devices offers at most.

    `datamodel` names the version of the datamodel, from which fields, calls, defaults, roles and codes come. What is
    here is what the datamodel does not say: product strings and limits that xapi's code holds.
    """

    name: str
    says: str
    datamodel: str
    xapi_build: str
    product_version: str
    product_version_text: str
    platform_version: str
    qcow2: bool
    vtpm: bool
    vif_devices: int
    semicolon_cookies: bool
    brand: str = "XCP-ng"

    @property
    def xapi(self) -> str:
        """The `xapi` key of host.software_version: major.minor only."""
        return ".".join(self.xapi_build.split("-")[0].split(".")[:2])


PROFILES = {
    p.name: p
    for p in (
        Profile(
            name="xcp-ng-8.3",
            says="XCP-ng 8.3 as of 2026, with QCOW2",
            datamodel="26.1",
            xapi_build="26.1.4",
            product_version="8.3.0",
            product_version_text="8.3",
            platform_version="3.4.0",
            qcow2=True,
            vtpm=True,
            vif_devices=16,
            semicolon_cookies=True,
        ),
        Profile(
            name="xcp-ng-8.3-2025",
            says="XCP-ng 8.3 at the end of 2025",
            datamodel="25.33",
            xapi_build="25.33.1",
            product_version="8.3.0",
            product_version_text="8.3",
            platform_version="3.4.0",
            qcow2=True,
            vtpm=True,
            vif_devices=16,
            semicolon_cookies=True,
        ),
        Profile(
            name="xcp-ng-8.3-2025-06",
            says="XCP-ng 8.3 in the middle of 2025",
            datamodel="25.6",
            xapi_build="25.6.0",
            product_version="8.3.0",
            product_version_text="8.3",
            platform_version="3.4.0",
            qcow2=False,
            vtpm=True,
            vif_devices=7,
            semicolon_cookies=True,
        ),
        Profile(
            name="xcp-ng-8.3-2024",
            says="XCP-ng 8.3 at release",
            datamodel="24.19",
            xapi_build="24.19.2",
            product_version="8.3.0",
            product_version_text="8.3",
            platform_version="3.4.0",
            qcow2=False,
            vtpm=True,
            vif_devices=7,
            semicolon_cookies=False,
        ),
        Profile(
            name="xcp-ng-8.2",
            says="XCP-ng 8.2 LTS",
            datamodel="1.249",
            xapi_build="1.249.41",
            product_version="8.2.1",
            product_version_text="8.2",
            platform_version="3.2.1",
            qcow2=False,
            vtpm=False,
            vif_devices=7,
            semicolon_cookies=False,
        ),
        Profile(
            name="xenserver-9",
            says="the line that becomes XenServer 9",
            datamodel="head",
            xapi_build="26.17.0",
            product_version="9.0.0",
            product_version_text="9",
            platform_version="3.5.0",
            qcow2=True,
            vtpm=True,
            vif_devices=16,
            semicolon_cookies=True,
            brand="XenServer",
        ),
    )
}
DEFAULT_PROFILE = "xcp-ng-8.3"


def profile_named(name: str) -> Profile:
    """The profile `name`; UsageError when there is none."""
    if name not in PROFILES:
        raise UsageError(
            f"No profile {name!r} of the simulated pool",
            hint="one of " + ", ".join(f"{p.name} ({p.says})" for p in PROFILES.values()),
        )
    return PROFILES[name]
