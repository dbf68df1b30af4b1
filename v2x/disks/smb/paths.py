# SPDX-License-Identifier: Apache-2.0
"""Paths as a Hyper-V host writes them, and where they are found on its network shares.

A host names its disks by its own paths (`D:\\VMs\\web\\web.vhdx`). Read from elsewhere, a drive is the administrative
share `\\\\HOST\\D$`, a cluster shared volume is reached through any node, and `\\\\SERVER\\SHARE` is a file server of
its own. Paths come from outside: whatever would reach something else than one plain file below a share is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from v2x.errors import UnsafeImage, UsageError

Authentication = Literal["negotiate", "kerberos", "ntlm"]

SMB_PORT = 445
MOST_PATH_SIGNS = 32_000

_DEVICES = frozenset({"con", "prn", "aux", "nul", "conin$", "conout$"})
_NUMBERED_DEVICE = re.compile(r"(com|lpt)[0-9¹²³]")
_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"|?*/]')
_DRIVE = re.compile(r"([A-Za-z]):\\(.*)", re.DOTALL)
_CLUSTER_VOLUME = re.compile(r"[A-Za-z]:\\ClusterStorage\\(.+)", re.IGNORECASE | re.DOTALL)
_SERVER = re.compile(r"\[([0-9A-Fa-f:.%]+)\](?::([0-9]{1,5}))?|([^\\:\[\]]+)(?::([0-9]{1,5}))?")
_LONG = "\\\\?\\"


@dataclass(frozen=True, slots=True, kw_only=True)
class UncPath:
    """`path` is below the share, with backslashes, empty for the share itself. `port` None is the access's own."""

    server: str
    share: str
    path: str = ""
    port: int | None = None

    @property
    def name(self) -> str:
        return self.path.rsplit("\\", 1)[-1]

    @property
    def folder(self) -> "UncPath":
        return replace(self, path=self.path.rpartition("\\")[0])

    def child(self, relative: str) -> "UncPath":
        """The place `relative`, which was checked before, below this one."""
        return replace(self, path=f"{self.path}\\{relative}" if self.path and relative else self.path or relative)

    def __str__(self) -> str:
        server = f"[{self.server}]" if ":" in self.server else self.server
        port = f":{self.port}" if self.port is not None else ""
        tail = f"\\{self.path}" if self.path else ""
        return f"\\\\{server}{port}\\{self.share}{tail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRule:
    """Whatever lies below `prefix`, a folder as the host names it, is found below `place`."""

    prefix: str
    place: UncPath

    def found(self, path: str) -> UncPath | None:
        """Where `path` is by this rule; only whole components of a path count, in any case of letters."""
        prefix = self.prefix.rstrip("\\")
        if path.lower() == prefix.lower():
            return self.place
        if path.lower().startswith(prefix.lower() + "\\"):
            return self.place.child(path[len(prefix) + 1 :])
        return None


def checked(path: str) -> str:
    """A full Windows path with single backslashes. UnsafeImage for anything but a plain file or folder.

    Refused are relative paths, `.` and `..`, alternate data streams, devices, volumes without a letter, and names that
    Windows would change (trailing dots and spaces).
    """
    plain = path.replace("/", "\\")
    if len(plain) > MOST_PATH_SIGNS:
        raise UnsafeImage(f"a path of {len(plain):,} characters is no file of Windows")
    if plain.upper().startswith(_LONG + "UNC\\"):
        plain = "\\\\" + plain[len(_LONG) + 4 :]
    elif plain.startswith(_LONG):
        plain = plain[len(_LONG) :]
    if plain.startswith("\\\\"):
        server, _, rest = plain[2:].partition("\\")
        if not rest or _SERVER.fullmatch(server) is None or server in {".", "?", ".."}:
            raise _unsafe(path, "a share is written \\\\SERVER\\SHARE\\…")
        return "\\\\" + server + "\\" + "\\".join(_components(rest, path))
    drive = _DRIVE.fullmatch(plain)
    if drive is None:
        raise _unsafe(path, "the host's disks are given with their drive letter or as \\\\SERVER\\SHARE\\…")
    letter, rest = drive.groups()
    return letter.upper() + ":\\" + "\\".join(_components(rest, path))


