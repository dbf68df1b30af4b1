# SPDX-License-Identifier: Apache-2.0
"""VMDK: every file-backed kind and chains of them, read natively."""

from v2x.disks.vmdk.info import VmdkInfo, describe_vmdk
from v2x.disks.vmdk.opening import open_links, open_vmdk

__all__ = ["VmdkInfo", "describe_vmdk", "open_links", "open_vmdk"]
