# SPDX-License-Identifier: Apache-2.0
"""`v2x worker`: runs machines of batches that were begun on another machine."""

from typing import Annotated

import typer

from v2x.cli.options import Given, MetricsPort, RowsAtOnce, StateOption, WatchMinutes, shared


@shared(source=True, target=True, reading=True)
def worker(
    given: Given,
    batch: Annotated[
        str, typer.Option("--batch", metavar="ID", help="work on this batch only, until it is through")
    ] = "",
    state: StateOption = None,
    at_once: RowsAtOnce = 16,
    metrics_port: MetricsPort = None,
    watch_minutes: WatchMinutes = 5.0,
) -> None:
    """Runs machines of all batches of a shared state, until a signal comes; sees to it that stopped
    sources stay off.

    Every worker finds passwords by itself (its own v2x.toml, password files, environment or keyring); the state
    database holds none.
    """
    from v2x.cli import batching, show
    from v2x.cli.build import build
    from v2x.cli.guest_wishes import standing_wishes
    from v2x.errors import Interrupted, UsageError

    if not batching.location(state).startswith(("postgresql:", "postgres:")):
        raise UsageError(
            "workers share a PostgreSQL database; a folder is for one process",
            hint="give --state postgresql://USER@HOST/NAME to v2x batch run and to each worker",
        )
    with batching.opened(state) as store:
        built = build(given)
        built.wishes = standing_wishes(built.config.guest)
        only = batching.control(store, built).batch(batch) if batch else None
        if only is not None:
            batching.unlocked(built, only)
        which = f"batch {only.id}" if only else "all batches"
        show.note(f"working on {which}; Ctrl-C ends this worker", quiet=given.quiet)
        ended_by = batching.work(store, built, given, only, at_once, metrics_port, watch_minutes=watch_minutes)
    if ended_by is not None:
        raise Interrupted("stopped by a signal", hint="other workers go on; start it again to join").with_signal(
            ended_by
        )
