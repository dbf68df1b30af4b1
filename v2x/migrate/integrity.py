# SPDX-License-Identifier: Apache-2.0
"""The source's own digests, verified beside the copy: the archive is read a second time while the first is sent."""

import threading

from v2x.model.machine import Machine
from v2x.sources.interface import Integrity


class IntegrityCheck:
    """Verifies the source's own digests beside the copy; `result` waits for the verdict."""

    def __init__(self, source: Integrity, machine: Machine) -> None:
        self._problem: BaseException | None = None
        self._files: tuple[str, ...] = ()

        def check() -> None:
            try:
                self._files = source.verify(machine)
            except BaseException as caught:  # handed over to `result`, which raises it
                self._problem = caught

        self._thread = threading.Thread(target=check, name="v2x-integrity", daemon=True)
        self._thread.start()

    def result(self) -> tuple[str, ...]:
        """The names of the verified files; raises what the check raised."""
        self._thread.join()
        if self._problem is not None:
            raise self._problem
        return self._files

    def failed(self) -> bool:
        return self._problem is not None
