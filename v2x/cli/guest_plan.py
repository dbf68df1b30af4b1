# SPDX-License-Identifier: Apache-2.0
"""How an intended conversion of a guest is shown: every edit as a difference, every command, every remark."""

from collections.abc import Iterator
from typing import Any

from v2x.convert.interface import Conversion, Edit
from v2x.convert.registry import shown
from v2x.render.guest_changes import difference
from v2x.text import plural, printable


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
        "registry": [
            {"place": one.place, "before": shown(one)[0], "after": shown(one)[1], "why": one.why}
            for one in proposal.registry
        ],
        "removals": [{"path": one.path, "why": one.why} for one in proposal.removals],
        "additions": [{"source": str(one.source), "to": one.to, "why": one.why} for one in proposal.additions],
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
        "refusals": [{"code": one.code, "text": one.text, "remedy": one.remedy} for one in proposal.refusals],
    }


def text_of(conversion: Conversion) -> str:
    """As lines for a person."""
    return "\n".join(_lines(conversion))


def _lines(conversion: Conversion) -> Iterator[str]:
    inspection, proposal = conversion.inspection, conversion.proposal
    yield f"guest    {printable(inspection.name or inspection.distro) or 'unknown'}"
    if inspection.os == "linux":
        yield f"built by {inspection.initramfs.value}, started by {inspection.boot_loader.value}"
    for removal in proposal.removals:
        yield ""
        yield f"remove   {printable(removal.path)}"
        yield f"         {removal.why}"
    for edit in proposal.edits:
        yield ""
        yield f"edit     {printable(edit.path)}"
        yield f"         {edit.why}"
        yield from (f"         {printable(line)}" for line in _difference(edit))
    for change in proposal.registry:
        before, after = shown(change)
        yield ""
        yield f"registry {printable(change.place, 300)}"
        yield f"         {before or 'none'} becomes {after or 'none'}: {change.why}"
    for addition in proposal.additions:
        yield ""
        yield f"put      {printable(str(addition.source))}"
        yield f"         to {printable(addition.to)}: {addition.why}"
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
    for refusal in proposal.refusals:
        yield ""
        yield f"refused  {printable(refusal.text, 1000)} [{refusal.code}]"
        yield f"         {printable(refusal.remedy, 1000)}"
    if conversion.changes_nothing and not proposal.refusals:
        yield ""
        yield "nothing would be changed"


def _difference(edit: Edit) -> Iterator[str]:
    if edit.link:
        yield f"link to {edit.after}" if edit.after is not None else "removed"
        return
    if edit.private and edit.before is None:
        yield f"a new file of {plural(len((edit.after or '').splitlines()), 'line')}, which --json shows"
        return
    if edit.after == "":
        yield "an empty file"
    yield from difference(edit.before or "", edit.after or "")


def _valid(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
