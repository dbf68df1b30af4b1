# SPDX-License-Identifier: Apache-2.0
"""The whole conversation, from the first question to what comes after."""

from dataclasses import replace

import typer

from v2x.cli import show
from v2x.cli.build import build
from v2x.cli.options import Given
from v2x.cli.running import check_report_folder
from v2x.cli.wizard.doors import DoorQuestions, ask_password, look_at_source, look_at_target
from v2x.cli.wizard.going import go, offer_unfinished, tell_plan, write_plan
from v2x.cli.wizard.machines import MACHINES, choose_machines, has_several, show_findings
from v2x.cli.wizard.prompts import Back, Prompts, Quit, is_plain, prompts_for
from v2x.cli.wizard.review import ask_how_much, ask_settings, review
from v2x.cli.wizard.talk import Door, Talk, Wanted
from v2x.cli.wizard.walk import Step, walk
from v2x.errors import V2xError

LEFT = 130
"""The exit code of a command that a person ended; nothing was done."""


def converse(given: Given, wanted: Wanted, prompts: Prompts | None = None) -> None:
    """Asks, and migrates or writes the plan. Who leaves before the go has changed nothing."""
    check_report_folder(wanted.report)
    prompts = prompts or prompts_for(plain=wanted.plain)
    # A bar that counts machines is drawn over itself.
    app = build(replace(given, quiet=given.quiet or is_plain(wanted.plain)))
    talk = Talk(
        app=app,
        given=given,
        wanted=wanted,
        prompts=prompts,
        source=Door(side="source", given=app.source_side),
        target=Door(side="target", given=app.target_side),
    )
    app.ask = ask_password(talk)
    try:
        prompts.tell("Moves virtual machines to XCP-ng. Nothing is changed before you say so at the end.")
        if not offer_unfinished(app, given, wanted, prompts):
            _converse(talk)
    except (Quit, Back):
        prompts.tell("\nLeft. Nothing was changed.")
        raise typer.Exit(LEFT) from None


def _converse(talk: Talk) -> None:
    steps = _steps(talk, DoorQuestions(talk, talk.source), DoorQuestions(talk, talk.target))
    walk(steps)
    while True:
        try:
            answer = review(talk)
        except Back:
            walk(steps, at_end=True)
            continue
        try:
            if answer == "plan":
                tell_plan(talk, write_plan(talk))
                return
        except V2xError as problem:
            show.problem(problem)
            continue
        if go(talk):
            return


def _steps(talk: Talk, source: DoorQuestions, target: DoorQuestions) -> list[Step]:
    """Everything up to the review."""
    return [
        *source.steps(),
        Step(lambda: look_at_source(talk), asks=False),
        Step(lambda: choose_machines(talk), asks=False, applies=lambda: not has_several(talk)),
        Step(lambda: choose_machines(talk), applies=lambda: has_several(talk), name=MACHINES),
        *target.steps(),
        Step(lambda: look_at_target(talk), asks=False),
        Step(lambda: show_findings(talk), asks=False),
        Step(lambda: ask_how_much(talk), applies=lambda: len(talk.chosen) > 1),
        Step(lambda: ask_settings(talk), again=lambda: ask_settings(talk, at_end=True)),
    ]
