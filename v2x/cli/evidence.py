# SPDX-License-Identifier: Apache-2.0
"""Archives of evidence: written for each wave of a batch, and checked."""

from pathlib import Path

from v2x.cli import batching, show
from v2x.cli.build import build
from v2x.cli.options import Given
from v2x.engine import journal
from v2x.engine.evidence import check_evidence, evidence, of_wave
from v2x.errors import UsageError
from v2x.render import render_report


def write_archives(given: Given, name: str, folder: Path, state: str | None) -> None:
    """Writes `BATCH-wave-N.zip` for each wave into `folder`."""
    app = build(given)
    with batching.opened(state) as store:
        steering = batching.control(store, app)
        batch = steering.batch(name)
        status = steering.status(batch)
        report = batching.report_of(store, app, batch)
        with store.reading() as connection:
            entries = list(journal.read(connection))
    waves: dict[int, list[str]] = {}
    for row in status.rows:
        waves.setdefault(row.wave, []).append(row.migration.id)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for wave, ids in sorted(waves.items()):
        part = of_wave(report, ids)
        members = {"report.html": render_report("html", part)}
        plan = Path(batch.plan_path)
        if plan.is_file():
            members["plan.csv"] = plan.read_bytes()
        path = folder / f"{batch.id}-wave-{wave}.zip"
        show.save(path, evidence(part, entries, members, app.now()))
        written.append(str(path))
    if given.json:
        show.document("v2x.evidence/1", {"archives": written})
    else:
        show.result("\n".join(written))


def check_archive(given: Given, path: Path) -> None:
    """Says whether an archive holds. InputRefused names what does not."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise UsageError(f"cannot read {path}: {problem.strerror}", hint="check the path") from None
    count = check_evidence(data)
    if given.json:
        show.document("v2x.evidence-check/1", {"archive": str(path), "holds": True, "events": count})
    else:
        show.result(f"{path} holds: {count} events, every file as it was written")
