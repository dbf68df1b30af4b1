# SPDX-License-Identifier: Apache-2.0
"""A simulated XCP-ng pool that keeps real disk bytes: `Pool` in-process, `serve` for the command line."""

from v2x.simulators.xapi.faults import Settings
from v2x.simulators.xapi.pool import Pool, serve
from v2x.simulators.xapi.profiles import PROFILES
from v2x.simulators.xapi.seed import Layout
from v2x.simulators.xapi.sessions import Account

__all__ = ["PROFILES", "Account", "Layout", "Pool", "Settings", "serve"]
