# SPDX-License-Identifier: Apache-2.0
"""`v2x batch report --decommission`: what may be retired at the sources of machines that are finalized."""

from pathlib import Path
from typing import TYPE_CHECKING

from v2x.cli import batching, show
from v2x.cli.options import Given
from v2x.errors import V2xError
from v2x.model.codec import to_json
from v2x.model.decommission import Decommission, NotYet
from v2x.model.inventory import Inventory
from v2x.model.migration import Migration, Outcome
from v2x.plan.decommission import emptied, retired
from v2x.render.decommission_text import decommission_text

if TYPE_CHECKING:
    from v2x.engine.batches import Batch
    from v2x.engine.store import Store

_THROUGH = frozenset({Outcome.MIGRATED, Outcome.ALREADY})


def write_decommission(given: Given, name: str, output: Path | None, state: str | None) -> None:
    """Prints the list, or writes it to a file."""
    with batching.opened(state) as store:
        found = decommission(store, batching.control(store).batch(name))
    data = to_json(found) if given.json else decommission_text(found, width=show.width() if output is None else 80)
    if output is None:
        show.raw(data)
        return
    show.save(output, data)
    show.note(f"wrote {output}", quiet=given.quiet)


def decommission(store: "Store", batch: "Batch") -> Decommission:
    """What may go with the finalized machines of a batch, and what is still needed."""
    from datetime import UTC, datetime

    steering = batching.control(store)
    finalized = set(steering.finalized(batch))
    orders = {one.id: one for one in steering.orders(batch)}
    machines, waiting = [], []
    for one in steering.migrations(batch):
        order = orders[one.id]
        if one.id in finalized and order.row is not None:
            machines.append(retired(order.machine, order.row, one.target_name, one.vm_uuid))
        else:
            waiting.append(NotYet(source=one.source, name=one.machine_name, why=_why(one, batch)))
    inventories = _inventories(batch)
    keys = {(one.source, one.machine_id) for one in machines}
    return Decommission(
        batch=batch.id,
        plan_id=batch.plan_id,
        made=datetime.now(UTC),
        machines=tuple(machines),
        datastores=tuple(emptied(inventories, keys)),
        not_yet=tuple(waiting),
        listed={alias: one.taken_at for alias, one in inventories.items() if any(key[0] == alias for key in keys)},
    )


def _inventories(batch: "Batch") -> dict[str, Inventory]:
    """Those of the plan's other half; none where it is gone."""
    from v2x.plan.store import load_plan

    try:
        return load_plan(Path(batch.plan_path)).inventories
    except V2xError:
        return {}


def _why(one: Migration, batch: "Batch") -> str:
    if one.outcome in _THROUGH:
        return f"not finalized: v2x batch finalize {batch.id} --machine NAME gives up its way back"
    return "it is back at its source" if one.outcome is Outcome.ROLLED_BACK else f"not through: {one.outcome}"
