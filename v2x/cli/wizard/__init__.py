# SPDX-License-Identifier: Apache-2.0
"""`v2x wizard`: asks the questions and runs the same steps as assess, plan and batch run."""

from pathlib import Path
from typing import Annotated

import typer

from v2x.cli.options import Given, StateOption, shared


@shared(source=True, target=True, reading=True, guest=True)
def wizard(
    given: Given,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="numbered lists and one line at a time, for screen readers and simple terminals"),
    ] = False,
    plan: Annotated[
        Path | None, typer.Option(help="where the plan goes, .csv or .xlsx (default: NAME.plan.csv here)")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="where the report goes (default: beside the plan)")] = None,
    state: StateOption = None,
) -> None:
    """Asks for source, machines and target, shows what will change, and migrates; or writes the plan for later."""
    from v2x.cli.wizard.conversation import converse
    from v2x.cli.wizard.talk import Wanted

    converse(given, Wanted(plain=plain, plan=plan, report=report, state=state))
