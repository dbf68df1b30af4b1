# SPDX-License-Identifier: Apache-2.0
"""BitLocker."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    volumes = context.machine.guest.volumes
    locked = [volume for volume in volumes if "bitlocker" in volume.filesystem.casefold()]
    for volume in locked:
        yield Remark("The volume is encrypted.", volume.path)
    if context.family == "windows" and not locked:
        yield Unknown("Whether BitLocker is on is not known.", "Run manage-bde -status in the guest.")


RULE = MachineRule(
    id="guest.bitlocker",
    severity=Severity.WARNING,
    label="BitLocker may ask for its recovery key",
    remedy=(
        "Suspend BitLocker in the guest before the last shutdown (manage-bde -protectors -disable C:), or have the "
        "recovery key at hand."
    ),
    source="Microsoft: BitLocker seals its key to the firmware and TPM that it was made on",
    check=check,
)
