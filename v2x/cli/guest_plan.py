# SPDX-License-Identifier: Apache-2.0
"""How an intended conversion of a guest is shown: every edit as a difference, every command, every remark."""

from collections.abc import Iterator
from typing import Any

from v2x.convert.interface import Conversion, Edit
from v2x.render.guest_changes import difference
from v2x.text import printable


def document_of(conversion: Conversion) -> dict[str, Any]:
    """As plain data for --json; text that is no UTF-8 is shown with escapes."""
    inspection, proposal = conversion.inspection, conversion.proposal
    return {
        "guest": {
            "os": inspection.os,
            "distro": printable(inspection.distro),
            "version": printable(inspection.version),
            "name": printable(inspection.name),
            "family": inspection.family.value,
            "init": inspection.init,
            "package_manager": inspection.package_manager,
            "boot_loader": inspection.boot_loader.value,
            "initramfs": inspection.initramfs.value,
            "root_device": printable(inspection.root_device),
            "kernels": [printable(kernel.version) for kernel in inspection.kernels],
            **{name: getattr(inspection, name) for name in ("efi", "lvm", "luks", "btrfs", "zfs", "selinux")},
        },
        "edits": [
            {
                "path": one.path,
                "before": _valid(one.before),
                "after": _valid(one.after),
                "link": one.link,
                "why": one.why,
            }
            for one in proposal.edits
        ],
        "copies": [{"path": one.path, "to": one.to, "why": one.why} for one in proposal.copies],
        "commands": [
            {
                "argv": list(one.argv),
                "why": one.why,
                "copies": [{"path": kept.path, "to": kept.to} for kept in one.copies],
            }
            for one in proposal.commands
        ],
        "remarks": [{"text": one.text, "remedy": one.remedy} for one in proposal.remarks],
    }


def text_of(conversion: Conversion) -> str:
    """As lines for a person."""
    return "\n".join(_lines(conversion))


def _lines(conversion: Conversion) -> Iterator[str]:
    inspection, proposal = conversion.inspection, conversion.proposal
    yield f"guest    {printable(inspection.name or inspection.distro) or 'unknown'}"
    if inspection.os:
        yield f"built by {inspection.initramfs.value}, started by {inspection.boot_loader.value}"
    for edit in proposal.edits:
        yield ""
        yield f"edit     {printable(edit.path)}"
        yield f"         {edit.why}"
        yield from (f"         {printable(line)}" for line in _difference(edit))
    for copy in (*proposal.copies, *(one for command in proposal.commands for one in command.copies)):
        yield ""
        yield f"copy     {printable(copy.path)}"
        yield f"         to {printable(copy.to)}: {copy.why}"
    for command in proposal.commands:
        yield ""
        yield f"run      {printable(' '.join(command.argv))}"
        yield f"         {command.why}"
    for remark in proposal.remarks:
        yield ""
        yield f"note     {printable(remark.text, 1000)}"
        if remark.remedy:
            yield f"         {printable(remark.remedy, 1000)}"
    if conversion.changes_nothing:
        yield ""
        yield "nothing would be changed"


def _difference(edit: Edit) -> Iterator[str]:
    if edit.link:
        yield f"link to {edit.after}" if edit.after is not None else "removed"
        return
    if edit.after == "":
        yield "an empty file"
    yield from difference(edit.before or "", edit.after or "")


def _valid(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
