# SPDX-License-Identifier: Apache-2.0
"""A small Linux guest that really boots, built from this machine's kernel: what the demo and the tests migrate."""

from v2x.simulators.guest.build import MARKER, GuestImage, build_guest
from v2x.simulators.programs import missing_tools

__all__ = ["MARKER", "GuestImage", "build_guest", "missing_tools"]
