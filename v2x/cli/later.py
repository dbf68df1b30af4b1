# SPDX-License-Identifier: Apache-2.0
"""Commands whose place is fixed but which come with a later release: they exit 2 and say so."""

from collections.abc import Callable
from typing import Any

import typer

from v2x.errors import UsageError

SETTINGS: dict[str, Any] = {
    "context_settings": {"ignore_unknown_options": True, "allow_extra_args": True},
}


def later(name: str, what: str, instead: str) -> Callable[[typer.Context], None]:
    """A command `name` that does `what` and says what to use until then."""

    def command(_context: typer.Context) -> None:
        raise UsageError(f"v2x {name} comes with a later release", code="LATER", hint=instead)

    command.__doc__ = f"{what} (comes with a later release)"
    return command
