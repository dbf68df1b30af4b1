# SPDX-License-Identifier: Apache-2.0
"""Names that old distributions give their first adapters and controllers: led to the drivers for Xen."""

import re
from collections.abc import Iterator

from v2x.convert.files import text_of
from v2x.convert.interface import Edit, Facts, GuestFiles, Proposal

_FILES = ("/etc/modprobe.conf", "/etc/modules.conf", "/etc/modprobe.conf.local")
_FOLDER = "/etc/modprobe.d"
_ALIAS = re.compile(r"^(\s*alias\s+(?:(eth\d+)|(scsi_hostadapter\d*))\s+)([\w-]+)(?=\s|$)", re.MULTILINE)
_ADAPTERS = {"vmxnet", "vmxnet2", "vmxnet3", "pcnet32", "vlance", "e1000", "e1000e", "hv_netvsc", "netvsc", "tulip"}
_CONTROLLERS = {
    *("mptbase", "mptscsih", "mptspi", "mptsas", "BusLogic", "vmw_pvscsi", "pvscsi", "megaraid_sas"),
    *("ata_piix", "ahci", "nvme", "hv_storvsc", "storvsc", "hv_blkvsc"),
}


def driver_aliases(files: GuestFiles, facts: Facts) -> Proposal:
    """`alias eth0 vmxnet3` and `alias scsi_hostadapter mptspi`: where a kernel has the driver for Xen, its name stands
    in their place. What lists drivers of other makers is left."""
    present = {name for kernel in facts.inspection.kernels for name in (*kernel.modules, *kernel.built_in)}
    folder = [f"{_FOLDER}/{name}" for name in files.listdir(_FOLDER) if name.endswith(".conf")]
    edits = [edit for path in (*_FILES, *folder) for edit in _edit(files, path, present)]
    return Proposal(edits=tuple(edits))


def _edit(files: GuestFiles, path: str, present: set[str]) -> Iterator[Edit]:
    before = text_of(files, path)
    if before is None:
        return

    def replaced(found: re.Match[str]) -> str:
        known, new = (_ADAPTERS, "xen-netfront") if found[2] else (_CONTROLLERS, "xen-blkfront")
        return found[1] + (new if found[4] in known and new in present else found[4])

    after = _ALIAS.sub(replaced, before)
    if after != before:
        yield Edit(path=path, before=before, after=after, why="these names stand for drivers of the old hypervisor")
