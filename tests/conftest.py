# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all rooms."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from v2x.simulators.xapi import Pool

pytest_plugins = ["tests.hyperv_share", "tests.images", "tests.vsphere_estate"]


@pytest.fixture
def simulated_pool(tmp_path: Path) -> Iterator[Callable[..., Pool]]:
    """A factory of running simulated pools: `simulated_pool(profile=..., hosts=..., attach_delay=...)`.

    Delays that only cost time are off unless asked for. Everything is stopped at the end of the test.
    """
    with ExitStack() as stack:
        made: list[Pool] = []

        def make(folder: Path | None = None, **options: Any) -> Pool:
            options = {"login_delay": 0, "release_delay": 0, **options}
            pool = Pool(folder or tmp_path / f"pool{len(made)}", **options)
            made.append(pool)
            return stack.enter_context(pool)

        yield make
