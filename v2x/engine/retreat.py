# SPDX-License-Identifier: Apache-2.0
"""A row that goes back by itself: after a start or a health check that failed, and only where it says so."""

from dataclasses import asdict
from typing import Protocol

from v2x.causes import remedy
from v2x.engine.memory import TRACKED, WAS_ON, Keeps, label_of, saved_of
from v2x.errors import Conflict, V2xError
from v2x.migrate.backup_wait import let_go
from v2x.migrate.rollback import go_back
from v2x.migrate.tracking import end_tracking
from v2x.migrate.work import Work
from v2x.model.health import OnFail
from v2x.model.migration import Failure
from v2x.target.interface import WayBack

DOMAIN_CONTROLLER = "dc"


class Told(Keeps, Protocol):
    """Where a row's facts are, and who hears its warnings."""

    def warning(self, text: str) -> None: ...


def failure_of(problem: V2xError) -> Failure:
    return Failure(code=problem.code, message=problem.message, hint=remedy(problem), exit_code=problem.exit_code)


def wish_to_retreat(work: Work, kept: Told) -> dict[str, object]:
    """What a step answers so that the row goes back: nothing where it does not say so, or may not."""
    if work.care.on_fail is not OnFail.ROLLBACK:
        return {}
    if work.role.casefold() == DOMAIN_CONTROLLER and _has_run(work):
        kept.warning(
            f"{work.machine.name} is a domain controller and is not rolled back by itself: "
            "v2x batch rollback --accept-data-loss --force-dc does it"
        )
        return {}
    return {"roll back": True}


def _has_run(work: Work) -> bool:
    """Whether it ran on the target; it is taken to have, where nobody can tell."""
    try:
        claim = work.target.find(work.tag)
        return claim is None or not isinstance(work.target, WayBack) or bool(work.target.first_start(claim))
    except V2xError:
        return True


def unhealthy(work: Work, kept: Told) -> dict[str, object]:
    """The answer of a health check that failed: the machine is migrated all the same, unless it goes back."""
    answer = wish_to_retreat(work, kept)
    if not answer or work.health is None:
        return {}
    said = "; ".join(f"{check.label}: {check.text}" for check in work.health.failed)
    failure = Failure(
        code="HEALTH",
        message=f"its health check failed: {said}",
        hint="its disks stay on the pool; what it wrote there since its start is lost",
        exit_code=4,
    )
    return {**answer, "failure": asdict(failure)}


def retreat(work: Work, kept: Told) -> None:
    """Stops it on the target for good, puts its source back as it was and starts it if it ran."""
    facts = kept.facts()
    claim = work.target.find(work.tag)
    if claim is None or not claim.sealed:
        raise Conflict(f"{work.spec.name} is not on the target any more", hint="start the source by hand", code="GONE")
    let_go(work)
    go_back(
        work.machine,
        claim,
        work.source,
        work.target,
        saved=saved_of(facts),
        label=label_of(facts),
        was_on=WAS_ON in facts,
        said=kept.warning,
    )
    end_tracking(work.source, work.machine, TRACKED in facts)
    where = "and runs" if WAS_ON in facts else "and is off, as it was"
    kept.warning(f"{work.machine.name} was rolled back by itself: it is at its source again {where}")
