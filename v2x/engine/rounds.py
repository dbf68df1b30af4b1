# SPDX-License-Identifier: Apache-2.0
"""Something that is looked at again and again while a worker runs, in a thread of its own.

A source or pool that does not answer keeps no row waiting, and a look that fails ends nothing: the next may do better.
"""

import logging
import threading
from collections.abc import Callable

_log = logging.getLogger("v2x.engine")


class Rounds:
    """Calls `look` every `seconds`, first when they are over; `at_once` begins with one. `what` is for the log."""

    def __init__(self, what: str, look: Callable[[], object], *, seconds: float, at_once: bool = False) -> None:
        self._what, self._look, self._seconds, self._at_once = what, look, seconds, at_once
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"v2x-{what}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends it; one look that is under way comes to its end."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        if self._at_once:
            self._round()
        while not self._ended.wait(self._seconds):
            self._round()

    def _round(self) -> None:
        try:
            self._look()
        except Exception:  # a state that cannot be written ends the worker by its beat
            _log.warning("%s could not be looked at", self._what, exc_info=_log.isEnabledFor(logging.DEBUG))
