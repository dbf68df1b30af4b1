# SPDX-License-Identifier: Apache-2.0
"""MAC addresses: one spelling, and what keeps one from being used on the target."""

import re

_DIGITS = re.compile(r"[0-9a-f]{12}")


def plain_mac(text: str) -> str:
    """`text` in lower case with colons; empty when it is not six pairs of hex digits.

    Takes colons, hyphens, dots and no separators (Hyper-V writes 00155D012345).
    """
    digits = re.sub(r"[:.\-\s]", "", text.lower())
    if not _DIGITS.fullmatch(digits):
        return ""
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def mac_problem(text: str) -> str:
    """Why the address cannot be given to a virtual adapter, as the end of a sentence; empty when it can.

    XAPI stores what it is given and checks neither the multicast bit nor duplicates.
    """
    mac = plain_mac(text)
    if not mac:
        return "is not a MAC address"
    if mac == "00:00:00:00:00:00":
        return "is all zeros"
    if int(mac[:2], 16) & 1:
        return "is a multicast address"
    return ""
