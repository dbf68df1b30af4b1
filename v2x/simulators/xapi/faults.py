# SPDX-License-Identifier: Apache-2.0
"""The settings of a simulated pool, which may change while it runs, and the faults that can be armed in it."""

from dataclasses import dataclass


@dataclass(slots=True)
class Settings:
    """Times are seconds, rates bytes per second per connection (0 is unlimited).

    `attach_delay` passes between the 200 answer of an upload and the first byte read of it; `release_delay` is how
    long a VDI stays attached to the control domain after a failed import; `detach_delay` the same after a good one,
    spent before the task completes. `cancel_poll` is how often tar and XVA imports look at cancellation.

    With `guest_agent`, an agent speaks in every guest, `agent_delay` after its start; the panel describes others.

    A collector passes every `collect_every`: it drops finished tasks after `tasks_kept_for`, pending ones that are
    older than `tasks_pending_for` and made no progress since the last pass, and idle sessions. Beyond `tasks_kept`
    finished tasks the oldest go at once. The oldest session goes when there are `sessions_per_originator` of one
    originator (root) or `sessions_per_user` of one user name.
    """

    login_delay: float = 5.0
    attach_delay: float = 0.0
    detach_delay: float = 0.0
    release_delay: float = 0.2
    read_rate: int = 0
    session_idle: float = 86400.0
    cancel_poll: float = 10.0
    guest_agent: bool = False
    agent_delay: float = 0.0
    collect_every: float = 30.0
    tasks_kept: int = 200
    tasks_kept_for: float = 3900.0
    tasks_pending_for: float = 86400.0
    sessions_per_originator: int = 500
    sessions_per_user: int = 500


KINDS = {
    "cut_import": "cuts the connection of an upload after `at` bytes of the body",
    "sr_full": "the SR runs out of space when an import has written `at` bytes",
    "busy": "OTHER_OPERATION_IN_PROGRESS for the method `target`, for `seconds` when given, else `times` times",
    "vanish_task": "the task of an upload is gone (HANDLE_INVALID) when the upload ends",
    "unauthorized": "an upload is answered 401",
    "redirect": "an upload is answered 302 to `address`",
    "slow": "the call `target` (a method, `effect`, `look`, `rpc`) is answered `seconds` late",
    "status": "HTTP status `at` (500) instead of the call `target`, which has no effect",
    "status_late": "the call `target` has its effect, and HTTP status `at` (500) is the answer",
    "cut_answer": "the call `target` has its effect, and the connection ends after `at` bytes of the answer's body",
    "broken": "the answer to the call `target` is no XML, and no JSON, from its middle on",
    "hold_busy": "after a failed import the VDI stays attached for `seconds`",
}

LASTING = frozenset({"busy"})
"""The kinds that may hold for some seconds."""
