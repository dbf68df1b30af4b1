# SPDX-License-Identifier: Apache-2.0
"""Which machines, what is said against moving them, and the suggestions for the others."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from v2x.assess.engine import assess
from v2x.cli import show
from v2x.cli.guest_wishes import words_given
from v2x.cli.wizard.prompts import Back, Option
from v2x.cli.wizard.talk import Talk
from v2x.cli.wizard.tools import why_not_converted
from v2x.mapping.rows import Family
from v2x.model.finding import Finding, Severity
from v2x.model.machine import Machine, PowerState
from v2x.model.plan import GuestConversion
from v2x.model.units import show_bytes
from v2x.plan import draft_plan
from v2x.render import text_of_findings
from v2x.render.layout import columns, fit
from v2x.text import plural, printable

FOR_A_CHOICE = frozenset(
    {"machine.name-on-pool", "nic.mac-on-pool", "cpu.count-invalid", "memory.size-invalid", "firmware.not-stated"}
)
"""What an answer takes away: another name, another address, the hardware of disks that came without a machine."""
_ASKED_LATER = frozenset({"nic.network-not-on-pool", *FOR_A_CHOICE})
"""What is said of these is a question that comes anyway."""
MACHINES = "machines"
_NAME_COLUMNS = 36
_STATE = {PowerState.ON: "running", PowerState.OFF: "off", PowerState.SUSPENDED: "suspended", PowerState.UNKNOWN: ""}
_SHOWN = 12


def choose_machines(talk: Talk) -> None:
    machines = sorted(talk.listed.machines, key=lambda machine: (machine.name.casefold(), machine.id))
    if len(machines) == 1:
        talk.prompts.tell(f"The only machine there: {_line(machines[0], '')}")
        chosen = [machines[0].id]
    else:
        counts = Counter(machine.name for machine in machines)
        options = [_option(machine, counts[machine.name] > 1) for machine in machines]
        chosen = talk.prompts.choose_many("Which machines shall move?", options, talk.chosen)
    if set(chosen) != set(talk.chosen):
        talk.chosen = tuple(chosen)
        talk.rows, talk.drafted = {}, {}


def has_several(talk: Talk) -> bool:
    return len(talk.listed.machines) > 1


def _option(machine: Machine, is_twin: bool) -> Option:
    name = printable(machine.name, 80) or machine.id
    where = ", ".join(printable(one, 40) for one in (machine.folder, machine.host) if one) if is_twin else ""
    told = ", ".join(word for word in (printable(machine.guest.os_name, 60), where) if word)
    return Option(machine.id, _line(machine, where), told, name)


def _line(machine: Machine, where: str) -> str:
    name = printable(machine.name, 80) or machine.id
    state, size = _STATE[machine.power_state], show_bytes(machine.capacity_bytes)
    return f"{fit(name, max(columns(name), _NAME_COLUMNS))} {state:9} {size}" + (f"  {where}" if where else "")


def show_findings(talk: Talk) -> None:
    """What the assessment says of the chosen machines; those with a blocker stay behind. Raises Back where all do."""
    only, app = talk.only, talk.app
    talk.findings = tuple(
        one
        for one in assess(only, talk.pool, app.tables, app.rules)
        if one.severity is not Severity.UNKNOWN or one.machine_id
    )
    _draft(talk)
    blocked = {one.machine_id for one in talk.findings if _stops(one)}
    behind = [machine for machine in talk.machines if machine.id in blocked]
    for machine in behind:
        del talk.rows[machine.id], talk.drafted[machine.id]
    _tell_findings(talk)
    if behind:
        names = ", ".join(printable(machine.name, 60) for machine in behind[:_SHOWN])
        more = f" and {len(behind) - _SHOWN} more" if len(behind) > _SHOWN else ""
        talk.prompts.tell(f"Not moved, for the reasons above: {names}{more}")
    if not talk.rows:
        # Still chosen: on another target, nothing may speak against them.
        other = Option(MACHINES, "choose other machines")
        again = (*((other,) if has_several(talk) else ()), Option("", "another target"))
        raise Back(talk.prompts.choose("What next?", again, again[0].value))
    talk.chosen = tuple(machine.id for machine in talk.machines if machine.id in talk.rows)


def _stops(finding: Finding) -> bool:
    return finding.severity is Severity.BLOCKER and finding.rule not in FOR_A_CHOICE


def _draft(talk: Talk) -> None:
    """The suggestions, as v2x plan draft makes them; answers that were given before are kept."""
    source, target = talk.source.open_endpoint, talk.target.open_endpoint
    plan = draft_plan(
        {source.alias: talk.only},
        {target.alias: talk.pool},
        talk.app.tables,
        sources=[source],
        targets=[target],
        findings={source.alias: talk.findings},
        rules=talk.app.rules,
        now=talk.app.now(),
    )
    for drafted in plan.rows:
        # What keeps it from being built besides a blocker is asked for, or told with the review.
        convert = _conversion(talk, drafted.machine_id)
        row = replace(drafted, exclude=False, guest=words_given(talk.given), convert=convert)
        before = talk.drafted.get(row.machine_id)
        if before != row or row.machine_id not in talk.rows:
            talk.drafted[row.machine_id] = talk.rows[row.machine_id] = row


def _conversion(talk: Talk, machine_id: str) -> GuestConversion:
    """A Linux needs its drivers to start on Xen at all, and Windows starts without; nothing is done without tools."""
    machine = next(one for one in talk.machines if one.id == machine_id)
    guest = talk.app.tables.guest_os(machine.guest)
    advised = guest is not None and guest.family is Family.LINUX and not why_not_converted(talk, machine)
    return GuestConversion.AUTO if advised else GuestConversion.OFF


def _tell_findings(talk: Talk) -> None:
    told = _together([one for one in talk.findings if one.rule not in _ASKED_LATER])
    loud = [one for one in told if one.severity in {Severity.BLOCKER, Severity.WARNING}]
    quiet = len(told) - len(loud)
    if loud:
        show.result("\n" + text_of_findings(loud[:_SHOWN], width=show.width()))
        if len(loud) > _SHOWN:
            talk.prompts.tell(f"and {plural(len(loud) - _SHOWN, 'finding')} more, which v2x assess lists")
    counts = [plural(sum(one.severity is level for one in loud), level.value) for level in _LOUD]
    talk.prompts.tell(
        f"{', '.join(counts)}, {plural(quiet, 'note')}." if talk.findings else "Nothing speaks against it."
    )
    if loud:
        talk.prompts.tell("v2x explain tells more of a word in brackets.")


def _together(findings: Sequence[Finding]) -> list[Finding]:
    """What is said of several machines in the same words, once, with all their names."""
    alike: dict[tuple[str, str, str, str], list[Finding]] = {}
    for one in findings:
        alike.setdefault((one.rule, one.subject, one.text, one.remedy), []).append(one)
    return [
        replace(first, machine_name=", ".join(dict.fromkeys(one.machine_name for one in [first, *others] if one)))
        for first, *others in alike.values()
    ]


_LOUD = (Severity.BLOCKER, Severity.WARNING)


def of_machine(talk: Talk, machine: Machine) -> list[Finding]:
    return [one for one in talk.findings if one.machine_id == machine.id]
