# SPDX-License-Identifier: Apache-2.0
"""Files of Windows hosts and file servers over SMB 3: signed, encrypted by default, read only."""

from v2x.disks.smb.connection import SmbAccess
from v2x.disks.smb.listing import SmbFiles, SmbFolder
from v2x.disks.smb.paths import ShareRule, UncPath, parse_rule, parse_unc, places_of
from v2x.disks.smb.server import SmbServers
from v2x.disks.smb.source import SmbSource

__all__ = [
    "ShareRule",
    "SmbAccess",
    "SmbFiles",
    "SmbFolder",
    "SmbServers",
    "SmbSource",
    "UncPath",
    "parse_rule",
    "parse_unc",
    "places_of",
]
