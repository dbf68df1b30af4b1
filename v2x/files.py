# SPDX-License-Identifier: Apache-2.0
"""The single door to small files that must appear whole or not at all: plans, reports, inventories."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Writes `data` beside `path`, syncs it and gives it the name. OSError leaves what was there before.

    `mode` is what the umask leaves of it; a symbolic link in the way of the temporary name is never followed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
