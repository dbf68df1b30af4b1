# SPDX-License-Identifier: Apache-2.0
"""`v2x explain`: the page of any error, rule or exit code, and of what other programs and servers answer."""

from typing import Annotated

import typer

from v2x.cli.options import Given, shared


@shared()
def explain(
    given: Given,
    code: Annotated[
        str,
        typer.Argument(
            metavar="CODE",
            help="a code that v2x shows in brackets, a rule, an exit code; a code of XAPI, vSphere, VDDK or Windows; "
            "or a line that qemu-img, qemu-nbd or nbdkit printed, in quotes",
        ),
    ],
) -> None:
    """Says what a code means: what happened, why, and what to do."""
    from v2x.cli import show
    from v2x.cli.pages import Page, pages
    from v2x.render.layout import wrap

    found = pages(code)
    if given.json:

        def plain(page: Page) -> dict[str, object]:
            return {"code": page.code, "title": page.title, "text": page.text, "parts": dict(page.parts)}

        # The first page stands where the only one stood before there could be several.
        show.document("v2x.explain/1", {**plain(found[0]), "others": [plain(page) for page in found[1:]]})
        return
    lines: list[str] = []
    for page in found:
        lines += ["", *wrap(f"{page.code}: {page.title}", show.width(), rest="  ")]
        for heading, text in page.parts:
            lines += ["", heading, *wrap(text, show.width(), first="  ", rest="  ")]
    show.result("\n".join(lines[1:]))
