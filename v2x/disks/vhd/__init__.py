# SPDX-License-Identifier: Apache-2.0
"""VHD: fixed, dynamic and differencing disks and chains of them, read natively."""

from v2x.disks.vhd.opening import describe_vhd, open_vhd

__all__ = ["describe_vhd", "open_vhd"]
