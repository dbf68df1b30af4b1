# SPDX-License-Identifier: Apache-2.0
"""No dependency is under the GPL or AGPL; LGPL is named; what says nothing bars."""

import pytest

from tests.release.licences import Kind, Licence, barred, kind_of, report, runtime_names
from tests.release.lock import ROOT


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("MIT", Kind.PERMISSIVE),
        ("Apache-2.0 OR BSD-3-Clause", Kind.PERMISSIVE),
        ("Apache Software License", Kind.PERMISSIVE),
        ("MPL-2.0 AND MIT", Kind.WEAK),
        ("LGPL-3.0-only", Kind.LGPL),
        ("GNU Lesser General Public License v3 (LGPLv3)", Kind.LGPL),
        ("MIT AND LGPL-2.1-or-later", Kind.LGPL),
        ("GPL-2.0-only", Kind.GPL),
        ("GNU General Public License v3 or later (GPLv3+)", Kind.GPL),
        ("AGPL-3.0-or-later", Kind.GPL),
        ("GNU Affero General Public License v3", Kind.GPL),
        ("MIT AND GPL-3.0-only", Kind.GPL),
        ("MIT OR GPL-3.0-only", Kind.PERMISSIVE),
        ("MIT AND (BSD-3-Clause OR GPL-2.0-only)", Kind.GPL),
        ("Proprietary", Kind.UNKNOWN),
    ],
)
def test_kinds_of_licences(text: str, kind: Kind) -> None:
    assert kind_of(text) is kind


def test_what_users_run_bars_nothing_and_its_lesser_ones_are_known() -> None:
    known, absent = report(runtime_names(ROOT))
    assert barred(known, absent) == []
    assert {one.name for one in known if one.kind is Kind.LGPL} == {"psycopg", "psycopg-binary"}


def test_each_reason_is_named() -> None:
    known = [Licence("a", "1", "GPL-3.0-only", Kind.GPL), Licence("b", "2", "says nothing", Kind.UNKNOWN)]
    known.append(Licence("c", "3", "MIT", Kind.PERMISSIVE))
    assert barred(known, ["d"]) == [
        "a 1 is under the GPL or AGPL: GPL-3.0-only",
        "b 2 does not say its licence: says nothing",
        "d is not installed, so its licence is not known: make setup",
    ]
