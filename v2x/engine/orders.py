# SPDX-License-Identifier: Apache-2.0
"""What an order comes to when it is run: its work, its steps, its hooks."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from v2x.convert.interface import GuestWishes
from v2x.engine.attempt import Hooks
from v2x.engine.hooks import chosen
from v2x.engine.interface import Order
from v2x.migrate.guest import forward_only
from v2x.migrate.itinerary import COLD, WARM, Step
from v2x.migrate.observe import Observer
from v2x.migrate.work import Work
from v2x.model.health import Mark
from v2x.model.hook import Hook
from v2x.model.inventory import Inventory
from v2x.model.migration import Phase
from v2x.model.plan import GuestConversion, GuestWish, PlanRow, Running
from v2x.sources.interface import Source
from v2x.target.interface import Target

NOTHING_HERE = GuestWishes()


def granted(asked: Collection[GuestWish], here: GuestWishes) -> GuestWishes:
    """What a row asks for in its guest, with the files and keys that are here."""
    return replace(
        here,
        remove_tools=here.remove_tools or GuestWish.REMOVE_TOOLS in asked,
        clean_hibernation=here.clean_hibernation or GuestWish.CLEAN_HIBERNATION in asked,
        bitlocker_suspended=here.bitlocker_suspended or GuestWish.BITLOCKER_SUSPENDED in asked,
    )


def work_of(
    order: Order,
    source: Source,
    target: Target,
    observer: Observer,
    wishes: GuestWishes = NOTHING_HERE,
    **running: Any,
) -> Work:
    """The work of an order; `wishes` are the files and keys here for guests that are converted, `running` is what an
    engine adds: reservations, stopping, pace."""
    return Work(
        tag=order.id,
        machine=order.machine,
        spec=order.spec,
        source=source,
        target=target,
        observer=observer,
        verify=order.verify,
        start=order.start,
        keep_off=order.keep_off,
        read_all=order.read_all,
        stage=Path(order.stage) if order.stage else None,
        running=order.running,
        shutdown_seconds=order.shutdown_seconds,
        warm=order.warm,
        enable_tracking=order.enable_tracking,
        outage_seconds=order.outage_seconds,
        limits=order.limits,
        convert=order.convert,
        care=order.care,
        role=order.role,
        wishes=granted(order.guest, wishes),
        place=order.target,
        source_name=order.source,
        **running,
    )


def converts(row: PlanRow, inventory: Inventory, transport: str, *, staged: bool) -> bool:
    """Whether a row's guest is put right. UsageError FORWARD-ONLY where its disks cannot be read at random."""
    wanted = row.convert is GuestConversion.AUTO
    if wanted and not staged and transport == "nfc" and inventory.source.kind == "vsphere":
        raise forward_only(row.machine_name)
    return wanted


def itinerary_of(order: Order) -> tuple[Step, ...]:
    """Without the steps that would do nothing for it."""
    left_out: set[Phase] = set()
    if not order.start:
        left_out |= {Phase.START, Phase.HEALTH}
        if not order.warm and order.running is Running.REFUSE:
            left_out.add(Phase.RECORD)
    if order.care.health_seconds <= 0:
        left_out.add(Phase.HEALTH)
    if order.care.mark is Mark.NO:
        left_out.add(Phase.MARK)
    return tuple(step for step in (WARM if order.warm else COLD) if step.phase not in left_out)


def hooks_of(order: Order, known: Mapping[str, Hook]) -> Hooks:
    """The hooks that an order names, as v2x.toml has them here."""
    about = {
        "migration": order.id,
        "machine": order.machine.name,
        "machine_id": order.machine.id,
        "target_name": order.spec.name,
        "source": order.source,
        "target": order.target,
        "addresses": list(order.machine.guest.ip_addresses),
    }
    return Hooks(due=lambda moment: chosen(order.hooks, known, moment), about=about)
