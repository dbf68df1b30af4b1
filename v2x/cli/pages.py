# SPDX-License-Identifier: Apache-2.0
"""The pages of `v2x explain`: exit codes, v2x's own error codes, rules, and what other programs and servers answer."""

from collections.abc import Iterator
from dataclasses import dataclass

from v2x.causes import FAMILIES, Cause, causes, found_in
from v2x.errors import UsageError, V2xError

WHAT, WHY, DO = "What happened", "Why", "What to do"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page; `parts` are its headings and texts, in order."""

    code: str
    title: str
    parts: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        return "\n\n".join(f"{heading}\n  {text}" for heading, text in self.parts)


def pages(code: str) -> list[Page]:
    """All that is known of an exit code, an error code, a rule id, a code of somebody else, or a line of a program.

    UsageError where nothing is.
    """
    found = [page_of(one) for one in found_in(code)]
    found = found or list(_rule(code.strip().lower()))
    if not found:
        raise UsageError(
            f"no page for {code}",
            hint="give a code as an error shows it in brackets, a rule, an exit code, or a line of a program in "
            "quotes; docs/codes.md lists all of them",
        )
    return found


def page(code: str) -> Page:
    """The first of `pages`."""
    return pages(code)[0]


def page_of(one: Cause) -> Page:
    title = FAMILIES[one.family].speaker
    kind = error_classes().get(one.id) if one.family == "own" else None
    if kind is not None:
        title += f", exit code {kind.exit_code}"
    parts = [
        (WHAT, _sentence(one.plain)),
        (WHY, _sentence(one.why.replace("{", "").replace("}", ""))),
        (DO, _sentence(one.do)),
    ]
    if one.family not in {"own", "exit", "tools"}:
        parts.append(("v2x says", f"[{one.reported}] (v2x explain {one.reported})"))
    return Page(code=f"{one.id} ({one.name})" if one.name else one.id, title=title, parts=tuple(parts))


def _sentence(text: str) -> str:
    whole = text[:1].upper() + text[1:] if not text.startswith(("v2x ", "--")) else text
    return whole if whole.endswith((".", "?", "!")) else f"{whole}."


def _rule(rule_id: str) -> Iterator[Page]:
    from v2x.assess.catalogue import find_rule
    from v2x.plan.rules import find_plan_rule

    rule = find_rule(rule_id)
    if rule is not None:
        parts = [(WHAT, _sentence(rule.label)), (WHY, _sentence(f"Known from: {rule.source}")), (DO, rule.remedy)]
        unknown = "; ".join(f"{need.text} {need.how}" for need in rule.needs)
        parts += [("Unknown where", unknown)] if unknown else []
        yield Page(code=rule.id, title=f"a rule of the assessment, {rule.severity}", parts=tuple(parts))
    of_plan = find_plan_rule(rule_id)
    if of_plan is not None:
        why = "v2x plan check compares the plan with itself, its source and its target before anything is done."
        yield Page(
            code=of_plan.id,
            title=f"a rule of v2x plan check, {of_plan.severity}",
            parts=((WHAT, _sentence(of_plan.label)), (WHY, why), (DO, of_plan.remedy)),
        )


def error_classes() -> dict[str, type[V2xError]]:
    """Error codes and their classes, of the whole tree."""
    found: dict[str, type[V2xError]] = {}
    waiting: list[type[V2xError]] = [V2xError]
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.code, kind)
        waiting += kind.__subclasses__()
    return found


def exit_codes() -> dict[int, str]:
    """Each exit code and its meaning in a line."""
    return {int(one.id): one.line for one in causes("exit").values()}
