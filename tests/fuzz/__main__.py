# SPDX-License-Identifier: Apache-2.0
"""Runs one target, guided by the coverage of v2x: `python -m tests.fuzz TARGET CORPUS SECONDS SEED`.

The corpus begins with the target's well-formed inputs and keeps what libFuzzer finds worth keeping. An input that is a
finding lies in `CORPUS.findings` afterwards; `python -m tests.fuzz TARGET FILE…` reads such files again.
"""

import importlib
import pkgutil
import resource
import sys
from pathlib import Path
from random import Random

import atheris

MOST_MEMORY = 2 << 30
MOST_INPUT = 1 << 17
ROOMS = ("v2x.disks", "v2x.sources", "v2x.plan", "v2x.workbook", "v2x.target", "v2x.model", "v2x.text")


def load() -> None:
    """Every module that reads, so that all of it is instrumented before anything runs."""
    for name in ROOMS:
        room = importlib.import_module(name)
        for module in pkgutil.walk_packages(getattr(room, "__path__", []), f"{name}."):
            importlib.import_module(module.name)


def main(words: list[str]) -> None:
    name, place, *rest = words
    with atheris.instrument_imports(include=["v2x"]):
        load()
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    if not rest or not rest[0].isdecimal():
        for path in [place, *rest]:
            print(path, "is understood" if target.read(Path(path).read_bytes()) else "is refused")
        return
    seconds, seed = rest
    corpus, findings = Path(place), Path(f"{place}.findings")
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(target.seeds()):
        (corpus / f"seed-{number:02}").write_bytes(content)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))

    def change(data: bytes, most: int, chance: int) -> bytes:
        """One in eight inputs is changed as libFuzzer does, without any idea of what it is."""
        if not chance % 8 or not data:
            return bytes(atheris.Mutate(data, min(len(data) + 64, most)))
        return target.edit(data, Random(chance))[:most]

    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={MOST_INPUT}",
        "-timeout=20",
        "-rss_limit_mb=1024",
    ]
    options += [
        "-malloc_limit_mb=256",
        "-print_final_stats=1",
        f"-artifact_prefix={findings}/",
        "-verbosity=1",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], target.read, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
