# SPDX-License-Identifier: Apache-2.0
"""Contests: several programs do the same work in turns, and what counts are the ratios within each round.

Absolute rates of a shared machine mean little; two programs run within seconds of one another are comparable. Every
round runs each contender once in an order shuffled with a fixed seed, sources are read into the page cache before
each run, and one round before the first is not counted. Wall time, CPU and peak memory are those of whole processes
from start to end, interpreter and imports included.
"""

import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.goals import RIVALS, Reached, reached
from v2x.disks.bytesource import FileSource

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
BUILT = ROOT / "build" / "bench"
"""Figures as JSON, and inputs; never part of the tree."""
PAIRS = int(os.environ.get("BENCH_PAIRS", "5"))
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
"""How large the filled, thin and random disks are, as a share of their full size."""
SEED = 20240229
_READ_BYTES = 4 << 20
_STEP_SECONDS = 120.0


def python(program: str, *arguments: object) -> tuple[str, ...]:
    """The command line of one of the bench's own programs."""
    return (sys.executable, str(PROGRAMS / program), *map(str, arguments))


@dataclass(frozen=True, kw_only=True)
class Contender:
    """`steps` are command lines run one after another; `before` clears away, untimed, what the last run left.

    `receiver` is the process that takes what they send, where the CPU of it is told as well, apart.
    """

    name: str
    steps: tuple[tuple[str, ...], ...]
    before: Callable[[], None] = lambda: None
    receiver: int = 0


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One run. `work_s` is what the programs' own clocks say, without interpreter start; foreign ones have none."""

    wall_s: float
    work_s: float
    cpu_s: float
    peak_bytes: int
    blocks_read: int
    told: Mapping[str, float]
    receiver_cpu_s: float = 0.0


