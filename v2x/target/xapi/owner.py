# SPDX-License-Identifier: Apache-2.0
"""Who works on a claim. One run at a time; a crashed run's claim is taken over by the next one without a question.

The owner is written as `host:boot:pid:start`. A run that finds another owner on the VM asks whether that process still
lives: on this host that is known for sure, and a living one is a Conflict. A dead one, and one of another host, is
replaced: the key is removed and added, where MAP_DUPLICATE_KEY means that a third run was faster. The run that was
replaced notices at its next mark or step, because it reads the key before each, and stops with Conflict. So two runs on
two hosts cannot both go on, and the bytes of one point in time are the same whoever sends them.
"""

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

from v2x.errors import Conflict, Retry
from v2x.target.xapi import tags
from v2x.target.xapi.client import Client


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
    except OSError:
        return "-"


def _started(pid: int) -> str:
    """The start time of a process in clock ticks, which tells it from a later one with its number; empty if none.

    A process that has ended and was not waited for yet is none.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = status.rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in {"Z", "X"} else ""


def this_run() -> str:
    """The owner value of this process."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:60]
    return f"{host}:{_boot()}:{os.getpid()}:{_started(os.getpid())}"


def is_alive(owner: str) -> bool:
    """Whether `owner` is a living process of this host. Another host's is not known to live."""
    parts = owner.split(":")
    if len(parts) != 4 or parts[1] != _boot() or not parts[2].isdecimal():
        return False
    return bool(parts[3]) and _started(int(parts[2])) == parts[3]


class Ownership:
    """Takes and checks the ownership of claims for one run."""

    def __init__(self, client: Client, owner: str, alive: Callable[[str], bool] = is_alive) -> None:
        self._client, self.owner, self._alive = client, owner, alive

    def take(self, vm: str, name: str) -> None:
        """Makes this run the owner of a VM. Conflict while another living run is."""
        found = tags.put(self._client, "VM", vm, tags.OWNER, self.owner)
        if found == self.owner:
            return
        if self._alive(found):
            # It may be ending just now: a worker that lost its database, say. One that was replaced never tries again.
            raise self._taken(name, found, Retry.LATER)
        tags.drop(self._client, "VM", vm, tags.OWNER)
        found = tags.put(self._client, "VM", vm, tags.OWNER, self.owner)
        if found != self.owner:
            raise self._taken(name, found)

    def check(self, vm: str, name: str) -> None:
        """Conflict when another run has taken the claim over."""
        found = self._client.call("VM.get_other_config", vm)
        holder = str(found.get(tags.OWNER, "")) if isinstance(found, dict) else ""
        if holder != self.owner:
            raise self._taken(name, holder or "nobody")

    def notes(self, holder: str) -> tuple[str, ...]:
        """What to say of a claim's owner: something only while it is another, living run."""
        if holder in ("", self.owner) or not self._alive(holder):
            return ()
        return (self._taken("it", holder).message,)

    def _taken(self, name: str, holder: str, retry: Retry = Retry.NEVER) -> Conflict:
        host, _, rest = holder.partition(":")
        pid = rest.split(":")[1] if rest.count(":") == 2 else "?"
        return Conflict(
            f"another run works on {name}: process {pid} on {host}",
            hint="wait for it to end, or stop it, then run again",
            code="OWNED",
            retry=retry,
        )
