# SPDX-License-Identifier: Apache-2.0
"""The settings of the stand-in, which may change while it runs, and the faults that can be armed in it."""

from dataclasses import dataclass


@dataclass(slots=True)
class Settings:
    """Times are seconds, rates bytes per second (0 is unlimited).

    `session_idle` ends an idle API session; `cookie_life` is how long after its issue a cookie opens `/folder`.
    An account is locked for `lock_seconds` after `lock_after` wrong passwords. `page_objects` caps the objects of one
    page of properties whatever was asked. `task_delay` is the length of every task, `consolidate_delay` the length of
    removing a snapshot, `shutdown_delay` what a guest needs to shut down (`guests_ignore_shutdown`: it never does).
    `lease_delay` passes before a lease is ready, `lease_timeout` ends one without progress; `lease_size_error` is added
    to what a lease says of a disk's size; `lease_star` names the host of a lease's URLs `*`.
    `folder_rate` and `nfc_rate` throttle each connection. `changes_span` is how many bytes of a disk one call for
    changed areas looks at, `changes_areas` how many areas it returns at most. `plain_web_server` makes the address a
    web server that knows no vSphere.
    """

    session_idle: float = 1800.0
    cookie_life: float = 1800.0
    lock_after: int = 5
    lock_seconds: float = 900.0
    page_objects: int = 0
    call_delay: float = 0.0
    task_delay: float = 0.0
    consolidate_delay: float = 0.0
    shutdown_delay: float = 0.0
    guests_ignore_shutdown: bool = False
    lease_delay: float = 0.0
    lease_timeout: float = 300.0
    lease_size_error: int = 0
    lease_star: bool = False
    folder_rate: int = 0
    nfc_rate: int = 0
    changes_span: int = 2 * 1024**4
    changes_areas: int = 2000
    plain_web_server: bool = False


KINDS = {
    "slow": "the answer to `target` (a method, `folder`, `nfc`, `rest`) comes `seconds` late",
    "status": "HTTP status `at` instead of an answer to `target`",
    "cut": "cuts the connection of `target` after `at` bytes of the answer's body",
    "broken": "the answer to the method `target` is no XML from its middle on",
    "lose_session": "the session of the caller ends before the call of `target`; `after` calls pass first",
    "refuse": "the method `target` answers the fault `name`, as vim.fault.RestrictedVersion",
    "fail_task": "the task of the method `target` fails with the fault `name` when it has done `at` percent",
    "quiesce": "a quiesced snapshot of the machine `target` fails",
    "consolidate": "removing a snapshot of the machine `target` fails after the tree is changed: consolidation needed",
    "changes_lie": "`*` leaves out areas that hold data, for the machine `target`",
    "changes_unknown": "the change id asked about is unknown, for the machine `target`",
    "lease_error": "a lease of the machine `target` ends in the state error",
    "missing": "the property `target` is in the missing set, for want of permission",
    "vmotion": "the machine moves to another host after `at` bytes of a disk's transfer by lease",
    "host_reboot": "the host falls away after `at` bytes of a disk's transfer by lease",
}
LASTING = frozenset({"refuse", "status"})
"""The kinds that may hold for some seconds."""
