# SPDX-License-Identifier: Apache-2.0
import io
import zipfile
from datetime import UTC, datetime

import pytest

from v2x.engine import journal
from v2x.engine.evidence import EVENTS, MANIFEST, check_evidence, evidence, of_wave
from v2x.errors import InputRefused
from v2x.model.migration import Migration, Report

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def report():
    made = [
        Migration(id=f"t{n}", machine_id="m", machine_name="web", target_name="w", source="s", target="t")
        for n in (1, 2)
    ]
    return Report(id="r", created=NOW, version="1", migrations=tuple(made))


@pytest.fixture
def entries(estate):
    store = estate.store()
    for number in range(4):
        with store.exclusive("events") as connection:
            journal.append(connection, "b", "r", {"kind": "phase", "text": f"é{number}"})
    with store.reading() as connection:
        return list(journal.read(connection))


def changed(data, name, change):
    """The archive with one member changed and, unless that is it, a manifest that fits again."""
    import hashlib

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        held = {one.filename: archive.read(one) for one in archive.infolist()}
    held[name] = change(held[name])
    if name != MANIFEST:
        rest = sorted((key, value) for key, value in held.items() if key != MANIFEST)
        held[MANIFEST] = "".join(f"{hashlib.sha256(value).hexdigest()}  {key}\n" for key, value in rest).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for key, value in held.items():
            archive.writestr(key, value)
    return packed.getvalue()


def test_an_archive_holds_and_is_the_same_every_time(entries):
    data = evidence(report(), entries, {"plan.csv": b"x"}, NOW)
    assert check_evidence(data) == 4
    assert data == evidence(report(), entries, {"plan.csv": b"x"}, NOW)
    assert [one.id for one in of_wave(report(), ["t2"]).migrations] == ["t2"]


def test_what_was_changed_is_named(entries):
    data = evidence(report(), entries, {}, NOW)
    with pytest.raises(InputRefused, match="event 2 was changed"):
        check_evidence(changed(data, EVENTS, lambda text: text.replace("é1".encode(), b"\xc3\xa99")))
    with pytest.raises(InputRefused, match="before event 2"):
        check_evidence(changed(data, EVENTS, lambda text: b"".join(text.splitlines(True)[::2])))
    with pytest.raises(InputRefused, match="manifest"):
        check_evidence(changed(data, MANIFEST, lambda _text: b""))
    with pytest.raises(InputRefused, match=r"report\.json was changed"):
        check_evidence(changed(data, MANIFEST, swapped))
    at = data.index(b"report.json") + 40
    flipped = data[:at] + bytes(byte ^ 0xFF for byte in data[at : at + 40]) + data[at + 40 :]
    for broken in (b"", b"PK\x03\x04", data[:-30], data[: len(data) // 2], flipped):
        with pytest.raises(InputRefused):
            check_evidence(broken)


def swapped(text):
    """A manifest whose digest of the report is another one."""
    lines = [b"0" * 64 + line[64:] if line.endswith(b"report.json\n") else line for line in text.splitlines(True)]
    return b"".join(lines)


@pytest.mark.parametrize("line", [b"no json\n", b"[]\n", b'{"previous": 1}\n', b"\xff\xfe\n"])
def test_events_that_are_none(entries, line):
    with pytest.raises(InputRefused, match="does not hold"):
        check_evidence(changed(evidence(report(), entries, {}, NOW), EVENTS, lambda _text: line))
