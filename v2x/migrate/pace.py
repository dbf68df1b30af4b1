# SPDX-License-Identifier: Apache-2.0
"""Keeps a copy at or below a rate that may change while it runs."""

import time
from collections.abc import Callable


class Pace:
    """`rate` gives bytes per second, 0 for no limit; it is asked again at every call."""

    def __init__(
        self,
        rate: Callable[[], int],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._due = clock()

    def passed(self, count_bytes: int) -> None:
        """`count_bytes` went through; waits until that is within the rate."""
        rate = self._rate()
        now = self._clock()
        if rate <= 0:
            self._due = now
            return
        self._due = max(self._due, now) + count_bytes / rate
        if self._due > now:
            self._sleep(self._due - now)
