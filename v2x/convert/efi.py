# SPDX-License-Identifier: Apache-2.0
"""The loader that firmware starts when it remembers none: the machine's NVRAM, and its boot entries, stay behind."""

from v2x.convert.interface import Facts, FileCopy, GuestFiles, Proposal, Remark

_PARTITIONS = ("/boot/efi/EFI", "/efi/EFI", "/boot/EFI")
_FALLBACK = "BOOTX64.EFI"
_WHY = "firmware without boot entries starts \\EFI\\BOOT\\BOOTX64.EFI, and there was none"
# In order of preference; each with the programs that it loads from its own folder.
_LOADERS = (
    ("shimx64.efi", ("grubx64.efi", "mmx64.efi")),
    ("grubx64.efi", ()),
    ("systemd-bootx64.efi", ()),
)


def fallback_loader(files: GuestFiles, facts: Facts) -> Proposal:
    """Copies the distribution's own loader, with what it loads; one that is there already is left alone."""
    root = next((path for path in _PARTITIONS if files.exists(path)), None)
    if root is None:
        return Proposal()
    folders = files.listdir(root)
    boot = next((name for name in folders if name.upper() == "BOOT"), "BOOT")
    present = {name.upper() for name in files.listdir(f"{root}/{boot}")}
    if _FALLBACK in present:
        return Proposal()
    others = [name for name in folders if name.upper() != "BOOT"]
    preferred = sorted(others, key=lambda name: (name.lower() != facts.inspection.distro.lower(), name))
    for loader, companions in _LOADERS:
        for folder in preferred:
            names = {name.lower(): name for name in files.listdir(f"{root}/{folder}")}
            if loader not in names:
                continue
            wanted = [(names[loader], _FALLBACK)]
            wanted += [(names[one], one) for one in companions if one in names and one.upper() not in present]
            copies = [
                FileCopy(path=f"{root}/{folder}/{name}", to=f"{root}/{boot}/{new}", why=_WHY) for name, new in wanted
            ]
            return Proposal(copies=tuple(copies))
    if not facts.inspection.efi or not others:
        return Proposal()
    return Proposal(
        remarks=(
            Remark(
                text=f"no loader that is known was found in {root}, and no fallback is there",
                remedy="run grub-install --removable, or bootctl install, in the guest",
            ),
        )
    )
