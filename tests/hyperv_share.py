# SPDX-License-Identifier: Apache-2.0
"""The shares of a simulated Hyper-V host for tests: a real Samba, started where a test asks for one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from v2x.simulators.hyperv.share import Share


@pytest.fixture
def hyperv_share(tmp_path: Path) -> Iterator[Callable[..., Share]]:
    """A factory of running Sambas: `hyperv_share(D=folder, encryption=..., dialect=...)`, drives by their letters."""
    with ExitStack() as stack:
        made: list[Share] = []

        def make(*, shares: dict[str, Path] | None = None, **options: Any) -> Share:
            drives = {f"{key}$": value for key, value in options.items() if len(key) == 1}
            rest = {key: value for key, value in options.items() if len(key) > 1}
            folder = tmp_path / f"samba{len(made)}"
            share = stack.enter_context(Share(folder, {**drives, **(shares or {})}, **rest))
            made.append(share)
            return share

        yield make
