# SPDX-License-Identifier: Apache-2.0
"""Fix-ups inside a guest, so that it boots on the pool, has its network, and has left its old hypervisor behind."""
