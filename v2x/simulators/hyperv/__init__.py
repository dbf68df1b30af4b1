# SPDX-License-Identifier: Apache-2.0
"""A stand-in for Hyper-V hosts: real protocol servers on loopback, over hosts that are described, not run."""
