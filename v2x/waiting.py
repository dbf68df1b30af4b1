# SPDX-License-Identifier: Apache-2.0
"""Waiting that ends early where whoever waits is to stop.

A call to a server that is busy is repeated for minutes, far below what knows of Ctrl-C. What a thread does by `heeding`
a wish to stop has such waits end with Stopped. Elsewhere `nap` only sleeps, also in threads that do not take over the
context (contextvars) of who starts them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from v2x.errors import Stopped

_STEP_SECONDS = 0.25
_wish: ContextVar[Callable[[], bool] | None] = ContextVar("v2x-stopping", default=None)


@contextmanager
def heeding(stopping: Callable[[], bool] | None) -> Iterator[None]:
    """In the block, this thread's naps end when `stopping()` is true; with None they last as long as they are."""
    token = _wish.set(stopping)
    try:
        yield
    finally:
        _wish.reset(token)


def nap(seconds: float) -> None:
    """Sleeps. Stopped as soon as the wish to stop that is heeded here is there."""
    stopping = _wish.get()
    if stopping is None:
        time.sleep(seconds)
        return
    wait(seconds, stopping, "a server")


def wait(
    seconds: float,
    stopping: Callable[[], bool],
    what: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Sleeps in steps. Stopped, naming `what` was waited for, as soon as `stopping()` is true."""
    until = clock() + seconds
    while (left := until - clock()) > 0:
        if stopping():
            raise Stopped(f"stopped while {what} was waited for", hint="run the same command again; it continues")
        sleep(min(_STEP_SECONDS, left))
