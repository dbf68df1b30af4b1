# SPDX-License-Identifier: Apache-2.0
"""Whether a machine's outage has begun: then it goes on, whatever windows and approvals say, since it may be off."""

import json

from v2x.engine.memory import BROUGHT_BACK, WAS_ON


def has_begun(facts_json: str, vm_uuid: str, *, warm: bool) -> bool:
    """Of a warm machine, by what was done at its source; of a cold one, also by what it has on the target."""
    facts = json.loads(facts_json)
    if WAS_ON in facts:
        return True
    return not warm and bool(vm_uuid) and BROUGHT_BACK not in facts
