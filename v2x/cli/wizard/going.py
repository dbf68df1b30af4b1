# SPDX-License-Identifier: Apache-2.0
"""Runs what was answered, as a batch of one machine or more; goes on with one that was cut off; says what comes after.

A batch also for one machine: it survives its process, it can be rolled back, and there is one way to test.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from v2x.app import App
from v2x.cli import batching, show
from v2x.cli.guest_wishes import guest_wishes
from v2x.cli.options import Given
from v2x.cli.planned import checked
from v2x.cli.running import Finished, check_report_folder, end, write_report
from v2x.cli.wizard import memo
from v2x.cli.wizard.afterwards import Afterwards, outcome, reports
from v2x.cli.wizard.command import joined
from v2x.cli.wizard.prompts import Option, Prompts, is_plain
from v2x.cli.wizard.talk import Talk, Wanted
from v2x.endpoints import address_of
from v2x.errors import AccessError, LoginError, UsageError, V2xError
from v2x.model.plan import Endpoint, GuestConversion, Transfer
from v2x.plan import save_plan
from v2x.plan.store import json_path
from v2x.secrets import Secret
from v2x.text import printable

if TYPE_CHECKING:
    from v2x.engine.batches import Batch
    from v2x.engine.store import Store

_CONVERTS = "yes to putting the system inside right"
_AT_ONCE = 16
"""As v2x batch run."""


def plan_path(talk: Talk) -> Path:
    """Where the plan goes: as wanted, else a name that is free here."""
    if talk.wanted.plan is not None:
        return talk.wanted.plan
    rows = talk.plan().rows
    stem = _file_name(rows[0].target_name) if len(rows) == 1 else f"wizard-{talk.app.now():%Y%m%d-%H%M}"
    for number in range(1, 1000):
        path = Path(f"{stem}{f'-{number}' if number > 1 else ''}.plan.csv")
        if not path.exists() and not json_path(path).exists():
            return path
    raise UsageError(f"there are too many plans called {stem} here", hint="name another with --plan FILE")


def _file_name(text: str) -> str:
    kept = "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in text).strip(".-")
    return kept[:80] or "machine"


def write_plan(talk: Talk) -> Path:
    """Writes the plan. UsageError where a file is in its way."""
    path = plan_path(talk)
    for there in (path, json_path(path)):
        if talk.wanted.plan is not None and there.exists():
            raise UsageError(f"{there} exists", hint="choose another name with --plan, or move it away")
    save_plan(talk.plan(), path)
    return path


def tell_plan(talk: Talk, path: Path) -> None:
    """How a plan that was written is run later; passwords are asked for then."""
    state = [["--state", talk.wanted.state]] if talk.wanted.state else []
    talk.prompts.tell(f"\nThe plan is in {path} (and {json_path(path)}, which has to stay beside it).")
    talk.prompts.tell("Edit it in a spreadsheet program if you like; docs/plan-csv.md tells of its columns. Then:")
    show.result(joined([["v2x", "plan", "check", str(path)]]))
    show.result(joined([["v2x", "batch", "run", str(path)], *state]))
    if any(row.transfer is Transfer.WARM for row in talk.plan().rows):
        talk.prompts.tell("Machines that move warm are kept up to date until their outage may begin, by:")
        show.result(joined([["v2x", "batch", "cutover", str(path), "--all"], *state]))


def go(talk: Talk) -> bool:
    """Writes the plan, runs it with progress, reports, and says what comes next. Raises what the exit code asks for.

    False where it could not begin, after the reason was told.
    """
    app, given, wanted = talk.app, talk.given, talk.wanted
    with ExitStack() as stack:
        try:
            check_report_folder(wanted.report)
            plan = talk.plan()
            converts = any(row.convert is GuestConversion.AUTO for row in plan.rows)
            app.wishes = guest_wishes(given, app.config.guest, converts=converts, how=_CONVERTS)
            findings = [*talk.findings, *checked(app, plan)]
            store = stack.enter_context(batching.opened(wanted.state))
            lock = stack.enter_context(batching.alone(store))
            batching.give_limits(store, app, given)
            path = write_plan(talk)
            batch = batching.submitted(store, app, plan, path, findings, batching.Terms())
        except V2xError as problem:
            show.problem(problem)
            return False
        warm = [order.id for order in app.orders(plan) if order.warm]
        if warm:
            # The person has said go: nobody is to come back for the outage, as in a batch of many.
            batching.control(store, app).cut_over(batch, warm)
        talk.prompts.tell(f"\nThe plan is in {path}. Ctrl-C stops at the next block; v2x wizard goes on from there.")
        _keep(talk, batch, path)
        ended_by = batching.work(store, app, given, batch, _AT_ONCE, lock=lock, lines=is_plain(wanted.plain))
        _end(store, app, wanted, batch, _report_path(wanted, path), ended_by, talk.prompts)
    return True


def _report_path(wanted: Wanted, plan: Path) -> Path:
    return wanted.report or plan.with_suffix(".report.json")


def _keep(talk: Talk, batch: "Batch", path: Path) -> None:
    names = tuple(printable(machine.name, 60) for machine in talk.machines)
    told = memo.Memo(
        batch=batch.id,
        plan=str(path.resolve()),
        report=str(_report_path(talk.wanted, path).resolve()),
        source=talk.source.open_endpoint.address,
        target=talk.target.open_endpoint.address,
        machines=names,
        begun=f"{talk.app.now():%Y-%m-%d %H:%M} UTC",
    )
    try:
        memo.keep(told, talk.wanted.state)
    except OSError as problem:
        show.note(f"  warning: the next v2x wizard will not know of this run: {problem.strerror}")


def _end(
    store: "Store",
    app: App,
    wanted: Wanted,
    batch: "Batch",
    written: Path,
    ended_by: int | None,
    prompts: Prompts,
) -> None:
    report = batching.report_of(store, app, batch)
    write_report(report, written)
    if not batching.control(store, app).open_rows(batch):
        memo.forget(batch.id, wanted.state)
    show.result("\n".join(["", *(line for one in report.migrations for line in outcome(one)), *reports(written)]))
    for line in Afterwards(app, wanted, batch, report, written).lines():
        prompts.tell(line)
    end(Finished(report=report, signal=ended_by))


def offer_unfinished(app: App, given: Given, wanted: Wanted, prompts: Prompts) -> bool:
    """Asks about a run that was cut off, if there is one, and goes on with it. Returns whether that was done."""
    for one in memo.kept(wanted.state):
        with batching.opened(wanted.state) as store:
            steering = batching.control(store, app)
            try:
                batch = steering.batch(one.batch)
            except V2xError:
                memo.forget(one.batch, wanted.state)
                continue
            count = steering.open_rows(batch)
        if not count:
            memo.forget(one.batch, wanted.state)
            continue
        names = ", ".join(one.machines[:5]) + (" …" if len(one.machines) > 5 else "")
        prompts.tell(f"A run that was begun at {one.begun} is not at its end: {names}, {one.source} to {one.target}.")
        options = (
            Option("resume", "go on with it", "nothing that arrived is sent again"),
            Option("new", "leave it for later, and begin something else"),
            Option("forget", "do not ask again", f"v2x batch resume {one.batch} still goes on with it"),
        )
        answer = prompts.choose("What about it?", options, "resume")
        if answer == "resume":
            resume(app, given, wanted, prompts, one)
            return True
        if answer == "forget":
            memo.forget(one.batch, wanted.state)
    return False


def resume(app: App, given: Given, wanted: Wanted, prompts: Prompts, one: memo.Memo) -> None:
    """As v2x batch resume."""
    with batching.opened(wanted.state) as store:
        batching.give_limits(store, app, given)
        steering = batching.control(store, app)
        batch = steering.batch(one.batch)
        converts = any(order.convert for order in steering.orders(batch))
        app.wishes = guest_wishes(given, app.config.guest, converts=converts, how=_CONVERTS)
        app.passwords.expect("source", batch.doors.sources)
        app.passwords.expect("target", batch.doors.targets)
        for side, endpoints in (("source", batch.doors.sources), ("target", batch.doors.targets)):
            for endpoint in endpoints:
                _open_once(app, prompts, side, endpoint)
        steering.pause(batch, paused=False)
        steering.retry(batch)
        ended_by = batching.work(store, app, given, batch, _AT_ONCE, lines=is_plain(wanted.plain))
        _end(store, app, wanted, batch, Path(one.report), ended_by, prompts)


def _open_once(app: App, prompts: Prompts, side: str, endpoint: Endpoint) -> None:
    """A wrong password ends nothing here, and is not tried again by itself."""
    while True:
        try:
            (app.open_source if side == "source" else app.open_target)(endpoint).close()
        except LoginError as problem:
            show.problem(problem)
            who = address_of(side, endpoint.address).who
            app.passwords.remember(side, endpoint, Secret(prompts.secret(f"Password of {who}")))
        except AccessError as problem:
            show.problem(problem)
            prompts.choose("What next?", (Option("again", "try again"),), "again")
        else:
            return
