# SPDX-License-Identifier: Apache-2.0
"""What the product says of itself."""

from typing import Any

from pyVmomi import vim

from v2x.simulators.vsphere.profiles import Profile


def about(profile: Profile, instance_uuid: str) -> Any:
    """What the product says of itself."""
    return vim.AboutInfo(
        name=profile.product,
        fullName=f"{profile.product} {profile.version} build-{profile.build}",
        vendor="VMware, Inc.",
        version=profile.version,
        build=profile.build,
        localeVersion="INTL",
        localeBuild="000",
        osType="linux-x64" if profile.vcenter else "vmnix-x86",
        productLineId="vpx" if profile.vcenter else "embeddedEsx",
        apiType="VirtualCenter" if profile.vcenter else "HostAgent",
        apiVersion=profile.api,
        instanceUuid=instance_uuid if profile.vcenter else None,
        licenseProductName="VMware VirtualCenter Server" if profile.vcenter else "VMware ESX Server",
        licenseProductVersion=profile.version.rpartition(".")[0],
    )
