# SPDX-License-Identifier: Apache-2.0
"""The command line: one file per command; parses, calls app, prints."""

import signal
import sys
from collections.abc import Sequence
from types import FrameType

from v2x.errors import Interrupted, UsageError, V2xError
from v2x.log import redact

BUG_EXIT = 1


class Terminated(BaseException):
    """SIGTERM where no machine is at work. Not an Exception, for libraries take those for errors of their own."""

    code, exit_code = Interrupted.code, 128 + signal.SIGTERM


def run(arguments: Sequence[str]) -> int:
    """Runs the command line and returns its exit code. No traceback reaches the user unless --verbose is given.

    Even then without what its texts say of sessions and passwords.
    """
    import typer
    from typer.exceptions import TyperException

    from v2x.cli import show
    from v2x.cli.commands import app

    show.begin()
    as_json = "--json" in arguments
    signal.signal(signal.SIGTERM, _terminated)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 0
    try:
        outcome = app(args=list(arguments), prog_name="v2x", standalone_mode=False)
        code = outcome if isinstance(outcome, int) else 0
    except V2xError as error:
        show.problem(error, as_json=as_json)
        code = error.exit_code
    except typer.Exit as ended:
        code = ended.exit_code
    except TyperException as misused:
        words = misused.format_message().replace("Value error, ", "").strip().splitlines() or ["wrong usage"]
        hint = "v2x --help, or --help after a command, lists what there is"
        show.problem(UsageError(" ".join(words), hint=hint), as_json=as_json)
        code = UsageError.exit_code
    except (typer.Abort, KeyboardInterrupt):
        show.note("interrupted; the same command continues")
        code = 130
    except Terminated as ended:
        problem = Interrupted("terminated", hint="run the same command again; it continues")
        show.problem(problem.with_signal(signal.SIGTERM), as_json=as_json)
        code = ended.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        code = 141
    except Exception as bug:
        if "--verbose" in arguments or "-v" in arguments:
            import traceback

            sys.stderr.write(redact(traceback.format_exc()))
        unexpected = V2xError(
            f"{bug.__class__.__name__}: {bug}",
            code="V2X-BUG",
            hint="this is a bug of v2x: run again with --verbose and report what it prints",
        )
        show.problem(unexpected, as_json=as_json)
        code = BUG_EXIT
    return code


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated
