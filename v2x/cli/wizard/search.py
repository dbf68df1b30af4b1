# SPDX-License-Identifier: Apache-2.0
"""Finds lines of a list by what is typed."""

from collections.abc import Sequence


def folded(text: str) -> str:
    """Without case and blanks: a blank marks a line in lists, and cannot be typed."""
    return "".join(text.casefold().split())


def matches(typed: str, labels: Sequence[str]) -> list[int]:
    """The indexes of the labels that hold `typed`, those that begin with it first; all for an empty text."""
    wanted = folded(typed)
    found = [n for n, label in enumerate(labels) if wanted in folded(label)]
    return sorted(found, key=lambda n: not folded(labels[n]).startswith(wanted)) if wanted else found
