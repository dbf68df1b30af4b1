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
_CLIENT = re.compile(
    r"\bwin(?:dows)?[ _-]?(?:7|8|9|10|11|vista|xp)(?!server|srv|\d)|windows (?:7|8|8\.1|10|11|vista|xp)\b"
)
_SERVER = re.compile(r"windows[ _-]server|windows.*(?:srv|server)|win(?:2000|2003|net|longhorn)|windows[ _-]?20\d\d")
_OUT_OF_SUPPORT = re.compile(
    "|".join(
        (
            r"windows (?:xp|vista|7|8|8\.1|10)\b|win(?:xp|vista)|windows[789]_|windows[789](?:guest|\b)",
            r"server[ _®()r-]*(?:2000|2003|2008|2012)|win(?:2000|net|longhorn)|windows[78]server",
            r"centos(?: linux)?(?: stream)?[ _-]?[4-8](?:\b|_)",
            r"red hat enterprise linux(?: server)? ?[4-7]\b|rhel[ _-]?[4-7](?:\b|_)",
            r"ubuntu(?: linux)? (?:8|10|12|14|16|18|20)\.04",
            r"debian(?: gnu/linux)?[ _-]?(?:[4-9]|10|11)(?:\b|_)",
            r"suse linux enterprise(?: server)? 1[01]\b|sles1[01]",
        )
    )
)
_UNSUPPORTED = re.compile(
    r"netware|os/?2|ecomstation|\bsco\b|openserver|unixware|ms-?dos|\bdos(?:guest)?\b"
    r"|windows (?:3\.1|95|98|me)\b|win(?:31|95|98|me)guest|solaris[ _-]?[6-9](?:\b|guest)"
)
_MACOS = re.compile(r"darwin|mac ?os|os ?x\b")
_HYPERVISOR = re.compile(r"vmkernel|vmware esxi?\b|xcp-ng|xenserver|proxmox")
_DOMAIN_CONTROLLER = re.compile(
    r"domain controller|active directory|(?:^|[^a-z])(?:r?w?o?dc|pdc|bdc|adds?)[-_ ]?\d{0,3}(?:[^a-z]|$)"
)


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


def is_windows_server(guest: Guest) -> bool:
    return _SERVER.search(_words(guest)) is not None


def is_windows_client(guest: Guest) -> bool:
    return _CLIENT.search(_words(guest)) is not None and not is_windows_server(guest)


def out_of_support(guest: Guest) -> bool:
    """True for releases whose vendor ended general support before 2026."""
    words = _words(guest)
    return "or later" not in words and _OUT_OF_SUPPORT.search(words) is not None


def unsupported_system(guest: Guest) -> bool:
    """True for systems that nobody tests on Xen and for which it has no drivers."""
    return _UNSUPPORTED.search(_words(guest)) is not None


def is_macos(guest: Guest) -> bool:
    return _MACOS.search(_words(guest)) is not None


def is_hypervisor(guest: Guest) -> bool:
    return _HYPERVISOR.search(_words(guest)) is not None


def looks_like_domain_controller(words: str) -> bool:
    """True where a name, a note or a tag says so, as `dc01`, `ad-dc-2` or `PDC` do."""
    return _DOMAIN_CONTROLLER.search(words.casefold()) is not None
