# SPDX-License-Identifier: Apache-2.0
"""`v2x demo`: the whole way, on this machine, with a simulated pool."""

from pathlib import Path
from typing import Annotated

import typer

from v2x.cli.options import Given, shared


@shared()
def demo(
    given: Given,
    source: Annotated[Path | None, typer.Argument(metavar="SOURCE", help="your own .ova, .ovf or .vmx")] = None,
    folder: Annotated[Path, typer.Option("--folder", help="where everything is put")] = Path(".v2x-demo"),
) -> None:
    """Makes a small real VM (or takes SOURCE) and migrates it to a simulated pool, with every step on the way."""
    from v2x.cli.demonstration import demonstrate

    demonstrate(given, source, folder)
