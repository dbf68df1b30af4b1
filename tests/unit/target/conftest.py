# SPDX-License-Identifier: Apache-2.0
"""A machine that is being moved to a simulated pool."""

import pytest

from tests.claims import Place, opened


@pytest.fixture
def place(simulated_pool):
    """A factory: `place(changes to the machine, **options of the pool)`. Its targets are closed at the end."""
    targets = []

    def make(changes=None, **options):
        pool = simulated_pool(**options)
        target = opened(pool)
        targets.append(target)
        return Place(pool, target, **(changes or {}))

    yield make
    for target in targets:
        target.close()
