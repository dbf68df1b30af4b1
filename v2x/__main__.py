# SPDX-License-Identifier: Apache-2.0
"""Entry point: runs the command line and turns errors into one line and an exit code."""

import sys


def main() -> None:
    """The `v2x` command."""
    from v2x.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