def _components(rest: str, path: str) -> list[str]:
    parts = rest.rstrip("\\").split("\\") if rest.strip("\\") else []
    for part in parts:
        stem = part.split(".", 1)[0].rstrip(" ").lower()
        device = stem in _DEVICES or _NUMBERED_DEVICE.fullmatch(stem)
        if not part or part[-1] in {".", " "} or len(part) > 255 or _FORBIDDEN.search(part) or device:
            raise _unsafe(path, "names of devices, streams and relative steps are never followed")
    return parts


def _unsafe(path: str, hint: str) -> UnsafeImage:
    return UnsafeImage(f"{path[:300]!r} does not lead to a plain file of a share", hint=hint)


def parse_unc(text: str) -> UncPath:
    """`\\\\SERVER[:PORT]\\SHARE[\\PATH]`. UnsafeImage for anything else; a port is what v2x adds to the notation."""
    path = checked(text)
    if not path.startswith("\\\\"):
        raise _unsafe(text, "a share is written \\\\SERVER\\SHARE\\…")
    server, share, *rest = path[2:].split("\\")
    host, port = _host_and_port(server)
    if port is not None and not 0 < int(port) < 65536:
        raise _unsafe(text, "a port is a number from 1 to 65535")
    return UncPath(server=host, share=share, path="\\".join(rest), port=int(port) if port else None)


def _host_and_port(server: str) -> tuple[str, str | None]:
    found = _SERVER.fullmatch(server)
    if found is None:
        raise _unsafe(server, "a server is a name or an address, an IPv6 address stands in brackets")
    return found.group(1) or found.group(3), found.group(2) or found.group(4)


def parse_rule(text: str) -> ShareRule:
    """`FOLDER=\\\\SERVER\\SHARE[\\FOLDER]`, FOLDER as the host names it. UsageError says what is wrong."""
    prefix, sign, place = text.partition("=")
    example = r"for example --share 'D:\VMs=\\fileserver\vms'"
    if not sign or not prefix or not place:
        raise UsageError(rf"--share {text} is not FOLDER=\\SERVER\SHARE", hint=example)
    try:
        return ShareRule(prefix=checked(prefix + "\\" if prefix.endswith(":") else prefix), place=parse_unc(place))
    except UnsafeImage as problem:
        raise UsageError(f"--share {text}: {problem.message}", hint=example) from None


def places_of(path: str, hosts: Sequence[str], rules: Sequence[ShareRule] = ()) -> tuple[UncPath, ...]:
    """Where a host's `path` may be found, the most likely place first. UnsafeImage for a path that is no plain file.

    `hosts` are the host itself and, for a cluster, other nodes that see its volumes. The longest rule that fits
    decides alone.
    """
    plain = checked(path)
    fitting = [rule for rule in rules if rule.found(plain) is not None]
    if fitting:
        place = max(fitting, key=lambda rule: len(rule.prefix)).found(plain)
        return (place,) if place is not None else ()
    if plain.startswith("\\\\"):
        return (parse_unc(plain),)
    volume = _CLUSTER_VOLUME.fullmatch(plain)
    if volume is not None:
        # Every node has the volumes below the same folder; the share of its own needs no way through the system drive.
        return tuple(
            place
            for host in hosts
            for place in (
                UncPath(server=host, share="ClusterStorage$", path=volume.group(1)),
                UncPath(server=host, share=f"{plain[0]}$", path=plain[3:]),
            )
        )
    return tuple(UncPath(server=host, share=f"{plain[0]}$", path=plain[3:]) for host in hosts[:1])
