# SPDX-License-Identifier: Apache-2.0
"""A plan that was edited since an earlier batch of it began: told row by row, and never mixed with that batch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from v2x.cli import batching, show
from v2x.errors import Conflict, PlanError
from v2x.model.plan import PlanRow
from v2x.plan.revision import revisions
from v2x.text import plural, printable

if TYPE_CHECKING:
    from v2x.engine.batches import Batch
    from v2x.engine.locks import FolderLock
    from v2x.engine.store import Store

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """The newest earlier batch of the same file: how the rows of `lines` differ there, and how many are not through.

    `approval` says that it demands approvals: who edits a plan does not get rid of that.
    """

    batch: "Batch"
    lines: tuple[str, ...]
    open_rows: int
    approval: bool

    @property
    def shown(self) -> tuple[str, ...]:
        more = len(self.lines) - _SHOWN
        rest = (f"and {plural(more, 'machine')} more",) if more > 0 else ()
        return (*(printable(line, 400) for line in self.lines[:_SHOWN]), *rest)


def earlier(store: "Store", plan_id: str, rows: Sequence[PlanRow], path: Path) -> Edition | None:
    """The newest batch of the plan's file, where it is of another version of it; `rows` are those of the file now."""
    steering = batching.control(store)
    known = [one for one in steering.batches() if one.plan_path == str(path.resolve())]
    if not known or known[0].plan_id == plan_id:
        return None
    lines = revisions(steering.plan_rows(known[0]), rows)
    return Edition(
        batch=known[0],
        lines=lines,
        open_rows=steering.open_rows(known[0]),
        approval=steering.requires_approval(known[0]),
    )


@contextmanager
def alone(
    store: "Store", edition: Edition | None, plan: Path, *, replace: bool, quiet: bool
) -> "Iterator[FolderLock | None]":
    """As batching.alone, after what differs was told.

    PlanError PLAN-EDITED while the earlier batch is not through, unless the plan is to `replace` it.
    """
    try:
        with batching.alone(store) as lock:
            if edition is not None:
                _settle(store, edition, plan, replace=replace, quiet=quiet)
            yield lock
    except Conflict as busy:
        if busy.code == "STATE-LOCKED" and edition is not None:
            busy.message += f"; batch {edition.batch.id} goes on with the plan as it was before it was edited"
            busy.details = edition.shown
        raise


def _settle(store: "Store", edition: Edition, plan: Path, *, replace: bool, quiet: bool) -> None:
    old = edition.batch.id
    if edition.open_rows and not replace:
        problem = PlanError(
            f"{plan} was edited since batch {old} began, and {plural(edition.open_rows, 'machine')} of that "
            f"{'is' if edition.open_rows == 1 else 'are'} not through",
            code="PLAN-EDITED",
            hint=f"v2x batch resume {old} goes on with the plan as it was; batch run --replace takes this one instead",
        )
        problem.details = edition.shown
        raise problem
    if edition.open_rows:
        count = batching.control(store).give_way(edition.batch)
        show.note(f"batch {old} ends here: {plural(count, 'machine')} of it go on with the edited plan", quiet=quiet)
    show.note(f"{plan} is not as it was when batch {old} began; approvals of that one do not count:", quiet=quiet)
    for line in edition.shown:
        show.note(f"  - {line}", quiet=quiet)
