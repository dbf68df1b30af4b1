# SPDX-License-Identifier: Apache-2.0
"""Crash points: the program ends at a place of its choosing as kill -9 would end it, to try what the next run does.

`V2X_CRASH_AT=STEP:WHEN` names a step by its phase (`copy`, `last sync`) and `before`, `mid` or `after` it; `mid` is in
the middle of what a copy sends. Nothing is written, closed or taken back. Without the variable nothing happens.
"""

import os
from typing import Final

_VARIABLE: Final = "V2X_CRASH_AT"
CRASHED: Final = 137
_under_way = ""


def crash_point(step: str, when: str) -> None:
    global _under_way  # noqa: PLW0603
    _under_way = step
    if os.environ.get(_VARIABLE) == f"{step}:{when}":
        os._exit(CRASHED)


def crash_midway() -> None:
    """In the middle of the step that `crash_point` named last."""
    crash_point(_under_way, "mid")
