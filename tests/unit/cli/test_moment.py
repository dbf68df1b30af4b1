# SPDX-License-Identifier: Apache-2.0
"""The time of a cutover as people write it."""

from datetime import UTC, datetime

import pytest

from v2x.cli.batch_steer import moment_of
from v2x.errors import UsageError

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("2026-12-05T22:00+01:00", datetime(2026, 12, 5, 21, 0, tzinfo=UTC)),
        (" 2026-12-05 22:00Z ", datetime(2026, 12, 5, 22, 0, tzinfo=UTC)),
    ],
)
def test_times(text, found):
    assert moment_of(text, NOW) == found


def test_without_a_zone_it_is_the_clock_of_this_machine():
    found = moment_of("2026-12-05T22:00", NOW)
    assert found is not None and found.astimezone().replace(tzinfo=None) == datetime(2026, 12, 5, 22, 0)


@pytest.mark.parametrize(("text", "said"), [("tonight", "is no time"), ("2026-12-01T12:00Z", "is over")])
def test_times_that_are_none(text, said):
    with pytest.raises(UsageError, match=said):
        moment_of(text, NOW)
