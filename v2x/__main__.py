# SPDX-License-Identifier: Apache-2.0
"""Entry point: runs the command line and turns errors into one line and an exit code."""

import contextlib
import resource
import sys


def main() -> None:
    """The `v2x` command."""
    _leave_no_core()
    from v2x.cli import run

    sys.exit(run(sys.argv[1:]))


def _leave_no_core() -> None:
    """A core file would hold the passwords of the run. A limit of 1 stops those that are piped to a program, too,
    which a limit of 0 does not (core(5); Linux, fs/coredump.c).
    """
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


if __name__ == "__main__":
    main()
