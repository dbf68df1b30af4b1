# SPDX-License-Identifier: Apache-2.0
"""Answers that several rules give where a fact of one machine is missing."""

from v2x.assess.rule import Unknown

SYSTEM = Unknown(
    "The guest operating system is not known.",
    "Name it at the source (guest OS), or start the machine once with its tools running.",
)
RELEASE = Unknown(
    "It depends on the release of the pool, which is not known.",
    "Assess with --target xapi://USER@HOST: the pool is asked, and nothing is changed there.",
)
FIRMWARE = Unknown(
    "The source does not say whether the guest boots by BIOS or UEFI.",
    "Look it up in the guest (msinfo32, or whether /sys/firmware/efi is there).",
)
POWER = Unknown(
    "The source does not tell whether the machine is running, off or suspended.",
    "Repair the machine's connection at the source, then take the inventory again.",
    decides=True,
)
