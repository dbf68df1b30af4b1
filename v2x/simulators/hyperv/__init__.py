# SPDX-License-Identifier: Apache-2.0
"""A stand-in for a Hyper-V host: real protocol servers on loopback."""
