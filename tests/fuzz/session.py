# SPDX-License-Identifier: Apache-2.0
"""What `make fuzz` runs: `python -m tests.fuzz.session CORPORA SECONDS SEED`.

Each guided target in turn, one process at a time, gets its share of the time, and so do the comparisons with other
programs, which begin with what the guided runs kept. A finding ends the session with its input's place.
"""

import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS

_DONE = re.compile(r"Done (\d+) runs in (\d+) second")
_COVERAGE = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)/")
COMPARED_SHARE = 8
"""One part in so many of the time is for the comparisons."""


def run(words: list[str], log: Path) -> int:
    with log.open("wb") as out:
        command = ["nice", "-n", "10", sys.executable, "-m", *words]
        return subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False).returncode


def guided(name: str, corpora: Path, seconds: int, seed: int) -> str:
    """A line of figures. SystemExit where there is a finding."""
    log = corpora / f"{name}.log"
    code = run(["tests.fuzz", name, str(corpora / name), str(seconds), str(seed)], log)
    said = log.read_text(errors="replace")
    if code:
        tail = "\n".join(said.splitlines()[-40:])
        raise SystemExit(
            f"{tail}\n{name}: a finding; its input is in {corpora / name}.findings, all that was said in {log}"
        )
    done, found = _DONE.findall(said)[-1], _COVERAGE.findall(said)[-1]
    lines = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.replay", name, corpora / name], capture_output=True, text=True, check=True
    ).stdout.strip()
    return (
        f"{name}: {int(done[0]):,} executions in {done[1]} s, seed {seed}; {found[0]} edges, {found[1]} features, "
        f"{found[2]} inputs kept, {lines} % of the readers' lines"
    )


def main(words: list[str]) -> None:
    corpora, seconds, seed = Path(words[0]), int(words[1]), int(words[2])
    corpora.mkdir(parents=True, exist_ok=True)
    names = [name for name, target in TARGETS.items() if target.guided]
    compared = max(4, seconds // COMPARED_SHARE)
    each = max(1, (seconds - compared) // len(names))
    for name in names:
        print(guided(name, corpora, each, seed), flush=True)
    log = corpora / "differential.log"
    code = run(["tests.fuzz.differential", str(corpora), str(compared), str(seed)], log)
    print(log.read_text(errors="replace"), end="", flush=True)
    if code:
        raise SystemExit("v2x and another program differ")


if __name__ == "__main__":
    main(sys.argv[1:])
