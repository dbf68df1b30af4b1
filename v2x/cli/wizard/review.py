# SPDX-License-Identifier: Apache-2.0
"""What will be made and what will change, before anything is: then go, change something, or write it down for later."""

from collections.abc import Sequence

from v2x.cli import show
from v2x.cli.planned import checked
from v2x.cli.wizard.command import migrate_command
from v2x.cli.wizard.prompts import Back, Option
from v2x.cli.wizard.settings import outage_words, questions
from v2x.cli.wizard.talk import Talk
from v2x.cli.wizard.walk import walk
from v2x.engine.interface import Order
from v2x.errors import V2xError
from v2x.model.finding import Finding, Severity
from v2x.model.machine import Machine
from v2x.model.plan import GuestConversion, Plan, PlanRow, Running, Transfer
from v2x.model.units import show_bytes
from v2x.render import text_of_findings, text_of_machine
from v2x.render.layout import wrap
from v2x.text import plural, printable

_IN_FULL = 4
_RUNNING = {
    Running.REFUSE: "",
    Running.SHUTDOWN: ", shut down first",
    Running.POWER_OFF: ", switched off hard first",
    Running.SNAPSHOT: ", copied from a snapshot while it runs",
}


def review(talk: Talk) -> str:
    """Shows the plan until the person says go or plan, which is returned. Raises Back to the questions before."""
    while True:
        plan = talk.plan()
        try:
            orders = talk.app.orders(plan)
            findings = checked(talk.app, plan)
        except V2xError as problem:
            show.problem(problem)
            orders, findings, blocked = [], [], True
        else:
            _tell(talk, plan, orders)
            blocked = _tell_findings(talk, findings)
        answer = talk.prompts.choose("What now?", _options(talk, blocked=blocked), "change" if blocked else "go")
        if answer in {"go", "plan"}:
            return answer
        try:
            if answer == "notes":
                _tell_notes(talk)
            elif answer == "full":
                _show(orders, _which(talk, "Which one?"), talk)
            else:
                _change(talk)
        except Back:
            continue


def _options(talk: Talk, *, blocked: bool) -> list[Option]:
    go = Option("go", "migrate now", "from here on something is written; the source's disks never are")
    later = Option("plan", "write the plan and leave", "to look at it, have it approved, and run it later")
    several = len(talk.chosen) > _IN_FULL
    return [
        *(() if blocked else (go,)),
        Option("change", "change something"),
        *((Option("full", "show a machine in full"),) if several and not blocked else ()),
        *((Option("notes", "show the notes too"),) if _notes(talk) else ()),
        *(() if blocked else (later,)),
    ]


def _tell(talk: Talk, plan: Plan, orders: Sequence[Order]) -> None:
    if len(orders) <= _IN_FULL:
        for order in orders:
            _show_one(talk, order)
    else:
        for order in orders:
            row = order.row or talk.rows[order.machine.id]
            size = show_bytes(order.machine.capacity_bytes)
            show.result(
                f"  {printable(order.machine.name, 40)} becomes {printable(order.spec.name, 40)}: {size}, {_way(row)}"
            )
    done = talk.app.migrated(plan)
    for order in orders:
        name = printable(order.machine.name, 60)
        if order.machine.id in done:
            talk.prompts.tell(f"{name} is on the target already, from an earlier run; it is left as it is.")
        elif order.id in talk.begun:
            talk.prompts.tell(f"An earlier run began to move {name} and was cut off; it goes on from where it was.")
    if len(orders) == 1:
        talk.prompts.tell("Next time, without questions:")
        show.result(migrate_command(talk, orders[0].machine))


def _show_one(talk: Talk, order: Order) -> None:
    width = show.width()
    show.result("\n" + text_of_machine(order.machine, order.spec, width=width))
    row = talk.rows[order.machine.id]
    for line in _ways(talk, order, row):
        show.result("\n".join(wrap(line, width, first="  ", rest="    ")))


def _ways(talk: Talk, order: Order, row: PlanRow) -> list[str]:
    inside = "put right for Xen, on the copy" if row.convert is GuestConversion.AUTO else "left as it is"
    away = outage_words(talk, order.machine, row)
    return [
        f"how: {_way(row)}{f'; {away}' if away else ''}",
        f"system inside: {inside}",
        f"afterwards: {'it is started' if row.start else 'it stays off until you start it'}",
    ]


def _way(row: PlanRow) -> str:
    if row.transfer is Transfer.WARM:
        return "warm, shut down at the end"
    return f"cold{_RUNNING[row.running]}"


def _tell_findings(talk: Talk, findings: Sequence[Finding]) -> bool:
    """Whether something keeps the plan from running."""
    loud = [one for one in findings if one.severity in {Severity.BLOCKER, Severity.WARNING}]
    if loud:
        show.result("\n" + text_of_findings(loud, width=show.width()))
    blockers = sum(one.severity is Severity.BLOCKER for one in findings)
    if blockers:
        talk.prompts.tell(f"{plural(blockers, 'thing has', 'things have')} to be changed before it can go.")
    return bool(blockers)


def _notes(talk: Talk) -> list[Finding]:
    wanted = set(talk.chosen)
    return [
        one
        for one in talk.findings
        if one.severity in {Severity.INFO, Severity.UNKNOWN} and (not one.machine_id or one.machine_id in wanted)
    ]


def _tell_notes(talk: Talk) -> None:
    show.result("\n" + text_of_findings(_notes(talk), width=show.width()))


def _which(talk: Talk, question: str) -> Machine:
    machines = talk.machines
    if len(machines) == 1:
        return machines[0]
    options = [Option(one.id, printable(one.name, 60)) for one in machines]
    wanted = talk.prompts.choose(question, options)
    return next(one for one in machines if one.id == wanted)


def _show(orders: Sequence[Order], machine: Machine, talk: Talk) -> None:
    for order in orders:
        if order.machine.id == machine.id:
            _show_one(talk, order)


def _change(talk: Talk) -> None:
    machine, asks_all = _which(talk, "Of which machine?"), talk.asks_all
    talk.asks_all = True
    try:
        walk(questions(talk, machine))
    finally:
        talk.asks_all = asks_all


def ask_settings(talk: Talk, *, at_end: bool = False) -> None:
    """All questions of all machines; of several, only those without a certain answer where the person wants that."""
    steps = [step for machine in talk.machines for step in questions(talk, machine)]
    walk(steps, at_end=at_end)


def ask_how_much(talk: Talk) -> None:
    count = plural(len(talk.chosen), "machine")
    options = (
        Option("open", "the suggestions, and ask only what is not certain", "everything is shown before it begins"),
        Option("all", f"ask everything of each of the {count}"),
    )
    known = "all" if talk.asks_all and talk.rows != talk.drafted else "open"
    talk.asks_all = talk.prompts.choose("How shall they be set up?", options, known) == "all"
