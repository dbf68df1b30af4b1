# SPDX-License-Identifier: Apache-2.0
"""`v2x doctor`: tools, versions, reachability; each failing line has a remedy."""

from typing import Annotated

import typer

from v2x.cli.options import Given, shared


@shared(source=True, target=True, reading=True)
def doctor(
    given: Given,
    source: Annotated[str | None, typer.Option(metavar="SOURCE", help="check this source as well")] = None,
    machine: Annotated[
        str, typer.Option(metavar="VM", help="say how the disks of this machine at the source will be read")
    ] = "",
    target: Annotated[str | None, typer.Option(metavar="TARGET", help="check this target as well")] = None,
) -> None:
    """Checks tools, versions, reachability and privileges."""
    from v2x.cli import packages, show
    from v2x.cli.build import build
    from v2x.cli.checkup import check_machine, check_source, check_target
    from v2x.errors import AccessError, UsageError

    app = build(given)
    lines = check_machine(packages.here())
    if source is not None:
        lines += check_source(app, source, machine)
    if target is not None:
        lines += check_target(app, target)
    if given.json:
        rows = [
            {"check": line.name, "ok": line.ok, "required": line.required, "found": line.found, "remedy": line.remedy}
            for line in lines
        ]
        show.document("v2x.doctor/1", {"checks": rows})
    else:
        for line in lines:
            mark = "ok  " if line.ok else "FAIL" if line.required else "miss"
            show.result(f"{mark}  {line.name:22} {line.found}")
            if not line.ok:
                show.result(f"      try: {line.remedy}")
    failed = [line for line in lines if not line.ok and line.required]
    barred = next((line for line in failed if line.access), None)
    if barred is not None:
        raise AccessError(barred.found, code=barred.code, hint=barred.remedy)
    if failed:
        raise UsageError(f"{failed[0].name}: {failed[0].found}", code="DOCTOR", hint=failed[0].remedy)
