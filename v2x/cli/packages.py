# SPDX-License-Identifier: Apache-2.0
"""What to install for a part of v2x that is not here, by the system that /etc/os-release names.

The names of Debian 12 are those that the project installs itself. The others were looked up and never installed here,
which doctor says.
"""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

OS_RELEASE = Path("/etc/os-release")


class Family(StrEnum):
    DEBIAN = "Debian"
    UBUNTU = "Ubuntu"
    RHEL = "RHEL family"
    DOM0 = "control domain of a pool"
    OTHER = "unknown system"


_IDS = {
    "debian": Family.DEBIAN,
    "ubuntu": Family.UBUNTU,
    **dict.fromkeys(("rhel", "centos", "fedora", "rocky", "almalinux", "ol"), Family.RHEL),
    **dict.fromkeys(("xenenterprise", "xcp-ng", "xenserver"), Family.DOM0),
}
_DEBIAN = {
    "qemu-img": "qemu-utils",
    "qemu-nbd": "qemu-utils",
    "nbdkit": "nbdkit",
    "nbd": "python3-libnbd",
    "libguestfs": "python3-guestfs linux-image-amd64",
    "kerberos": "libkrb5-dev gcc python3-dev",
    "keyring": "python3-keyring",
}
NAMES: Mapping[Family, Mapping[str, str]] = {
    Family.DEBIAN: _DEBIAN,
    Family.UBUNTU: {**_DEBIAN, "libguestfs": "python3-guestfs linux-image-generic"},
    Family.RHEL: {
        "qemu-img": "qemu-img",
        "qemu-nbd": "qemu-img",
        "nbdkit": "nbdkit",
        "nbd": "python3-libnbd",
        "libguestfs": "python3-libguestfs",
        "kerberos": "krb5-devel gcc python3-devel",
        "keyring": "python3-keyring",
    },
}
"""Part of v2x to the packages that bring it."""


@dataclass(frozen=True, slots=True)
class System:
    """The system that v2x runs on. `proven` says that its names of packages were used by the project itself."""

    family: Family
    name: str
    proven: bool = False

    def install(self, *parts: str) -> str:
        """The command that brings `parts`, or what to do where there is none."""
        if self.family is Family.DOM0:
            return "install nothing here: run v2x in a Debian VM on the pool"
        names = NAMES.get(self.family)
        if names is None:
            return f"install what your system calls {self._joined(_DEBIAN[part] for part in parts)} on Debian"
        tool = "dnf" if self.family is Family.RHEL else "apt"
        command = f"{tool} install {self._joined(names[part] for part in parts)}"
        return command if self.proven else f"{command} (names not tried on {self.name})"

    @staticmethod
    def _joined(packages: Iterable[str]) -> str:
        return " ".join(dict.fromkeys(name for text in packages for name in text.split()))

    @property
    def advice(self) -> str:
        """What to know of this system before anything else; empty where there is nothing."""
        if self.family is Family.DOM0:
            return "v2x does not run in a control domain: its Python is too old, and its memory is the pool's"
        if self.family is Family.RHEL:
            return (
                "v2x needs Python 3.11 or newer (dnf install python3.11 on release 8 and 9); libnbd and libguestfs are "
                "built for the system's own Python, so on these only what needs neither works"
            )
        if self.family is Family.OTHER:
            return "v2x is tried on Debian 12 only"
        return ""


def system(text: str) -> System:
    """The system that the text of an os-release file describes (freedesktop.org: os-release(5))."""
    fields = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            try:
                fields[key.strip()] = " ".join(shlex.split(value))
            except ValueError:
                continue
    ids = [fields.get("ID", "").lower(), *fields.get("ID_LIKE", "").lower().split()]
    family = next((_IDS[one] for one in ids if one in _IDS), Family.OTHER)
    name = fields.get("PRETTY_NAME") or fields.get("NAME") or family.value
    return System(family, name, proven=fields.get("ID") == "debian" and fields.get("VERSION_ID") == "12")


def here(path: Path = OS_RELEASE) -> System:
    """This machine's; unknown where it has no such file."""
    try:
        return system(path.read_text("utf-8", errors="replace"))
    except OSError:
        return System(Family.OTHER, "a system without /etc/os-release")
