# SPDX-License-Identifier: Apache-2.0
"""Encryption inside Linux."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    volumes = context.machine.guest.volumes
    locked = [
        volume
        for volume in volumes
        if "luks" in volume.filesystem.casefold() or "crypt" in volume.filesystem.casefold()
    ]
    for volume in locked:
        yield Remark("The volume is encrypted.", volume.path)
    if context.family == "linux" and not locked:
        yield Unknown(
            "Whether Linux encrypts its disks is not known.", "Run lsblk -f in the guest and look for crypto_LUKS."
        )


RULE = MachineRule(
    id="guest.disk-encryption",
    severity=Severity.INFO,
    label="Disks that Linux encrypts itself need their passphrase at the console",
    remedy="Have the passphrase at hand: keys in a TPM or behind Clevis of the old hardware do not open them.",
    source="LUKS keys sealed to a TPM are bound to it; Forklift: LUKS and Clevis",
    check=check,
)
