# SPDX-License-Identifier: Apache-2.0
"""v2x moves virtual machines from VMware and Hyper-V to XCP-ng."""

__version__ = "0.1.0"
