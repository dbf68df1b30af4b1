# SPDX-License-Identifier: Apache-2.0
"""XCP-ng and other XAPI pools. `pool.XapiTarget` is the target; only this room imports XenAPI."""
