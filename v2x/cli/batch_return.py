# SPDX-License-Identifier: Apache-2.0
"""`v2x batch rollback|finalize`: the way back to the source, and giving it up."""

from typing import Annotated

import typer

from v2x.cli.options import BatchName, Given, MarkSource, StateOption, shared
from v2x.model.health import Mark

Machines = Annotated[
    list[str] | None,
    typer.Option("--machine", metavar="NAME|ID", help="this machine; repeatable", show_default=False),
]
Waves = Annotated[list[int] | None, typer.Option(help="every machine of this wave that is through; repeatable")]


@shared(source=True, target=True, reading=True)
def rollback(
    given: Given,
    batch: BatchName = "",
    machine: Machines = None,
    wave: Waves = None,
    accept_data_loss: Annotated[
        bool, typer.Option("--accept-data-loss", help="also where the machine has run on the pool")
    ] = False,
    force_dc: Annotated[
        bool, typer.Option("--force-dc", help="also domain controllers, which must not go back in time lightly")
    ] = False,
    discard: Annotated[
        bool,
        typer.Option("--discard", help="remove the machine on the pool and its migrated disks, once its source runs"),
    ] = False,
    state: StateOption = None,
) -> None:
    """Stops machines on the pool for good, puts their sources back as they were and starts those that ran."""
    _each(given, batch, machine, wave, state, accept_data_loss=accept_data_loss, force_dc=force_dc, discard=discard)


@shared(source=True, target=True, reading=True)
def finalize(
    given: Given,
    batch: BatchName = "",
    machine: Machines = None,
    wave: Waves = None,
    mark_source: MarkSource = Mark.NO,
    state: StateOption = None,
) -> None:
    """Ends the way back of machines that are through. Sources themselves are never removed."""
    _each(given, batch, machine, wave, state, finalizes=True, mark=mark_source)


def _each(
    given: Given,
    name: str,
    machine: list[str] | None,
    wave: list[int] | None,
    state: str | None,
    *,
    finalizes: bool = False,
    mark: Mark = Mark.NO,
    accept_data_loss: bool = False,
    force_dc: bool = False,
    discard: bool = False,
) -> None:
    from v2x.cli import batching, show
    from v2x.cli.build import build
    from v2x.engine.crew import actor
    from v2x.engine.live import Ledger
    from v2x.engine.wayback import Returns
    from v2x.errors import MachinesFailed, UsageError, V2xError
    from v2x.text import plural

    if bool(machine) == bool(wave):
        raise UsageError("which machines?", hint="give --machine NAME for each, or --wave N")
    built = build(given)
    failed: list[V2xError] = []
    done: list[str] = []
    with batching.opened(state) as store:
        steering = batching.control(store, built)
        found = steering.batch(name)
        ids = steering.rows(found, machine) if machine else steering.through(found, wave or ())
        returns = Returns(
            store, Ledger(store, actor(""), built.now), built.doors(found.doors.sources, found.doors.targets)
        )
        for row in ids:
            try:
                if finalizes:
                    said = returns.finalize(found, row, mark)
                else:
                    said = returns.roll_back(
                        found, row, accept_data_loss=accept_data_loss, force_dc=force_dc, discard=discard
                    )
            except V2xError as problem:
                if len(ids) > 1:
                    show.problem(problem)
                failed.append(problem)
            else:
                done.append(said)
    if given.json:
        show.document("v2x.batch-return/1", {"done": done, "failed": [problem.code for problem in failed]})
    elif done:
        show.result("\n".join(done))
    if len(ids) == 1 and failed:
        ended = MachinesFailed(failed[0].message, code=failed[0].code, hint=failed[0].hint)
        ended.exit_code = failed[0].exit_code
        raise ended
    if failed:
        raise MachinesFailed(f"{plural(len(failed), 'machine')} of {len(ids)} failed", hint="see above")


def add_to(app: typer.Typer) -> None:
    """Adds these commands to `v2x batch`."""
    app.command("rollback")(rollback)
    app.command("finalize")(finalize)
