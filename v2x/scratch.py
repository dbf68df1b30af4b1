# SPDX-License-Identifier: Apache-2.0
"""The single door to private folders for a while: overlays, sockets, the working folders of programs.

A program that is killed leaves its folders behind; the next one that needs a folder in the same place removes them.
What tells them apart is a lock on the folder, of which the system lets go whatever ends the program. The name carries
this machine's, since on a file system that several machines share each of them may see its own locks only.
"""

import atexit
import contextlib
import fcntl
import os
import shutil
import socket
import stat
import tempfile
import threading
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

_swept: set[Path] = set()
_guard = threading.Lock()


def _prefix(purpose: str = "") -> str:
    return f"v2x-{zlib.crc32(socket.gethostname().encode()):08x}-{purpose}"


@contextlib.contextmanager
def scratch_folder(purpose: str, parent: Path | str | None = None) -> Iterator[Path]:
    """An empty folder of mode 0700 in `parent` (default: the usual one for temporary files), removed at the end.

    OSError where there is no room for it.
    """
    place = Path(parent or tempfile.gettempdir())
    with _guard:
        first = place not in _swept
        _swept.add(place)
    if first:
        sweep(place)
    folder, lock = _made(place, purpose)
    remove = partial(_remove, folder, lock)
    atexit.register(remove)  # for a program that ends within the block
    try:
        yield folder
    finally:
        atexit.unregister(remove)
        remove()


def _remove(folder: Path, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)


def _made(place: Path, purpose: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_prefix(f"{purpose}-"), dir=place))
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # another program swept it away in the moment before it was locked
        with contextlib.suppress(OSError):  # a file system without locks on folders: nobody else gets one either
            fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder, lock
        os.close(lock)


def sweep(place: Path | None = None) -> int:
    """Removes the folders that killed programs of this user left in `place`; returns how many there were."""
    place = place or Path(tempfile.gettempdir())
    try:
        found = sorted(place.glob(f"{_prefix()}*"))
    except OSError:
        return 0
    return sum(map(_removed, found))


def _removed(folder: Path) -> bool:
    """Whether it was nobody's any more, and went."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        held = os.fstat(lock)
        if held.st_uid != os.geteuid() or stat.S_IMODE(held.st_mode) != 0o700:
            return False
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()
    except OSError:
        return False
    finally:
        os.close(lock)
