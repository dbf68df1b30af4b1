# SPDX-License-Identifier: Apache-2.0
"""`v2x wizard`: asks the questions and runs the same steps as assess, plan and migrate."""

from pathlib import Path
from typing import Annotated

import typer

from v2x.cli.options import Given, shared


@shared(source=True, target=True)
def wizard(
    given: Given,
    report: Annotated[Path | None, typer.Option(help="where the report goes (default: NAME.v2x.json here)")] = None,
) -> None:
    """Asks for source, machine and target, shows what will change, and migrates."""
    from v2x.cli.questions import ask_and_migrate

    ask_and_migrate(given, report)
