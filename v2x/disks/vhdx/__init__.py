# SPDX-License-Identifier: Apache-2.0
"""VHDX: fixed, dynamic and differencing disks, chains of them and logs to be replayed, read natively."""

from v2x.disks.vhdx.opening import describe_vhdx, open_vhdx, write_ids

__all__ = ["describe_vhdx", "open_vhdx", "write_ids"]
