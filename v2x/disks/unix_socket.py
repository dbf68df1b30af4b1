# SPDX-License-Identifier: Apache-2.0
"""Where unix sockets lie: a socket's address holds 108 bytes, so that not every temporary folder will do."""

import os
import tempfile


def socket_folder() -> str | None:
    """A folder to make private folders for sockets in; None means the usual one for temporary files."""
    short = len(os.fsencode(tempfile.gettempdir())) < 60
    return None if short else "/tmp"  # noqa: S108  # nosec B108  # a 0700 folder is made in it
