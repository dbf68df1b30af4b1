# SPDX-License-Identifier: Apache-2.0
"""Mapping: from the machine of a source to the machine to make; pure, knows the nouns only."""

from v2x.mapping.rows import Family, GuestOsRow, LimitRow
from v2x.mapping.tables import Tables, load_tables

__all__ = ["Family", "GuestOsRow", "LimitRow", "Tables", "load_tables"]
