# SPDX-License-Identifier: Apache-2.0
"""What the programs and servers that v2x works with say when they fail, and what it means: a cause and a remedy each.

One TOML file for each of them; a row is found by the code, the type of the fault or the number that it answers with,
or, for programs that only print, by a pattern. Anyone may ask here; nothing else of v2x is needed but its errors.
"""

from v2x.causes.catalogue import FAMILIES, Cause, Family, cause, causes, found_in, remedy, said_by

__all__ = ["FAMILIES", "Cause", "Family", "cause", "causes", "found_in", "remedy", "said_by"]
