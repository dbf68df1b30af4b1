# SPDX-License-Identifier: Apache-2.0
"""A disk larger than a VHD can be."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import GIB


def check(context: Context) -> Iterator[Remark]:
    low, high = context.limit("vhd_max_bytes"), context.limit("qcow2_max_bytes")
    for disk in context.machine.disks:
        if low < disk.capacity_bytes <= high:
            yield Remark(f"{-(-disk.capacity_bytes // GIB):,} GiB; a VHD ends at {low // GIB:,} GiB.", disk_name(disk))


RULE = MachineRule(
    id="disk.too-large-for-vhd",
    severity=Severity.WARNING,
    label="A disk is too large for a VHD and becomes a QCOW2 image",
    remedy=(
        "Choose a storage repository that holds QCOW2 images (ext, nfs, lvm, lvmoiscsi or lvmohba on an "
        "updated XCP-ng 8.3)."
    ),
    source="xen-api ocaml/xapi-consts/constants.ml: 2040 GiB; XCP-ng documentation, storage/qcow2_faq",
    always_known=LISTED,
    check=check,
)
