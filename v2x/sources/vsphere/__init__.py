# SPDX-License-Identifier: Apache-2.0
"""vCenter and standalone ESXi hosts as a source: session, inventory, snapshots, power; disks through transports."""
