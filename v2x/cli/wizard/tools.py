# SPDX-License-Identifier: Apache-2.0
"""Whether guests can be put right from here."""

from dataclasses import replace
from functools import cache

from v2x.cli.wizard.talk import Talk
from v2x.convert.guestfs import require_libguestfs
from v2x.errors import V2xError
from v2x.model.machine import Machine
from v2x.text import printable


@cache
def lacking_tools() -> str:
    try:
        require_libguestfs()
    except V2xError as problem:
        return f"{printable(problem.message, 200)}; {problem.hint}"
    return ""


def why_not_converted(talk: Talk, machine: Machine) -> str:
    """Why the guest of a machine cannot be put right on its way; empty where it can, as far as is known before."""
    lacking = lacking_tools()
    if lacking or talk.listed.source.kind != "vsphere":
        return lacking
    from v2x.sources.vsphere.transports.choose import outlook

    kinds = {store.name: store.kind for store in talk.listed.datastores}
    options = replace(talk.app.vsphere.transport, at_random=True)
    forward = [label for label, how in outlook(machine, kinds, options) if how.startswith("nfc:")]
    return f"{', '.join(forward)} can only be read from start to end here (docs/conversion.md)" if forward else ""
