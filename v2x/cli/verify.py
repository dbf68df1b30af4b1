# SPDX-License-Identifier: Apache-2.0
"""`v2x verify`: compares the digests kept in a report with what the pool holds now."""

from pathlib import Path
from typing import Annotated

import typer

from v2x.cli.options import Given, shared


@shared(target=True)
def verify(
    given: Given,
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="report (JSON) of a migration")],
    target: Annotated[str | None, typer.Option(metavar="TARGET", help="where to look (default: as reported)")] = None,
) -> None:
    """Reads the disks of a report's machines again and compares every block."""
    from v2x.cli import show
    from v2x.cli.build import build
    from v2x.cli.progress import Console
    from v2x.cli.verifying import verify_report

    app = build(given)
    rows = verify_report(app, report, target, Console(quiet=given.quiet))
    if given.json:
        show.document("v2x.verify/1", {"disks": rows})
    else:
        for row in rows:
            show.result(f"{row['machine']}  {row['disk']}  {row['verdict']}")
