# SPDX-License-Identifier: Apache-2.0
"""Pages of `v2x explain` for guests that are not converted as they are."""

GUEST_PAGES = {
    "BITLOCKER-KEY": "None of the recovery keys that were given (--bitlocker-key-file, --bitlocker-ask, or "
    "bitlocker_key_files in [guest] of v2x.toml) opens the guest's volume. A recovery key has 48 digits in eight "
    "groups with dashes; at the source, manage-bde -protectors -get C: shows it, and a directory may keep it. "
    "Nothing was changed.",
    "WINDOWS-BITLOCKER": "BitLocker protects the volume with Windows, and its key is sealed in the source's "
    "TPM, which never moves: on the pool Windows would stop and ask for the recovery key. Suspend protection at "
    "the source with manage-bde -protectors -disable C: -rc 0 (without -rc 0 it is back after one restart) and "
    "shut down; the first boot switches it on again where the machine has a TPM. Or give the recovery key with "
    "--bitlocker-key-file, for a batch with bitlocker_key_files in [guest] of v2x.toml where it runs, and have it at "
    "hand at the first boot. Nothing was changed, and a machine that is on "
    "the pool already stays blocked.",
    "WINDOWS-HIBERNATED": "Windows keeps the state of its memory in hiberfil.sys and would wake up with it on "
    "other hardware, and on disks that were changed meanwhile. Fast Startup does this at every shutdown from "
    "the menu. Start it at the source, run shutdown /s /t 0, and try again. --clean-hibernation, or "
    "clean-hibernation in a plan's column guest, throws that state away instead; what was not saved in it is lost.",
    "WINDOWS-UNCLEAN": "Windows was not shut down: the journal of its file system is not empty, or its "
    "registry was being written. It would play its logs over what is edited. A snapshot of a running machine is "
    "always like this. Shut it down in the guest (shutdown /s /t 0), or have v2x do it (--running shutdown), "
    "and try again.",
}
