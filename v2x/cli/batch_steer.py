# SPDX-License-Identifier: Apache-2.0
"""`v2x batch status|watch|pause|cancel|throttle|report`: looks at batches and steers them, from any terminal."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from v2x.cli.options import BatchName, Given, StateOption, WatchMinutes, shared

if TYPE_CHECKING:
    from v2x.engine.batches import Batch
    from v2x.engine.control import Control

Machines = Annotated[
    list[str] | None,
    typer.Option("--machine", metavar="NAME|ID", help="only this machine; repeatable", show_default=False),
]


@shared(source=True)
def status(
    given: Given,
    batch: BatchName = "",
    check: Annotated[
        bool, typer.Option("--check", help="ask now whether stopped sources are still off; exit code 4 if one runs")
    ] = False,
    state: StateOption = None,
) -> None:
    """Shows where each machine of a batch is."""
    from v2x.cli import batching, show
    from v2x.cli.build import build
    from v2x.cli.vigilance import conclude_look
    from v2x.model.codec import to_json
    from v2x.render import batch_text

    with batching.opened(state) as store:
        steering = batching.control(store)
        chosen = steering.batch(batch)
        looked = batching.vigil(store, build(given)).look(chosen.id, at_once=True) if check else None
        found = steering.status(chosen)
    show.raw(to_json(found) if given.json else batch_text(found, width=show.width(), colour=show.colours()))
    if looked is not None:
        conclude_look(looked, quiet=given.quiet)


@shared(source=True)
def watch(
    given: Given,
    batch: BatchName = "",
    seconds: Annotated[float, typer.Option("--every", min=0.2, help="seconds between two looks")] = 1.0,
    sources: Annotated[
        bool, typer.Option("--sources", help="go on until all are finalized, and see that stopped sources stay off")
    ] = False,
    watch_minutes: WatchMinutes = 5.0,
    state: StateOption = None,
) -> None:
    """Shows a batch until it is through, with keys to steer it on a terminal; with --json, one line for each look."""
    from v2x.cli import batching, live, show
    from v2x.cli.build import build
    from v2x.render import batch_text

    with batching.opened(state) as store:
        steering = batching.control(store)
        chosen = steering.batch(batch)
        vigil = batching.vigil(store, build(given), watch_minutes) if sources else None

        def looked(tell: Callable[[str], None]) -> bool:
            """Looks at stopped sources where that was asked for; whether there are more to be looked at."""
            for problem in vigil.look(chosen.id).problems if vigil else ():
                tell(problem)
            return vigil is not None and bool(vigil.pending(chosen.id))

        if given.json or not live.is_interactive():
            _watch_plainly(steering, chosen, seconds, looked, given)
            return
        last = live.watch_live(steering, chosen, seconds, looked)
    show.raw(batch_text(last, width=show.width(), colour=show.colours(), most_rows=show.height() - 8))


def _watch_plainly(
    steering: "Control",
    chosen: "Batch",
    seconds: float,
    looked: Callable[[Callable[[str], None]], bool],
    given: Given,
) -> None:
    """A look after the other, for a file, a pipe, or a program."""
    import json
    import time

    from v2x.cli import show
    from v2x.model.codec import to_plain
    from v2x.render import batch_text

    while True:
        more = looked(lambda problem: show.note(problem, quiet=given.quiet))
        found = steering.status(chosen)
        if given.json:
            show.result(json.dumps(to_plain(found)))
        else:
            show.page(batch_text(found, width=show.width(), colour=show.colours(), most_rows=show.height() - 8))
        if all(row.state == "ended" for row in found.rows) and not more:
            return
        time.sleep(seconds)


@shared()
def pause(given: Given, batch: BatchName = "", state: StateOption = None) -> None:
    """Lets running copies come to a mark and starts nothing more."""
    from v2x.cli import batching, show

    with batching.opened(state) as store:
        steering = batching.control(store)
        found = steering.batch(batch)
        changed = steering.pause(found)
    said = "is paused: what runs comes to a mark and stops" if changed else "is paused already"
    show.note(f"batch {found.id} {said}; v2x batch resume {found.id} continues", quiet=given.quiet)


@shared()
def cancel(
    given: Given,
    batch: BatchName = "",
    machine: Machines = None,
    everything: Annotated[bool, typer.Option("--all", help="every machine that is not through")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="leave on the target what is there")] = False,
    state: StateOption = None,
) -> None:
    """Stops machines and discards what they have on the target."""
    from v2x.cli import batching, show
    from v2x.errors import UsageError
    from v2x.text import plural

    if bool(machine) == everything:
        raise UsageError("which machines?", hint="give --machine NAME for each, or --all")
    with batching.opened(state) as store:
        steering = batching.control(store)
        found = steering.batch(batch)
        ids = steering.rows(found, machine) if machine else [one.id for one in steering.migrations(found)]
        count = steering.cancel(found, ids, keep=keep)
        working = steering.status(found).workers
    show.note(f"{plural(count, 'machine')} of batch {found.id} cancelled", quiet=given.quiet)
    if count and not working:
        show.note(f"no worker runs: v2x batch resume {found.id} clears away what they have", quiet=given.quiet)


def moment_of(text: str, now: datetime) -> datetime | None:
    """A time as people write it, in UTC; without a zone it is this machine's. UsageError for what is none, or over."""
    from v2x.errors import UsageError

    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"--at {text} is no time", hint="write 2026-12-05T22:00, or 2026-12-05T22:00+01:00") from None
    found = found.astimezone(UTC)
    if found <= now:
        raise UsageError(f"--at {text} is over", hint="leave --at out to cut over now")
    return found


