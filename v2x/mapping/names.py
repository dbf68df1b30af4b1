# SPDX-License-Identifier: Apache-2.0
"""Text of a source made fit for names and notes on a target."""

import unicodedata

_KEPT_CONTROLS = "\n\t"
# Overrides of the writing direction make a name look like another one.
_DIRECTION_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_text(text: str) -> str:
    """`text` without what XML-RPC or a reader cannot bear: controls but for line ends and tabs, surrogates,
    noncharacters and direction overrides.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(char for char in plain if char in _KEPT_CONTROLS or not _is_unsafe(char))


def _is_unsafe(char: str) -> bool:
    return (
        unicodedata.category(char) in ("Cc", "Cs")
        or char in _DIRECTION_OVERRIDES
        or ord(char) & 0xFFFE == 0xFFFE
        or 0xFDD0 <= ord(char) <= 0xFDEF
    )


def clean_name(text: str) -> str:
    """`text` as one line without controls and without blanks around it."""
    return " ".join(clean_text(text).split())
