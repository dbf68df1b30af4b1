# SPDX-License-Identifier: Apache-2.0
"""What the wizard knows so far."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from v2x.app import App, Side
from v2x.cli.options import Given
from v2x.cli.wizard.prompts import Prompts
from v2x.mapping.networks import Places
from v2x.model.finding import Finding
from v2x.model.inventory import Inventory
from v2x.model.machine import Machine
from v2x.model.plan import Endpoint, Plan, PlanRow
from v2x.model.target import TargetFacts
from v2x.plan import plan_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The wizard's own options."""

    plain: bool = False
    plan: Path | None = None
    report: Path | None = None
    state: str | None = None


@dataclass(kw_only=True)
class Door:
    """One side: the address or alias as it was typed, its endpoint, and what the command line said of it."""

    side: str
    given: Side
    text: str = ""
    endpoint: Endpoint | None = None

    @property
    def open_endpoint(self) -> Endpoint:
        """That of a side that was connected to."""
        if self.endpoint is None:
            raise RuntimeError(f"no {self.side} yet")
        return self.endpoint


@dataclass(kw_only=True)
class Talk:
    """`chosen` are ids of machines, `rows` by machine id what is to become of them, `drafted` the suggestions for that.

    `begun` are the tags of migrations on the target that an earlier run did not finish. `asks_all` says that every
    question is asked of every machine, not only those without a certain answer.
    """

    app: App
    given: Given
    wanted: Wanted
    prompts: Prompts
    source: Door
    target: Door
    inventory: Inventory | None = None
    facts: TargetFacts | None = None
    begun: frozenset[str] = frozenset()
    chosen: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    rows: dict[str, PlanRow] = field(default_factory=dict)
    drafted: dict[str, PlanRow] = field(default_factory=dict)
    asks_all: bool = True

    @property
    def listed(self) -> Inventory:
        if self.inventory is None:
            raise RuntimeError("no inventory yet")
        return self.inventory

    @property
    def pool(self) -> TargetFacts:
        if self.facts is None:
            raise RuntimeError("no target yet")
        return self.facts

    @property
    def machines(self) -> tuple[Machine, ...]:
        """The chosen ones, in the order of the inventory."""
        wanted = set(self.chosen)
        return tuple(machine for machine in self.listed.machines if machine.id in wanted)

    @property
    def only(self) -> Inventory:
        """The inventory with the chosen machines alone."""
        return replace(self.listed, machines=self.machines)

    @property
    def places(self) -> Places:
        return self.app.places(self.listed)

    def change(self, machine: Machine, **values: object) -> None:
        self.rows[machine.id] = replace(self.rows[machine.id], **values)  # type: ignore[arg-type]

    def plan(self) -> Plan:
        """The plan that the answers come to."""
        source, target = self.source.open_endpoint, self.target.open_endpoint
        rows = tuple(self.rows[machine.id] for machine in self.machines if machine.id in self.rows)
        return Plan(
            id=plan_id(rows),
            created=self.app.now(),
            rows=rows,
            sources=(source,),
            targets=(target,),
            inventories={source.alias: self.only},
            facts={target.alias: self.pool},
        )
