# SPDX-License-Identifier: Apache-2.0
"""fstab and crypttab: what is mounted and unlocked at boot, by names that stay."""

import re
from collections.abc import Iterator

from v2x.convert.device_names import DeviceNames, names_no_disk
from v2x.convert.files import text_of
from v2x.convert.interface import Edit, Facts, GuestFiles, Proposal


def device_tables(files: GuestFiles, facts: Facts) -> Proposal:
    """fstab's first field and crypttab's second are renamed; comments, spacing and other fields stay as they are."""
    names = DeviceNames(files, facts)
    edits = (*_edit(files, "/etc/fstab", 0, names), *_edit(files, "/etc/crypttab", 1, names))
    return Proposal(edits=edits, remarks=tuple(names.remarks("fstab or crypttab")))


def _edit(files: GuestFiles, path: str, field: int, names: DeviceNames) -> Iterator[Edit]:
    before = text_of(files, path)
    if before is None:
        return
    after = "".join(_line(line, field, names) for line in before.splitlines(keepends=True))
    if after != before:
        yield Edit(path=path, before=before, after=after, why="disks have other names on Xen; a UUID stays the same")


def _line(line: str, field: int, names: DeviceNames) -> str:
    if names_no_disk(line):
        return line
    words = re.split(r"(\s+)", line)
    places = [place for place, word in enumerate(words) if word.strip()]
    if field < len(places):
        words[places[field]] = names.renamed(words[places[field]])
    return "".join(words)
