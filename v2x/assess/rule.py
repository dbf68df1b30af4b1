# SPDX-License-Identifier: Apache-2.0
"""What a rule is: a constant description and a pure check."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from v2x.assess.context import Context, Estate
from v2x.assess.needs import Need
from v2x.model.finding import Severity


class Remark(NamedTuple):
    """What a check says of one machine; `subject` names the part, for instance a disk, or is empty."""

    text: str
    subject: str = ""


class Unknown(NamedTuple):
    """A fact that a check lacks: `text` says which, `how` how to get it; both the same for all machines.

    `decides` says that without it nobody can say whether the machine can be moved: its verdict is then unknown.
    """

    text: str
    how: str
    decides: bool = False
    subject: str = ""


Said = Remark | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The constant part of a rule.

    `label` and `remedy` are the same sentence for every machine, so that a report can group by them; `source` says
    where the fact behind the rule is written. What the rule cannot be asked without are its `needs`: where one is not
    met, the rule is unknown for the whole inventory. `always_known` says why no fact can be lacking, for rules that
    have no needs and never answer Unknown. `sources` are the kinds of source that it is asked of, none meaning all.
    """

    id: str
    severity: Severity
    label: str
    remedy: str
    source: str
    needs: tuple[Need, ...] = ()
    always_known: str = ""
    sources: frozenset[str] = frozenset()

    @property
    def anchor(self) -> str:
        """The anchor of this rule in docs/rules.md."""
        return self.id.replace(".", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRule(Rule):
    """A rule asked once for each machine; it speaks as often as it has something to say."""

    check: Callable[[Context], Iterator[Said]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EstateRule(Rule):
    """A rule asked once for the whole inventory."""

    check: Callable[[Estate], Iterator[Said]]
