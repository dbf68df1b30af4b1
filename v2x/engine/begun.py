# SPDX-License-Identifier: Apache-2.0
"""Facts of a machine that attempts at it remember, and whether its outage has begun.

Then it goes on, whatever windows and approvals say, since it may be off.
"""

import json

WAS_ON = "was on"
"""A fact of a machine that ran at its source, and was brought down for its migration."""
BROUGHT_BACK = "brought back"
"""A fact of one that was switched on again at its source after a failure; WAS_ON is forgotten then."""

FINALIZED = "finalized"
"""A fact of one whose way back was given up."""


def has_begun(facts_json: str, vm_uuid: str, *, warm: bool) -> bool:
    """Of a warm machine, by what was done at its source; of a cold one, also by what it has on the target."""
    facts = json.loads(facts_json)
    if WAS_ON in facts:
        return True
    return not warm and bool(vm_uuid) and BROUGHT_BACK not in facts
