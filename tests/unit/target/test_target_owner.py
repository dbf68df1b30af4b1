# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from pathlib import Path

from v2x.target.xapi.owner import is_alive, this_run


def test_a_process_that_ended_and_was_not_waited_for_does_not_live():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = this_run().replace(f":{os.getpid()}:", f":{child.pid}:").rpartition(":")[0]
    alive = f"{name}:{started(child.pid)}"
    assert is_alive(alive)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(alive)
    child.communicate()
    assert not is_alive(alive)


def started(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
