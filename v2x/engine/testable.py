# SPDX-License-Identifier: Apache-2.0
"""Which machines of a batch can be tested, in what order they start, and on which networks."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from v2x.engine import tables
from v2x.engine.batches import Batch, State
from v2x.engine.interface import Order
from v2x.errors import Conflict, UsageError
from v2x.migrate.rehearsal import network_names
from v2x.model.migration import Outcome
from v2x.model.rehearsal import Asked, Stage
from v2x.target.interface import Claim, Target

_rows = tables.rows
_THROUGH = {Outcome.MIGRATED, Outcome.ALREADY}


def in_order(orders: Sequence[Order]) -> list[Order]:
    """By wave and turn, and each after those that it comes after, as far as these are among them."""
    left = sorted(orders, key=lambda order: (order.wave, order.turn))
    placed: list[Order] = []
    while left:
        waiting = {order.id for order in left}
        ready = [order for order in left if not any(other in waiting for other, _ in order.after)]
        # Those that wait for one another in a circle go as they stand.
        placed.append(ready[0] if ready else left[0])
        left.remove(placed[-1])
    return placed


def stage_of(batch: Batch, orders: Sequence[Order], asked: Asked) -> Stage:
    """UsageError where the VLANs do not fit the networks."""
    networks: dict[str, str] = {}
    for order in orders:
        networks |= network_names(order.machine, order.spec, order.source)
    return Stage(id=batch.id, networks=networks, host=asked.host, vlans=_vlans(networks, asked), uplink=asked.uplink)


def _vlans(networks: Mapping[str, str], asked: Asked) -> dict[str, int]:
    given: dict[str, int] = {}
    for text in asked.vlans:
        name, _, number = text.rpartition("=")
        keys = [key for key, shown in networks.items() if name in ("", shown, key)]
        if not number.isdecimal() or not 1 <= int(number) <= 4094:
            raise UsageError(f"--vlan {text}: {number} is no VLAN", hint="a number from 1 to 4094, or NETWORK=N")
        if len(keys) != 1 or keys[0] in given or int(number) in given.values():
            raise _which_vlans(networks)
        given[keys[0]] = int(number)
    if given and len(given) < len(networks):
        raise _which_vlans(networks)
    return given


def _which_vlans(networks: Mapping[str, str]) -> UsageError:
    wanted = " ".join(f"--vlan '{name}=N'" for name in networks.values())
    return UsageError("each network of the source needs a VLAN of its own in the test", hint=wanted)


def claim_of(target: Target, order: Order) -> Claim:
    """The claim with all of its disks at a point. Conflict TEST-NOT-READY where it is not so."""
    found = target.find(order.id)
    if found is None or found.sealed or not found.id or len(found.disks) != len(order.spec.disks):
        raise not_ready([f"{order.machine.name} is not on {order.target} as its replication left it"])
    if any(not disk.point or disk.mark_bytes < disk.size_bytes for disk in found.disks):
        raise not_ready([f"{order.machine.name} has disks that are not at a point"])
    return found


def state_of(connection: sa.Connection, batch: str, row: str) -> Any:
    """State, outcome, due and cancel of a row."""
    of = _rows.c
    wanted = sa.select(of.state, of.outcome, of.due, of.cancel)
    return connection.execute(wanted.where(of.batch == batch, of.id == row)).one()


def hindrance(row: Any, order: Order) -> str:
    """Why a machine cannot be tested, by its row as `state_of` gives it; empty where it can."""
    outcome = Outcome(row.outcome)
    through = outcome in _THROUGH
    # One that runs its next pass was ready before it.
    ready = outcome is Outcome.READY or (row.state == State.RUNNING and row.due)
    reasons = (
        (through, "is through: what is on the pool is the machine itself, and a test of it is its start"),
        (order.spec.is_template, "is a template, which does not start"),
        (not order.warm, "is copied cold: it has no point to be tested at before it is through"),
        (row.state == State.ENDED, f"has ended: {outcome}"),
        (row.cancel, "is being cancelled"),
        (not ready, "is not ready: its passes have not brought it to a point yet"),
    )
    return next((f"{order.machine.name} {why}" for holds, why in reasons if holds), "")


def not_ready(why: Sequence[str]) -> Conflict:
    """The refusal to test machines, for these reasons."""
    problem = Conflict(
        why[0] if len(why) == 1 else f"{len(why)} machines cannot be tested now",
        hint="v2x batch status shows which are ready for cutover; only these can be tested",
        code="TEST-NOT-READY",
    )
    problem.details = tuple(why) if len(why) > 1 else ()
    return problem
