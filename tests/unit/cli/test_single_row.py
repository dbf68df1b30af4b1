# SPDX-License-Identifier: Apache-2.0
"""What an option says goes before the draft; what no option says stays as drafted."""

import pytest

from tests.estate import machine
from v2x.cli.single import Choices, _row
from v2x.model.plan import PlanRow
from v2x.model.target import HaPriority

DRAFTED = PlanRow(
    machine_id="m-0", machine_name="m", source="s", target="t", autostart=True, ha=HaPriority.RESTART,
    resource_set="Set-B",
)  # fmt: skip


def row(**chosen):
    return _row(DRAFTED, machine(0), Choices(source="s", target="t", **chosen))


def test_the_draft_stands_where_nothing_is_chosen():
    made = row()
    assert (made.autostart, made.ha, made.resource_set) == (True, HaPriority.RESTART, "Set-B")


@pytest.mark.parametrize(
    ("chosen", "field", "value"),
    [
        ({"autostart": False}, "autostart", False),
        ({"autostart": True}, "autostart", True),
        ({"ha": "none"}, "ha", HaPriority.NONE),
        ({"ha": "best-effort"}, "ha", HaPriority.BEST_EFFORT),
        ({"resource_set": ""}, "resource_set", ""),
        ({"resource_set": "Set-A"}, "resource_set", "Set-A"),
    ],
)
def test_a_choice_goes_before_it(chosen, field, value):
    assert getattr(row(**chosen), field) == value