@dataclass(kw_only=True)
class Contest:
    """`base_bytes` is the size of the work for the figures per GB; `sources` are read before every run."""

    name: str
    base_bytes: int
    sources: Sequence[Path]
    contenders: Sequence[Contender]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    step_seconds: float = _STEP_SECONDS
    codes: frozenset[int] = frozenset({0})
    runs: dict[str, list[Figures]] = field(default_factory=dict)
    reached: list[Reached] = field(default_factory=list)

    def held(self, *, pairs: int = PAIRS) -> "Contest":
        """Runs the warm-up and the rounds, prints the figures and writes them as JSON."""
        for source in self.sources:
            _forget(source)
        order = list(self.contenders)
        for one in order:
            self._run(one)
        chance = random.Random(SEED)
        self.runs = {one.name: [] for one in order}
        for _ in range(pairs):
            chance.shuffle(order)
            for one in order:
                self.runs[one.name].append(self._run(one))
        self._report()
        return self

    def ratios(self, name: str, than: str, *, clock: str = "wall_s") -> list[float]:
        """How many times faster `name` is, round by round."""
        pairs = zip(self.runs[than], self.runs[name], strict=True)
        return [getattr(other, clock) / getattr(own, clock) for other, own in pairs]

    def faster(self, name: str, than: str, *, clock: str = "wall_s") -> tuple[float, float, float]:
        """How many times faster `name` is: median, least and greatest of the ratios of the rounds."""
        ratios = self.ratios(name, than, clock=clock)
        return statistics.median(ratios), min(ratios), max(ratios)

    def goal(self, goal: str, name: str = "", than: str = "", *, clock: str = "wall_s", share: bool = False) -> None:
        """Notes for a goal how many times faster `name` is; with `share`, what share of the other's it took.

        Without names they are those of RIVALS. Nothing is noted where the other did not run.
        """
        if not name:
            name, than = RIVALS[goal]
        if than in self.runs:
            ratios = self.ratios(name, than, clock=clock)
            self.note(reached(goal, self.name, [1 / one for one in ratios] if share else ratios))

    def note(self, found: Reached) -> None:
        self.reached.append(found)
        self._write()

    def median(self, name: str, figure: str) -> float:
        return statistics.median(getattr(one, figure) for one in self.runs[name])

    def _run(self, contender: Contender) -> Figures:
        contender.before()
        for source in self.sources:
            _read_ahead(source)
        before = _cpu_of(contender.receiver)
        steps = [self._step(step) for step in contender.steps]
        return Figures(
            receiver_cpu_s=_cpu_of(contender.receiver) - before,
            wall_s=sum(one.wall_s for one in steps),
            work_s=sum(one.work_s for one in steps),
            cpu_s=sum(one.cpu_s for one in steps),
            peak_bytes=max(one.peak_bytes for one in steps),
            blocks_read=sum(one.blocks_read for one in steps),
            told=steps[-1].told,
        )

    def _step(self, step: Sequence[str]) -> Figures:
        result = self.folder / "figures.json"
        starter = [sys.executable, "-I", "-S", str(PROGRAMS / "starter.py"), str(result), *step]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **self.environment}
        # An installed v2x is compiled; the warm-up compiles this one.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        ended = subprocess.run(
            starter,
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=self.step_seconds,
        )
        figures = json.loads(result.read_text()) if ended.returncode == 0 else {"code": ended.returncode}
        result.unlink(missing_ok=True)
        assert figures["code"] in self.codes, f"{' '.join(step[:3])} …: {ended.stderr}"
        last = (ended.stdout.splitlines() or [""])[-1]
        told = json.loads(last) if last.startswith('{"bytes"') else {}
        return Figures(
            wall_s=figures["wall_s"],
            work_s=told.get("work_s", figures["wall_s"]),
            cpu_s=figures["cpu_s"],
            peak_bytes=figures["peak_kib"] * 1024,
            blocks_read=figures["blocks_read"],
            told=told,
        )

    def _report(self) -> None:
        self._write()
        self._print()

    def _write(self) -> None:
        summary: dict[str, object] = {
            "base_bytes": self.base_bytes,
            "pairs": len(next(iter(self.runs.values()))),
            "contenders": {name: self._summary(name) for name in self.runs},
            "faster": {
                clock: {
                    f"{one} than {other}": [round(value, 3) for value in self.faster(one, other, clock=clock)]
                    for one in self.runs
                    for other in self.runs
                    if one.startswith("v2x") and one != other
                }
                for clock in ("wall_s", "work_s", "cpu_s")
            },
        }
        written(self.name, summary, self.reached, self.facts)

    def _summary(self, name: str) -> dict[str, object]:
        runs = self.runs[name]
        return {
            "wall_s": [round(one.wall_s, 4) for one in runs],
            "work_s": [round(one.work_s, 4) for one in runs],
            "cpu_s_per_gb": round(self.median(name, "cpu_s") / self.base_bytes * 1e9, 4),
            "peak_mib": round(max(one.peak_bytes for one in runs) / 2**20, 1),
            "blocks_read_most": max(one.blocks_read for one in runs),
            "receiver_cpu_s": [round(one.receiver_cpu_s, 3) for one in runs],
            **({"wire_bytes": runs[-1].told["bytes"]} if "bytes" in runs[-1].told else {}),
        }

    def _print(self) -> None:
        print(f"\n{self.name}: {self.base_bytes / 1e9:.2f} GB, {len(next(iter(self.runs.values())))} pairs")
        print(f"  {'':28}{'wall s':>8}{'work s':>8}{'MB/s':>7}{'cpu s/GB':>10}{'peak MiB':>10}")
        for name in self.runs:
            wall, work = self.median(name, "wall_s"), self.median(name, "work_s")
            rate, summary = self.base_bytes / 1e6 / wall, self._summary(name)
            cpu, peak = summary["cpu_s_per_gb"], summary["peak_mib"]
            print(f"  {name:28}{wall:8.2f}{work:8.2f}{rate:7.0f}{cpu:>10.2f}{peak:>10.0f}")
        for one in (name for name in self.runs if name.startswith("v2x")):
            for other in (name for name in self.runs if name != one):
                whole, inner = self.faster(one, other), self.faster(one, other, clock="work_s")
                cpu = self.faster(one, other, clock="cpu_s")
                print(
                    f"  {one} / {other}: {whole[0]:.2f} ({whole[1]:.2f}–{whole[2]:.2f}) times as fast; "
                    f"without start-up {inner[0]:.2f} ({inner[1]:.2f}–{inner[2]:.2f}); cpu {1 / cpu[0]:.2f}"
                )


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process until now; 0 for none."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _forget(path: Path) -> None:
    """Takes a file out of the page cache, so that what is read next comes from the disk once.

    What a program wrote lies there in single pages, and copying it takes up to twice as long as copying what the kernel
    has read ahead (seen with ext4 of Linux 6.18). A source comes into memory by being read.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _read_ahead(path: Path) -> None:
    """Holes are left out: reading them costs time and warms nothing."""
    buffer = memoryview(bytearray(_READ_BYTES))
    with closing(FileSource.open(path)) as source:
        for extent in source.extents(0, source.size):
            for at in range(extent.start, extent.end if extent.data else extent.start, _READ_BYTES):
                source.read_into(at, buffer[: extent.end - at])


def written(
    name: str, summary: Mapping[str, object], found: Sequence[Reached], facts: Mapping[str, object] | None = None
) -> None:
    """Keeps a bench's figures as JSON, and what they say of the goals."""
    BUILT.mkdir(parents=True, exist_ok=True)
    whole = {
        "bench": name,
        "taken_at": datetime.now(UTC).isoformat(timespec="minutes"),
        "scale": SCALE,
        "machine": machine(),
        "facts": dict(facts or {}),
        **summary,
        "goals": [one.plain() for one in found],
    }
    (BUILT / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n", "utf-8")


def machine() -> dict[str, object]:
    """What the figures were measured on; `load` is the average of the last 15 minutes, this bench's own included."""
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[2], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{tool: _version(tool) for tool in ("qemu-img", "nbdcopy", "node") if shutil.which(tool)},
    }


def _version(tool: str) -> str:
    said = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout
    return said.splitlines()[0] if said else ""
