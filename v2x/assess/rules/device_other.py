# SPDX-License-Identifier: Apache-2.0
"""Any other device."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity

_SPOKEN_OF_OR_REPLACED = frozenset(
    {
        "passthrough",
        "vgpu",
        "usb",
        "serial",
        "parallel",
        "floppy",
        "sound",
        "video",
        "tpm",
        "usb_controller",
        "watchdog",
        "nvdimm",
        "pmem",
        "persistent_memory",
        "fibre_channel",
        "hba",
    }
)


def check(context: Context) -> Iterator[Remark]:
    for device in context.machine.devices:
        if device.kind not in _SPOKEN_OF_OR_REPLACED:
            yield Remark(f"A device of the kind “{device.kind}”.", device.label)


RULE = MachineRule(
    id="device.other",
    severity=Severity.INFO,
    label="A device is not carried over",
    remedy="Check whether the guest needs it.",
    source="XCP-ng gives machines disks, a CD drive, network cards, a display, and a virtual TPM",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
