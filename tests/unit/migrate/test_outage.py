# SPDX-License-Identifier: Apache-2.0
"""The outage foretold part by part, when passes are settled, and what was measured."""

import pytest

from v2x.migrate.outage import GUESSED, history_of, is_settled, passed, predicted
from v2x.model.health import Aftercare
from v2x.model.migration import DiskResult, Pass, Phase, VerifyLevel
from v2x.model.outage import History, Outage, Part, Span
from v2x.model.units import MIB

DISK = DiskResult(source_disk="a", label="a", data_bytes=1000 * MIB)
FIRST, SECOND = (
    Pass(sent_bytes=1000 * MIB, seconds=105, copy_seconds=100),
    Pass(sent_bytes=50 * MIB, seconds=15, copy_seconds=10),
)


def foretold(*passes, verify=VerifyLevel.FULL, **more):
    settings = {"wanted_seconds": 300, "starts": True, **more}
    return predicted(passes, [DISK], verify, Aftercare(), **settings)


def test_each_part_has_its_reason():
    found = foretold(FIRST, SECOND)
    assert found.of(Part.DELTA).predicted == pytest.approx(5 + 10)
    assert found.of(Part.VERIFICATION).predicted == pytest.approx(1000 / 5)
    assert found.of(Part.SHUTDOWN).predicted == GUESSED[Part.SHUTDOWN]
    assert found.predicted == pytest.approx(sum(span.predicted for span in found.spans))
    assert all(span.why for span in found.spans)


def test_machines_that_are_cut_over_together_share_the_way():
    assert foretold(FIRST, SECOND, contention=3).of(Part.DELTA).predicted == pytest.approx(5 + 30)
    assert foretold(FIRST, SECOND, contention=0.5).of(Part.DELTA).predicted == pytest.approx(15), "never faster"


def test_a_pass_that_sent_nothing_leaves_the_rate_as_it_was():
    found = foretold(FIRST, Pass(sent_bytes=0, seconds=4, copy_seconds=0))
    assert found.of(Part.DELTA).predicted == pytest.approx(4)
    assert found.of(Part.VERIFICATION).predicted == pytest.approx(100)


def test_what_others_needed_goes_before_guesses():
    known = History(seconds={Part.SHUTDOWN: 4.0, Part.REBOOTS: 7.0}, read_back_rate=100 * MIB)
    found = foretold(FIRST, SECOND, history=known)
    assert found.of(Part.SHUTDOWN).predicted == 4
    assert found.of(Part.REBOOTS).predicted == 7
    assert found.of(Part.VERIFICATION).predicted == pytest.approx(10)


def test_a_machine_that_is_not_started_has_no_first_boot():
    found = foretold(FIRST, SECOND, starts=False, verify=VerifyLevel.NONE)
    assert [found.of(part).predicted for part in (Part.REBOOTS, Part.HEALTH, Part.VERIFICATION)] == [0, 0, 0]


def outage(wanted, delta, rest):
    spans = (Span(part=Part.DELTA, predicted=delta), Span(part=Part.START, predicted=rest))
    return Outage(spans=spans, wanted_seconds=wanted)


@pytest.mark.parametrize(
    ("sent", "wanted", "delta", "rest", "settled"),
    [
        ((100,), 1000, 1, 1, False),  # the first pass tells nothing of the changes
        ((100, 50), 60, 20, 30, True),  # as short as wanted
        ((100, 50), 40, 20, 30, False),
        ((100, 85), 40, 20, 30, True),  # hardly smaller
        ((100, 50), 40, 1, 60, True),  # another pass could save a second of sixty
        ((100, *(90 // n for n in range(1, 20))), 1, 20, 30, True),  # enough is enough
    ],
)
def test_passes_go_on_until_the_prediction_is_short_enough(sent, wanted, delta, rest, settled):
    passes = [Pass(sent_bytes=one, seconds=1.0) for one in sent]
    assert is_settled(passes, outage(wanted, delta, rest)) is settled


def test_what_was_measured_stands_beside_what_was_foretold():
    found = foretold(FIRST, SECOND)
    for phase, seconds, rebooting in (
        (Phase.SHUTDOWN, 20, 0), (Phase.LAST_SYNC, 14, 0), (Phase.VERIFY, 100, 0), (Phase.SEAL, 2, 0),
        (Phase.START, 3, 0), (Phase.RELEASE, 1, 0), (Phase.HEALTH, 50, 30), (Phase.MARK, 9, 0),
    ):  # fmt: skip
        found = passed(found, phase, seconds, rebooting)
    real = {span.part: span.real for span in found.spans}
    assert real == {
        Part.SHUTDOWN: 20, Part.DELTA: 14, Part.CONVERSION: None, Part.VERIFICATION: 100, Part.START: 5,
        Part.REBOOTS: 30, Part.HEALTH: 21,
    }  # fmt: skip
    assert found.real == 190
    known = history_of([found, found])
    assert known.seconds[Part.SHUTDOWN] == 20 and known.seconds[Part.REBOOTS] == 30
    assert known.read_back_rate == pytest.approx(10 * MIB)
    assert Part.DELTA not in known.seconds and Part.VERIFICATION not in known.seconds
