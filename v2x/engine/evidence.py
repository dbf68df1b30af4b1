# SPDX-License-Identifier: Apache-2.0
"""An archive that shows what a wave of a batch did, and can be checked without v2x's state: zip, SHA-256 and JSON.

`MANIFEST` has the SHA-256 and name of every other member, one a line, as sha256sum writes and checks them.
`events.jsonl` is the whole log of the state up to now, since a chain with parts left out could not be checked.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from v2x.engine.journal import GENESIS, Entry, chained
from v2x.errors import InputRefused
from v2x.model.codec import to_json
from v2x.model.migration import Report
from v2x.model.units import MIB

MANIFEST = "MANIFEST"
EVENTS = "events.jsonl"
_MOST_BYTES = 1024 * MIB


def event_line(entry: Entry) -> str:
    """One event as a line of JSON: its hash, that of the one before, and its text."""
    return json.dumps(
        {"hash": entry.hash, "previous": entry.previous, "body": entry.body}, ensure_ascii=False, separators=(",", ":")
    )


def evidence(report: Report, entries: Iterable[Entry], members: Mapping[str, bytes], made: datetime) -> bytes:
    """The archive: the report, its digests, the events, and `members` (such as the plan and a page to read)."""
    whole = {
        "report.json": to_json(report),
        EVENTS: "".join(f"{event_line(entry)}\n" for entry in entries).encode(),
        **members,
    }
    manifest = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(whole.items()))
    packed = io.BytesIO()
    stamp = made.timetuple()[:6]
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [(MANIFEST, manifest.encode()), *sorted(whole.items())]:
            archive.writestr(zipfile.ZipInfo(name, date_time=stamp), data, compress_type=zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def of_wave(report: Report, ids: Iterable[str]) -> Report:
    """The report with only these migrations."""
    wanted = set(ids)
    return replace(report, migrations=tuple(one for one in report.migrations if one.id in wanted))


def check_evidence(data: bytes) -> int:
    """Checks an archive and returns how many events it holds. InputRefused names what does not hold."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(one.file_size for one in archive.infolist()) > _MOST_BYTES:
                raise InputRefused("the archive is larger than any evidence", code="EVIDENCE", hint="ask who made it")
            held = {one.filename: archive.read(one) for one in archive.infolist()}
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as problem:
        raise _broken(f"it is no whole archive ({problem})") from None
    manifest = held.pop(MANIFEST, b"").decode(errors="replace").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in manifest)}
    if not listed or set(listed) != set(held):
        raise _broken("its manifest does not name exactly what is in it")
    for name, data_of in held.items():
        if hashlib.sha256(data_of).hexdigest() != listed[name]:
            raise _broken(f"{name} was changed")
    return _checked_chain(held.get(EVENTS, b""))


def _checked_chain(lines: bytes) -> int:
    previous, count = GENESIS, 0
    for line in lines.decode(errors="replace").splitlines():
        count += 1
        try:
            event = json.loads(line)
        except ValueError:
            raise _broken(f"event {count} is no JSON") from None
        if not isinstance(event, dict) or event.get("previous") != previous:
            raise _broken(f"what comes before event {count} was left out or changed")
        if chained(previous, str(event.get("body"))) != event.get("hash"):
            raise _broken(f"event {count} was changed")
        previous = event["hash"]
    return count


def _broken(what: str) -> InputRefused:
    return InputRefused(f"this evidence does not hold: {what}", code="EVIDENCE", hint="take it again from its source")
