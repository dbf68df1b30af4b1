# SPDX-License-Identifier: Apache-2.0
"""Entry point: runs the command line and turns errors into one line and an exit code."""

import contextlib
import os
import resource
import signal
import sys
from types import FrameType
from typing import Any


def main() -> None:
    """The `v2x` command."""
    _leave_no_core()
    sys.unraisablehook = _heard
    _quick_to_leave()  # it takes a moment to load, and whoever means another command does not wait for a traceback
    from v2x.cli import run

    code = run(sys.argv[1:])
    _quick_to_leave()
    sys.exit(code)


def _quick_to_leave() -> None:
    """Nothing is begun yet, or all is done: a signal ends the program on the spot."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)


def _heard(unraisable: Any) -> None:
    """A signal within a finalizer or a callback of Python is lost there, with a traceback: here it counts."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        os._exit(128 + signal.SIGINT)
    if getattr(unraisable.exc_value, "code", "") == "INTERRUPTED":
        os._exit(unraisable.exc_value.exit_code)
    sys.__unraisablehook__(unraisable)


def _leave(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def _leave_no_core() -> None:
    """A core file would hold the passwords of the run. A limit of 1 stops those that are piped to a program, too,
    which a limit of 0 does not (core(5); Linux, fs/coredump.c).
    """
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


if __name__ == "__main__":
    main()
