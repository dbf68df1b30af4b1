# SPDX-License-Identifier: Apache-2.0
"""Runs one program and writes what it took, as JSON: `starter.py RESULT PROGRAM ARGUMENT…`.

A process of its own because Linux lets a child begin with its parent's peak memory: started from the test process,
every program would seem to need at least what pytest needs. Run it with -I -S, so that it stays near 10 MiB.
"""

import json
import os
import sys
import time

began = time.monotonic()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(child, 0)
figures = {
    "code": os.waitstatus_to_exitcode(status),
    "wall_s": time.monotonic() - began,
    "cpu_s": used.ru_utime + used.ru_stime,
    "peak_kib": used.ru_maxrss,
    "blocks_read": used.ru_inblock,
}
with open(sys.argv[1], "w", encoding="ascii") as file:
    json.dump(figures, file)
