# SPDX-License-Identifier: Apache-2.0
"""The page about the simulated pool names every profile, fault, order and setting that there is, and no other."""

import dataclasses
import re
from pathlib import Path

from v2x.simulators.xapi import PROFILES, Settings
from v2x.simulators.xapi.faults import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "simulated-pool.md").read_text(encoding="utf-8")


def named(heading: str) -> list[str]:
    """What the first column of the table under this heading names in backquotes."""
    table = PAGE[PAGE.index(heading) :].split("\n\n")[0].splitlines()[2:]
    return [word for row in table for word in re.findall(r"`([^`]+)`", row.split("|")[1])]


def test_the_page_knows_every_profile_with_its_abilities():
    assert named("| profile |") == list(PROFILES)
    for profile in PROFILES.values():
        (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{profile.name}`")]
        qcow2, vtpm, nics = (cell.strip() for cell in row.split("|")[3:6])
        assert (qcow2, vtpm, nics) == (
            "yes" if profile.qcow2 else "no",
            "yes" if profile.vtpm else "no",
            str(profile.vif_devices),
        )


def test_the_page_knows_every_fault_and_setting():
    assert named("| `arm`: kind |") == list(KINDS)
    settings = {f.name for f in dataclasses.fields(Settings)}
    assert settings == set(named("| setting |")) | {"tasks_kept"}
    assert "`tasks_kept`" in PAGE


def test_the_page_knows_every_order_of_the_panel(pool):
    orders = {re.match(r'"(\w+)"', word)[1] for word in named("| order |")}
    assert orders == {"settings", "expire_sessions", "vanish_task", "strain", "guests", "clear", *pool._orders()}
