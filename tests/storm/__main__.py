# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.storm --seconds 1800 --seed 1`: rounds until the time is over, or up to a finding.

`--round N` runs one round again, with what it drew; its folder stays where a round ends in a finding. `--all` goes on
after a finding.
"""

import argparse
import itertools
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.storm.rounds import Round


def storm(seconds, seed, numbers=None, tell=print, goes_on=False):
    """Runs rounds in fresh folders; returns what was counted, and raises the first finding unless it `goes_on`."""
    counts, until, slowest = Counter(), time.monotonic() + seconds, 0.0
    for number in numbers or itertools.count():
        if time.monotonic() >= until:
            break
        folder = Path(tempfile.mkdtemp(prefix="storm-"))
        one = Round(folder, seed, number, counts)
        begun = time.monotonic()
        try:
            one.all()
        except AssertionError as finding:
            if not goes_on:
                raise
            counts["findings"] += 1
            tell(finding)
            continue
        slowest = max(slowest, one.slowest_stop)
        tell(f"{number:4} {time.monotonic() - begun:5.1f} s  {one.story[0]}")
        shutil.rmtree(folder)
    tell(f"seed {seed}: {', '.join(f'{count} {what}' for what, count in sorted(counts.items()))}; "
         f"the slowest stop took {slowest:.1f} s")  # fmt: skip
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--round", type=int)
    parser.add_argument("--all", action="store_true")
    given = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    # In the background of a shell Ctrl-C is ignored, which programs inherit: v2x would not hear of it while it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        storm(given.seconds, given.seed, None if given.round is None else [given.round], goes_on=given.all)
    except AssertionError as finding:
        print(finding, file=sys.stderr)
        sys.exit(1)
