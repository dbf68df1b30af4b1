# SPDX-License-Identifier: Apache-2.0
"""Reading a guest operating system's id and name where the mapping table says too little.

Ids come in many spellings (`windows9_64Guest`, `windows9-64`, `Windows10_64`, "Microsoft Windows 10 (64-bit)"), so
the patterns look at the id and the name together, in lower case.
"""

import re

from v2x.model.machine import Guest

_WINDOWS = re.compile(r"windows|\bwin(?:xp|net|nt|vista|longhorn|2000|2k|3|7|8|9|10|11)")
_LINUX = re.compile(
    r"linux|ubuntu|debian|rhel|red ?hat|centos|rocky|alma|fedora|suse|sles|photon|coreos|gentoo|mandriva|oel\b"
)
_DRACUT = re.compile(r"rhel|red ?hat|centos|oracle|rocky|alma|fedora|suse|sles|amazon|\boel\b")
_WITHOUT_PV_DRIVERS = re.compile(
    r"win(?:dows)?[ _-]?(?:3\.?1|95|98|me\b|nt|xp|vista|2000|2k|net|longhorn|7|8)"
    r"|windows[ _-]?9(?:guest|\b)|windows 10.*32.bit"
    r"|windows[ _-]server[ _®()r-]*(?:2000|2003|2008|2012)|win(?:dows)?[ _-]?20(?:00|03|08|12)"
)
_WITHOUT_NVME = re.compile(
    r"win(?:dows)?[ _-]?(?:xp|vista|net|longhorn|7)"
    r"|windows[ _-]server[ _®()r-]*(?:2003|2008)|win(?:dows)?[ _-]?20(?:03|08)"
)
_NEEDS_UEFI = re.compile(r"win(?:dows)?[ _-]?11|windows2022srvnext|windows[ _-]server[ _®()r-]*2025|windows[ _-]?2025")


def _words(guest: Guest) -> str:
    return f"{guest.os_id} {guest.os_name}".lower()


def family_of(guest: Guest) -> str:
    """`windows`, `linux`, or empty where neither the id nor the name tells."""
    words = _words(guest)
    if _WINDOWS.search(words):
        return "windows"
    return "linux" if _LINUX.search(words) else ""


def lacks_windows_pv_drivers(guest: Guest) -> bool:
    """True for Windows before 10 1607 and Server 2016, the oldest that the XCP-ng Windows PV drivers support."""
    return _WITHOUT_PV_DRIVERS.search(_words(guest)) is not None


def lacks_nvme_driver(guest: Guest) -> bool:
    """True for Windows 7, Server 2008 R2 and older, which have no NVMe driver of their own."""
    return _WITHOUT_NVME.search(_words(guest)) is not None


def needs_uefi(guest: Guest) -> bool:
    """True for Windows 11 and Server 2025, whose XCP-ng templates rule BIOS out."""
    return _NEEDS_UEFI.search(_words(guest)) is not None


def builds_small_initrd(guest: Guest) -> bool:
    """True for distributions whose initial ramdisk holds only the drivers of the hardware it was made on (dracut)."""
    return _DRACUT.search(_words(guest)) is not None


def shown_name(guest: Guest) -> str:
    """The guest as its source names it, or empty."""
    return guest.os_name or guest.os_id
