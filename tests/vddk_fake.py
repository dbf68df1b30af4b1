# SPDX-License-Identifier: Apache-2.0
"""A stand-in for nbdkit's vddk plugin, run by nbdkit's python plugin: checks what it is given, serves a raw file.

Its parameter `play` names a JSON file: `disk` the raw file, `expect` the parameters that must come (a value of null
means: must not come; one that ends with * is a beginning), `password`, `log` a file that takes one line per event, and
`faults`: `open` and `read` are lists of texts, one per failure, taken from the front; an empty text means that this one
succeeds.
"""

import errno
import fcntl
import json
import os
import sys
from pathlib import Path

import nbdkit

API_VERSION = 2
BLOCK = 65536

given = {}
play = {}


def config(key, value):
    if key in given:
        refuse(f"parameter {key} was given twice")
    given[key] = value


def config_complete():
    play.update(json.loads(Path(given.pop("play")).read_text()))
    source = given.pop("password", "")
    if not source.startswith("-") or not source[1:].isdigit():
        refuse("password= must be -FD")
    with os.fdopen(int(source[1:])) as pipe:
        word = pipe.readline().rstrip("\n")
    if word in Path("/proc/self/cmdline").read_text():
        refuse("the password stands on the command line")
    if word in json.dumps(dict(os.environ)):
        refuse("the password stands in the environment")
    note({"given": given, "word": word == play["password"]})
    for key, value in play["expect"].items():
        begins = isinstance(value, str) and value.endswith("*") and str(given.get(key)).startswith(value[:-1])
        if given.get(key) != value and not begins:
            refuse(f"{key} is {given.get(key)!r}, not {value!r}")
    unknown = set(given) - set(play["expect"])
    if unknown:
        refuse(f"unknown parameter {unknown}")
    given["_right"] = word == play["password"]


def note(event):
    with Path(play["log"]).open("a") as log:
        log.write(json.dumps(event) + "\n")


def fault(kind):
    """The next planned failure of this kind, shared by all processes that play."""
    with Path(f"{play['log']}.{kind}").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        done = len(file.read())
        file.write(".")
    texts = play.get("faults", {}).get(kind, [])
    return texts[done] if done < len(texts) else ""


def open(readonly):
    note({"open": bool(readonly)})
    if not given["_right"]:
        refuse("VixDiskLib_ConnectEx: Cannot complete login due to an incorrect user name or password.")
    text = fault("open")
    if text:
        refuse(text)
    return {"fd": os.open(play["disk"], os.O_RDONLY)}


def refuse(text):
    """Says it as the real plugin does; what nbdkit makes of the exception comes after it."""
    print(f"nbdkit: vddk[1]: error: {text}", file=sys.stderr, flush=True)
    raise RuntimeError


def get_size(handle):
    return play.get("size") or os.fstat(handle["fd"]).st_size


def pread(handle, buffer, offset, flags):
    if len(buffer) > 2 << 20 or offset % 512 or len(buffer) % 512:
        refuse(f"a read of {len(buffer)} bytes at {offset}")
    text = fault("read")
    if text == "die":
        os._exit(3)
    if text:
        nbdkit.set_error(errno.EIO)
        refuse(text)
    buffer[:] = os.pread(handle["fd"], len(buffer), offset)


def can_extents(handle):
    return True


def extents(handle, count, offset, flags):
    note({"extents": [offset, count]})
    found = []
    at = offset // BLOCK * BLOCK
    while at < offset + count:
        data = any(os.pread(handle["fd"], BLOCK, at))
        length = min(BLOCK, get_size(handle) - at)
        found.append((at, length, 0 if data else nbdkit.EXTENT_HOLE | nbdkit.EXTENT_ZERO))
        at += BLOCK
    return found


def close(handle):
    os.close(handle["fd"])


print("fake vddk loaded", file=sys.stderr)
