# SPDX-License-Identifier: Apache-2.0
"""`v2x explain`: the page of any error, rule or exit code."""

from typing import Annotated

import typer

from v2x.cli.options import Given, shared


@shared()
def explain(
    given: Given,
    code: Annotated[str, typer.Argument(metavar="CODE", help="an error code, a rule id or an exit code")],
) -> None:
    """Says what a code means and what to do."""
    from v2x.cli import show
    from v2x.cli.pages import page

    found = page(code)
    if given.json:
        show.document("v2x.explain/1", {"code": found.code, "title": found.title, "text": found.text})
    else:
        show.result(f"{found.code}: {found.title}\n\n{found.text}")
