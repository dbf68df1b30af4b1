# SPDX-License-Identifier: Apache-2.0
"""Whether guests can be put right on this machine."""

from functools import cache

from v2x.convert.guestfs import require_libguestfs
from v2x.errors import V2xError
from v2x.text import printable


@cache
def lacking_tools() -> str:
    try:
        require_libguestfs()
    except V2xError as problem:
        return f"{printable(problem.message, 200)}; {problem.hint}"
    return ""
