# SPDX-License-Identifier: Apache-2.0
"""A batch in the middle of its night, always the same and of any size: for pictures and for tests of live views."""

from dataclasses import replace
from datetime import UTC, datetime

from v2x.model.batch import BatchStatus, DiskProgress, RowStatus
from v2x.model.migration import Failure, Migration, Outcome, Phase

NOW = datetime(2026, 5, 9, 22, 41, 7, tzinfo=UTC)
GIB = 1 << 30
_NAMES = ("web", "db", "mail", "files", "erp", "print", "ldap", "build", "wiki", "backup")


def name_of(number: int) -> str:
    return f"{_NAMES[number % len(_NAMES)]}{number // len(_NAMES) + 1:02}"


def row(number: int, state: str, outcome: Outcome, *, phase: Phase = Phase.WAITING, **more: object) -> RowStatus:
    size = (20 + 37 * number % 400) * GIB
    migration = Migration(
        id=f"t{number}", machine_id=f"m{number}", machine_name=name_of(number), target_name=name_of(number),
        source="vc", target="pool", phase=phase, outcome=outcome, started=NOW,
    )  # fmt: skip
    made = RowStatus(migration=migration, state=state, wave=number // 12 + 1, turn=0, attempt=1, size_bytes=size)
    return replace(made, **more)  # type: ignore[arg-type]


def _running(number: int, phase: Phase, share: float, rate: float) -> RowStatus:
    made = row(number, "running", Outcome.PENDING, phase=phase)
    activity = "verify" if phase is Phase.VERIFY else "copy"
    disk = DiskProgress(
        label="scsi0:0", activity=activity, done_bytes=int(share * made.size_bytes), total_bytes=made.size_bytes,
        rate_bytes=rate,
    )  # fmt: skip
    copied = made.size_bytes if activity == "verify" else disk.done_bytes
    moving = phase in {Phase.COPY, Phase.SYNC, Phase.VERIFY}
    return replace(made, copied_bytes=copied, disk=disk if moving else None, worker="mover1")


def batch(size: int = 42, *, ended: int = 16) -> BatchStatus:
    """`size` machines: `ended` are through or failed, six run, the rest waits."""
    failure = Failure(code="NO-SPACE", message="VDI.create: the storage repository has no room", hint="", exit_code=4)
    rows = []
    for number in range(size):
        if number < ended:
            failed = number == 7
            made = row(number, "ended", Outcome.FAILED if failed else Outcome.MIGRATED)
            if failed:
                made = replace(made, migration=replace(made.migration, failure=failure))
            rows.append(made)
        elif number < ended + 6:
            kinds = (
                (Phase.COPY, 0.72, 118e6), (Phase.COPY, 0.31, 96e6), (Phase.VERIFY, 0.55, 240e6),
                (Phase.SYNC, 0.08, 61e6), (Phase.CONVERT, 0.0, 0.0), (Phase.COPY, 0.97, 88e6),
            )  # fmt: skip
            rows.append(_running(number, *kinds[number - ended]))
        else:
            waits = "a slot of source-host:esx3" if number % 3 else "wave 2"
            rows.append(row(number, "waiting", Outcome.PENDING, waits_for=waits))
    warned = replace(
        rows[ended + 1].migration,
        warnings=("the datastore ssd-2 has 11 % free; the snapshot is watched",),
    )
    rows[ended + 1] = replace(rows[ended + 1], migration=warned)
    return BatchStatus(
        id="5c1f0a9e77d2", plan_id="0" * 64, plan_path="/srv/move/plan.csv", created=NOW, taken_at=NOW, paused=False,
        workers=("mover1",), rows=tuple(rows), limits={"rate": "524288000"}, used={},
    )  # fmt: skip
