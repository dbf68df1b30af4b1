# SPDX-License-Identifier: Apache-2.0
"""The tree of commands. Nothing heavy is imported here: `v2x --help` must answer at once."""

from typing import Annotated

import typer

from v2x import __version__
from v2x.cli import (
    assess,
    batch,
    cleanup,
    convert,
    demo,
    doctor,
    explain,
    inventory,
    migrate,
    plan,
    simulate,
    verify,
    wizard,
    worker,
)

app = typer.Typer(
    name="v2x",
    help="Moves virtual machines from VMware and Hyper-V to XCP-ng.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"v2x {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Moves virtual machines from VMware and Hyper-V to XCP-ng."""


app.command("doctor")(doctor.doctor)
app.command("inventory")(inventory.inventory)
app.command("assess")(assess.assess)
app.add_typer(plan.app, name="plan")
app.command("migrate")(migrate.migrate)
app.command("wizard")(wizard.wizard)
app.add_typer(batch.app, name="batch")
app.command("verify")(verify.verify)
app.command("explain")(explain.explain)
app.command("cleanup")(cleanup.cleanup)
app.command("convert")(convert.convert)
app.add_typer(simulate.app, name="simulate")
app.command("demo")(demo.demo)
app.command("worker")(worker.worker)
