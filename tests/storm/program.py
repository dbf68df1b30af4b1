# SPDX-License-Identifier: Apache-2.0
"""The real program, whose reads of local files may fail, come short or come late: seeded by V2X_STORM_READS."""

import errno
import faulthandler
import os
import random
import signal
import threading
import time


class Troubled:
    """The module os, but for reading files: now and then an error, a part of what was asked for, or a delay."""

    def __init__(self, seed):
        self._chance, self._lock = random.Random(seed), threading.Lock()

    def __getattr__(self, name):
        return getattr(os, name)

    def preadv(self, fd, buffers, offset):
        with self._lock:
            fate = self._chance.random()
        if fate < 0.003:
            raise OSError(errno.EIO, "Input/output error")
        if fate < 0.02:
            time.sleep(0.05)
        if fate < 0.2 and len(buffers[0]) > 1:
            buffers = [buffers[0][: len(buffers[0]) // 2]]
        return os.preadv(fd, buffers, offset)


if __name__ == "__main__":
    from v2x.__main__ import main

    faulthandler.register(signal.SIGUSR1)
    if os.environ.get("V2X_STORM_READS"):
        from v2x.disks import bytesource

        bytesource.os = Troubled(os.environ["V2X_STORM_READS"])
    main()
