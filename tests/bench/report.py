# SPDX-License-Identifier: Apache-2.0
"""Puts what the benches found into docs/performance.md: `python -m tests.bench.report`.

Everything between the page's two markers is made here from build/bench/*.json; the text around it is written by hand.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.contest import BUILT, ROOT
from tests.bench.goals import GOALS, RIVALS, Goal, Reached

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def found(folder: Path = BUILT) -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]


def figures(benches: Sequence[Mapping[str, Any]]) -> str:
    parts = [_machine(benches), _goals(benches), *(_contest(bench) for bench in benches if "contenders" in bench)]
    return "\n\n".join(part for part in parts if part)


def _machine(benches: Sequence[Mapping[str, Any]]) -> str:
    if not benches:
        return "No bench was run."
    first, last = min(one["taken_at"] for one in benches), max(one["taken_at"] for one in benches)
    loads = [one["machine"]["load"] for one in benches]
    machine = benches[-1]["machine"]
    scales = ", ".join(f"{one:g}" for one in sorted({one["scale"] for one in benches}))
    tools = ", ".join(str(machine[tool]) for tool in ("qemu-img", "nbdcopy", "node") if tool in machine)
    return (
        f"Taken from {first} to {last} on {machine['cpus']} CPUs, kernel {machine['kernel']}, "
        f"Python {machine['python']}, {tools}. Scale of the inputs: {scales}. "
        f"Load average of 15 minutes meanwhile: {min(loads):g} to {max(loads):g}, the benches' own part included."
    )


def _goals(benches: Sequence[Mapping[str, Any]]) -> str:
    rows = [(Reached(**one), bench) for bench in benches for one in bench.get("goals", ())]
    lines = [
        "### Goals",
        "",
        "| work | measured | input | goal | reached (least–most) | without start-up | quickest runs | by CPU | met "
        "| goal from here on |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, goal in GOALS.items():
        own = [_goal(goal, row, bench) for row, bench in rows if row.goal == name]
        lines += own or [
            f"| {goal.row} | {goal.what} | – | {_wanted(goal)} | not run | – | – | – | – | {_wanted(goal)} |"
        ]
    return "\n".join(lines)


def _wanted(goal: Goal) -> str:
    return f"{'≥' if goal.least else '≤'} {goal.wanted:g}"


def _raised(goal: Goal, row: Reached) -> str:
    """A goal that is met is what was reached from then on."""
    return f"{'≥' if goal.least else '≤'} {_number(row.median)}" if row.met else _wanted(goal)


def _goal(goal: Goal, row: Reached, bench: Mapping[str, Any]) -> str:
    inner, cpu = _ratio(row.goal, bench, "work_s"), _ratio(row.goal, bench, "cpu_s")
    span = f" ({_number(row.least)}–{_number(row.most)})" if row.least != row.most else ""
    return (
        f"| {goal.row} | {goal.what} | {row.subject} | {_wanted(goal)} | "
        f"**{_number(row.median)}**{span} | {inner} | {_quickest(row.goal, bench)} | {cpu} | "
        f"{'yes' if row.met else '**no**'} | {_raised(goal, row)} |"
    )


def _ratio(goal: str, bench: Mapping[str, Any], clock: str) -> str:
    """The same by another clock: the programs' own, which begin after the interpreter, or the CPU that each took."""
    rival = RIVALS.get(goal)
    ratio = bench.get("faster", {}).get(clock, {}).get(f"{rival[0]} than {rival[1]}") if rival else None
    return _number(ratio[0]) if ratio else "–"


def _quickest(goal: str, bench: Mapping[str, Any]) -> str:
    """The ratio of each one's quickest run, which other work on the machine disturbed least."""
    rival, runs = RIVALS.get(goal), bench.get("contenders", {})
    if rival is None or not set(rival) <= set(runs):
        return "–"
    own, other = (min(runs[name]["wall_s"]) for name in rival)
    return _number(other / own)


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 20 else f"{value:.0f}"


def _contest(bench: Mapping[str, Any]) -> str:
    base = bench["base_bytes"]
    if not base or len(bench["contenders"]) < 2:
        return ""
    lines = [
        f"### {bench['bench']}",
        "",
        f"{base / 1e9:.2f} GB, {bench['pairs']} rounds. Seconds are medians of whole processes.",
        "",
        "| | seconds | CPU s/GB | peak MiB | on the wire, MB | v2x is … times as fast |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_contender(bench, name, one) for name, one in bench["contenders"].items()]
    return "\n".join(lines)


def _contender(bench: Mapping[str, Any], name: str, figures: Mapping[str, Any]) -> str:
    ratio = bench["faster"]["wall_s"].get(f"v2x than {name}") or bench["faster"]["wall_s"].get(
        f"v2x migrate than {name}"
    )
    faster = "{:.2f} ({:.2f}–{:.2f})".format(*ratio) if ratio else ""
    wire = f"{figures['wire_bytes'] / 1e6:.1f}" if figures.get("wire_bytes") else ""
    return (
        f"| {name} | {_median(figures['wall_s']):.2f} | {figures['cpu_s_per_gb']:.2f} | {figures['peak_mib']:.0f} | "
        f"{wire} | {faster} |"
    )


def _median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def main() -> None:
    page = PAGE.read_text("utf-8")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{figures(found())}\n\n{END}{after}", "utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(found())} benches")


if __name__ == "__main__":
    main()
