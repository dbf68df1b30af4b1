# SPDX-License-Identifier: Apache-2.0
"""`v2x batch approve`: records who allowed that machines of a frozen plan are taken out of service."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from v2x.cli.options import BatchName, Given, StateOption, shared

if TYPE_CHECKING:
    from v2x.engine.batches import Batch
    from v2x.engine.control import Control
    from v2x.model.approval import Approval
    from v2x.model.plan import PlanRow


@shared()
def approve(
    given: Given,
    batch: BatchName = "",
    plan: Annotated[
        Path | None,
        typer.Option(metavar="PLAN.CSV", help="the plan as this file has it now, also before it was ever run"),
    ] = None,
    wave: Annotated[list[int] | None, typer.Option(help="only rows of this wave; repeatable")] = None,
    machine: Annotated[
        list[str] | None,
        typer.Option("--machine", metavar="NAME|ID", help="only this machine; repeatable", show_default=False),
    ] = None,
    by: Annotated[str, typer.Option(metavar="WHO", help="who approves", show_default=False)] = "",
    change: Annotated[str, typer.Option(metavar="ID", help="the change's id in your own books")] = "",
    revoke: Annotated[bool, typer.Option("--revoke", help="take back what was approved")] = False,
    state: StateOption = None,
) -> None:
    """Approves a frozen plan, or some of its machines, for cutover (v2x batch run --require-approval)."""
    from v2x.cli import batching, show
    from v2x.errors import UsageError
    from v2x.model.approval import in_force
    from v2x.model.codec import to_plain

    who, change = " ".join(by.split()), " ".join(change.split())
    if not who:
        raise UsageError(
            "nobody is named who approves", hint="give --by NAME, and --change ID where the change has one"
        )
    if wave and machine:
        raise UsageError("--wave and --machine at once", hint="give one of them; neither means the whole plan")
    if plan is not None and batch:
        raise UsageError("--plan and a batch at once", hint="give one of them")
    with batching.opened(state) as store:
        steering = batching.control(store)
        plan_id, rows = _rows(steering, batch, plan)
        asked = [_empty(plan_id, who, change, revoke, **scope) for scope in _scopes(rows, wave, machine)]
        said = steering.said(plan_id)
        meant = [row for row in rows if any(one.covers(row) for one in asked)]
        before = [row for row in meant if in_force(row, said) is not None]
        if revoke and not before:
            raise UsageError("there is nothing to take back: none of it was approved", hint="v2x batch status tells")
        made = steering.approve(asked)
        on = _under_way(steering, plan_id, meant) if revoke else ()
    names = [row.machine_name for row in meant]
    if given.json:
        content = {"plan": plan_id, "approvals": [to_plain(one) for one in made], "machines": names}
        show.document("v2x.approval/1", content)
    else:
        show.result("\n".join([*(one.words for one in made), f"plan {plan_id}", *_listed(names)]))
    if on:
        show.note(f"an outage that has begun goes on: {', '.join(on)}", quiet=given.quiet)


def _rows(steering: "Control", batch: str, plan: Path | None) -> "tuple[str, Sequence[PlanRow]]":
    """The id of the plan that is meant, and its rows. UsageError where a file and its batch are not the same now."""
    from v2x.cli import batching
    from v2x.errors import UsageError
    from v2x.plan import load_plan

    if plan is not None:
        loaded = load_plan(plan)
        return loaded.id, [row for row in loaded.rows if not row.exclude]
    found = steering.batch(batch)
    given = Path(batch)
    if batch and given.is_file() and str(given.resolve()) == found.plan_path:
        loaded = load_plan(given)
        if loaded.id != found.plan_id:
            raise UsageError(
                f"{batch} was edited since batch {found.id} began: which of the two is approved?",
                hint=f"--plan {batch} approves the file as it is now, {found.id} the batch as it runs",
            )
    return found.plan_id, [row for row in batching.rows_of_plan(steering, found) if not row.exclude]


def _scopes(
    rows: "Sequence[PlanRow]", waves: list[int] | None, machines: list[str] | None
) -> list[dict[str, int | str]]:
    """What an approval says of each wave or machine that is named. UsageError for one that is none, or several."""
    from v2x.errors import UsageError

    scopes: list[dict[str, int | str]] = []
    for wave in waves or ():
        if not any(row.wave == wave for row in rows):
            there = ", ".join(str(one) for one in sorted({row.wave for row in rows})) or "none"
            raise UsageError(f"no machine is in wave {wave}", hint=f"waves are {there}")
        scopes.append({"wave": wave})
    for text in machines or ():
        found = [row for row in rows if text == row.machine_id]
        found = found or [row for row in rows if text in (row.machine_name, row.target_name)]
        if not found:
            names = ", ".join(row.machine_name for row in rows[:10])
            raise UsageError(f"no machine {text} in the plan", hint=f"there are: {names}")
        if len(found) > 1:
            ids = ", ".join(row.machine_id for row in found[:10])
            raise UsageError(f"{len(found)} machines are named {text}", hint=f"ids: {ids}")
        (row,) = found
        scopes.append({"source": row.source, "machine_id": row.machine_id, "machine_name": row.machine_name})
    return scopes or [{}]


def _empty(plan_id: str, by: str, change: str, revoked: bool, **scope: "int | str") -> "Approval":
    """An approval before it is recorded: number, time and account come then."""
    from datetime import UTC, datetime

    from v2x.model.approval import Approval

    values = {"plan_id": plan_id, "by": by, "change": change, "revoked": revoked, **scope}
    return Approval(number=0, time=datetime.now(UTC), user="", **values)  # type: ignore[arg-type]


def _under_way(steering: "Control", plan_id: str, rows: "Sequence[PlanRow]") -> tuple[str, ...]:
    """Machines of the batch of that plan whose outage has begun."""
    meant = {(row.source, row.machine_id) for row in rows}
    batch = _batch_of(steering, plan_id)
    begun = set(steering.out_of_service(batch)) if batch is not None else set()
    known = steering.migrations(batch) if batch is not None else ()
    return tuple(one.machine_name for one in known if one.id in begun and (one.source, one.machine_id) in meant)


def _batch_of(steering: "Control", plan_id: str) -> "Batch | None":
    return next((one for one in steering.batches() if one.plan_id == plan_id), None)


def _listed(names: Sequence[str]) -> list[str]:
    from v2x.text import plural, printable

    shown = ", ".join(printable(name, 100) for name in names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return [f"{plural(len(names), 'machine')}: {shown}{more}"]
