# SPDX-License-Identifier: Apache-2.0
"""The page that lists every rule, made from the rules themselves.

python -m v2x.assess.catalogue > docs/rules.md
"""

import sys

from v2x.assess.engine import rules
from v2x.assess.rule import EstateRule, Rule
from v2x.model.finding import Severity

_HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Made by `python -m v2x.assess.catalogue`; a test keeps it in step with the rules. -->
# Rules of the assessment

`v2x assess` asks these {count} rules about every machine of an inventory. They read saved facts only, connect to
nothing and change nothing. A rule that lacks a fact says so and how to get it; it never counts as passed. Without
`--target` that is so for every rule about the pool. [rules-coverage.md](rules-coverage.md) compares them with the
checks of other tools.

| Severity | Meaning |
|---|---|
| blocker | the machine cannot be moved, or would not start, as it is; the remedy says what to change |
| warning | the machine can be moved, but something is lost or has to be done by a person |
| note | worth knowing; nothing breaks |
| unknown | a fact is missing; the finding names it and how to get it |

`v2x assess --fail-on blocker` (or `warning`) ends with exit code 3 when there is a finding of that weight.

| Rule | Severity | What it says |
|---|---|---|
"""

_WORDS = {Severity.BLOCKER: "blocker", Severity.WARNING: "warning", Severity.INFO: "note"}
_SOURCES = {"vsphere": "vSphere", "hyperv": "Hyper-V", "rvtools": "RVTools exports"}


def rules_page() -> str:
    """docs/rules.md."""
    every = list(rules())
    lines = [f"| [{rule.id}](#{rule.anchor}) | {_WORDS[rule.severity]} | {_cell(rule.label)} |" for rule in every]
    return _HEAD.format(count=len(every)) + "\n".join(lines) + "\n\n" + "\n".join(map(rule_text, every))


def rule_text(rule: Rule) -> str:
    """One rule as Markdown; also what `v2x explain` prints."""
    about = "the whole inventory" if isinstance(rule, EstateRule) else "each machine"
    return (
        f'<a id="{rule.anchor}"></a>\n\n'
        f"## {rule.id}\n\n"
        f"**{rule.label}** ({_WORDS[rule.severity]}, asked about {about})\n\n"
        f"What to do: {_cell(rule.remedy)}\n\n"
        f"{_asked(rule)}"
        f"Source: {_cell(rule.source)}\n"
    )


def _asked(rule: Rule) -> str:
    """Of which sources a rule is asked, and what it cannot do without."""
    lines = []
    if rule.sources:
        lines.append(f"Asked of: {', '.join(sorted(_SOURCES[source] for source in rule.sources))}")
    if rule.needs:
        lines.append("Unknown where: " + "; ".join(_lower(need.text[:-1]) for need in rule.needs))
    if rule.always_known:
        lines.append(f"Never unknown: {_cell(rule.always_known)}")
    return "".join(f"{line}\n\n" for line in lines)


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def find_rule(rule_id: str) -> Rule | None:
    """The rule with this id, or None."""
    return next((rule for rule in rules() if rule.id == rule_id), None)


def _cell(text: str) -> str:
    """`text` with the signs that Markdown would read as its own."""
    for sign in ("\\", "|", "*", "<"):
        text = text.replace(sign, "\\" + sign)
    return text


if __name__ == "__main__":
    sys.stdout.write(rules_page())
