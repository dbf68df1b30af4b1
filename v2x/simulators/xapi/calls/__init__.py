# SPDX-License-Identifier: Apache-2.0
"""The calls with code of their own, one module per class. Importing this package registers them."""

from v2x.simulators.xapi.calls import session, task, vdi

__all__ = ["session", "task", "vdi"]