@shared()
def cutover(
    given: Given,
    batch: BatchName = "",
    machine: Machines = None,
    wave: Annotated[list[int] | None, typer.Option(help="every machine of this wave; repeatable")] = None,
    everything: Annotated[bool, typer.Option("--all", help="every machine that is not through")] = False,
    at: Annotated[
        str,
        typer.Option(
            "--at", metavar="TIME", help="not before 2026-12-05T22:00, by this machine's clock, or with a zone"
        ),
    ] = "",
    state: StateOption = None,
) -> None:
    """Switches warm machines over: shut down, last changes, verification, start. A worker must run."""
    from v2x.cli import batching, show
    from v2x.errors import UsageError
    from v2x.text import plural

    if sum(map(bool, (machine, wave, everything))) != 1:
        raise UsageError("which machines?", hint="give --machine NAME for each, --wave N, or --all")
    moment = moment_of(at, datetime.now(UTC))
    with batching.opened(state) as store:
        steering = batching.control(store)
        found = steering.batch(batch)
        status = steering.status(found)
        ids = (
            steering.rows(found, machine)
            if machine
            else [row.migration.id for row in status.rows if everything or row.wave in (wave or ())]
        )
        count = steering.cut_over(found, ids, moment)
    when = f" after {moment:%Y-%m-%d %H:%M} UTC" if moment else ""
    show.note(f"{plural(count, 'machine')} of batch {found.id} will be cut over{when}", quiet=given.quiet)
    if count and not status.workers:
        show.note(f"no worker runs: v2x batch resume {found.id} carries it out", quiet=given.quiet)


@shared()
def throttle(
    given: Given,
    limit: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=N]…",
            help="rate=BYTES, total=N, conversions=N, source-host=N, pool-host=N, sr=N, source-host:NAME=N, "
            "strain.cpu=PERCENT, strain.latency=MS, strain.chains=N; empty N for the default",
            show_default=False,
        ),
    ] = None,
    state: StateOption = None,
) -> None:
    """Limits rates and numbers of all batches, also of those that run; without a limit, shows them."""
    from v2x.cli import batching, show
    from v2x.cli.limits import parsed_limit

    wanted = [parsed_limit(text) for text in limit or ()]
    with batching.opened(state) as store:
        steering = batching.control(store)
        for key, value in wanted:
            steering.throttle(key, value)
        limits = steering.limits()
    if given.json:
        show.document("v2x.limits/1", {"limits": limits})
    else:
        show.result("\n".join(f"{key} = {value}" for key, value in limits.items()))


@shared()
def report(
    given: Given,
    batch: BatchName = "",
    form: Annotated[
        str,
        typer.Option("--format", help="text, json, html, csv or xlsx (the plan with results), or events (JSON lines)"),
    ] = "text",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="file (default: stdout)")] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="write one archive for each wave there, which can be checked offline"),
    ] = None,
    check: Annotated[Path | None, typer.Option(metavar="ARCHIVE", help="check an archive of evidence")] = None,
    decommission: Annotated[
        bool, typer.Option("--decommission", help="what may be retired at the source of each finalized machine")
    ] = False,
    state: StateOption = None,
) -> None:
    """Prints the report of a batch, as far as it is."""
    from v2x.cli import batching, show
    from v2x.cli.build import build
    from v2x.cli.decommission import write_decommission
    from v2x.cli.evidence import check_archive, write_archives
    from v2x.cli.results import FORMATS, results, save_results
    from v2x.engine import journal
    from v2x.engine.evidence import event_line
    from v2x.errors import UsageError
    from v2x.model.codec import to_json
    from v2x.render import REPORT_FORMATS, render_report

    if check is not None:
        check_archive(given, check)
        return
    if evidence is not None:
        write_archives(given, batch, evidence, state)
        return
    if decommission:
        write_decommission(given, batch, output, state)
        return
    if given.json:
        form = "json"
    if form not in {*REPORT_FORMATS, *FORMATS, "json", "events"}:
        raise UsageError(f"unknown format {form}", hint="formats are text, json, html, csv, xlsx and events")
    with batching.opened(state) as store:
        steering = batching.control(store)
        found = steering.batch(batch)
        if form in FORMATS:
            data = results(steering, found, form)
        elif form == "events":
            with store.reading() as connection:
                data = "".join(f"{event_line(entry)}\n" for entry in journal.read(connection)).encode()
        else:
            made = batching.report_of(store, build(given), found)
            data = to_json(made) if form == "json" else render_report(form, made)
    if output is not None:
        if form in FORMATS:
            save_results(data, output, found, quiet=given.quiet)
        else:
            show.save(output, data)
        show.note(f"wrote {output}", quiet=given.quiet)
    else:
        show.raw(data)


def add_to(app: typer.Typer) -> None:
    """Adds these commands to `v2x batch`."""
    for name, command in {
        "status": status,
        "watch": watch,
        "pause": pause,
        "throttle": throttle,
        "cancel": cancel,
        "cutover": cutover,
        "report": report,
    }.items():
        app.command(name)(command)
