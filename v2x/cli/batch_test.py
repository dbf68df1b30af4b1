# SPDX-License-Identifier: Apache-2.0
"""`v2x batch test`: copies of machines that are ready, started apart from everything, while replication goes on."""

from typing import TYPE_CHECKING, Annotated

import typer

from v2x.cli.options import BatchName, Given, StateOption, shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from v2x.engine.batches import Batch
    from v2x.engine.control import Control
    from v2x.engine.cutover_tests import Began
    from v2x.model.rehearsal import Rehearsal

Machines = Annotated[
    list[str] | None,
    typer.Option("--machine", metavar="NAME|ID", help="this machine; repeatable", show_default=False),
]


@shared(target=True)
def test(
    given: Given,
    batch: BatchName = "",
    machine: Machines = None,
    wave: Annotated[list[int] | None, typer.Option(help="every machine of this wave that is ready; repeatable")] = None,
    everything: Annotated[bool, typer.Option("--all", help="every machine that is ready")] = False,
    hours: Annotated[float, typer.Option(min=0.05, max=336, help="after which the copies are discarded")] = 4.0,
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="host of the pool that all copies run on (default: the emptiest)")
    ] = None,
    vlan: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NETWORK=]N",
            help="spare VLAN for a network of the source; repeatable (default: networks inside one host)",
            show_default=False,
        ),
    ] = None,
    uplink: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="interface or bond of the pool (eth1) that --vlan goes over")
    ] = None,
    end: Annotated[
        bool, typer.Option("--end", help="discard the copies now; all, or those of the machines named")
    ] = False,
    state: StateOption = None,
) -> None:
    """Starts copies of ready machines on isolated networks; with no machine named, shows those that run."""
    from v2x.cli import batching, show
    from v2x.cli.build import build
    from v2x.engine.crew import actor
    from v2x.engine.cutover_tests import CutoverTests
    from v2x.engine.live import Ledger
    from v2x.errors import UsageError
    from v2x.model.rehearsal import Asked

    if sum(map(bool, (machine, wave, everything))) > 1:
        raise UsageError("which machines?", hint="give --machine NAME for each, --wave N, or --all")
    if bool(vlan) != bool(uplink) or (vlan and host):
        raise UsageError(
            "--vlan goes with --uplink, and not with --host",
            hint="for example --vlan 'VM Network=901' --uplink eth1, or --host HOST alone",
        )
    asked = Asked(hours=hours, host=host or "", vlans=tuple(vlan or ()), uplink=uplink or "")
    built = build(given)
    with batching.opened(state) as store:
        steering = batching.control(store, built)
        found = steering.batch(batch)
        tests = CutoverTests(
            store,
            Ledger(store, actor(""), built.now),
            built.doors(found.doors.sources, found.doors.targets),
            say=lambda text: show.note(text, quiet=given.quiet),
        )
        ids = _wanted(steering, found, machine, wave)
        if end:
            _ended(given, tests.end(found, ids))
        elif not (machine or wave or everything):
            _shown(given, tests.attend(found))
        else:
            began = tests.begin(found, ids, asked, named=bool(machine))
            working = bool(steering.status(found).workers)
            _began(given, found, began, working=working)


def _wanted(steering: "Control", batch: "Batch", machine: list[str] | None, wave: list[int] | None) -> "Sequence[str]":
    from v2x.errors import UsageError

    if machine:
        return steering.rows(batch, machine)
    rows = steering.status(batch).rows
    found = [row.migration.id for row in rows if not wave or row.wave in wave]
    if not found:
        waves = ", ".join(sorted({str(row.wave) for row in rows}))
        raise UsageError(f"batch {batch.id} has no machine in that wave", hint=f"its waves are {waves}")
    return found


def _began(given: Given, batch: "Batch", began: "Began", *, working: bool) -> None:
    from v2x.cli import show
    from v2x.errors import MachinesFailed
    from v2x.text import plural

    for name, problem in began.failed:
        show.note(f"{name}:")
        show.problem(problem)
    if began.copies:
        _shown(given, began.copies)
        show.note(f"v2x batch test {batch.id} shows them, with --end it discards them", quiet=given.quiet)
    if began.copies and not working:
        show.note("no worker runs: nothing discards them by itself when their time is over", quiet=given.quiet)
    if began.failed:
        first = began.failed[0][1]
        ended = MachinesFailed(
            f"{plural(len(began.failed), 'test copy', 'test copies')} failed, replication goes on",
            code=first.code,
            hint=f"the same command continues, v2x batch test {batch.id} --end removes what was made",
        )
        raise ended


def _shown(given: Given, copies: "Sequence[Rehearsal]") -> None:
    from v2x.cli import show
    from v2x.model.codec import to_plain
    from v2x.render import copy_line
    from v2x.render.layout import wrap

    if given.json:
        show.document("v2x.batch-test/1", {"copies": [to_plain(one) for one in copies]})
    else:
        lines = [line for one in copies for line in wrap(copy_line(one), show.width(), rest="  ")]
        show.result("\n".join(lines) or "no test copy runs")


def _ended(given: Given, names: "Sequence[str]") -> None:
    from v2x.cli import show

    if given.json:
        show.document("v2x.batch-test-end/1", {"removed": list(names)})
    else:
        show.result("\n".join(f"removed {name}" for name in names) or "there was no test copy")


def add_to(app: typer.Typer) -> None:
    """Adds the command to `v2x batch`."""
    app.command("test")(test)
