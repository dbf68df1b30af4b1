# SPDX-License-Identifier: Apache-2.0
"""Disks through VMware's VDDK, which the user brings, behind nbdkit's vddk plugin.

nbdkit's retry filter is left out on purpose: it opens a disk again after any failure, also after a refused password,
and a few of those lock the account. Broken reads are repeated by v2x, which starts a new nbdkit and knows the cause.
Facts: nbdkit-vddk-plugin(1); VDDK programming guide.
"""

import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

from v2x import causes, proc
from v2x.disks.interface import DiskReader
from v2x.disks.nbdkit import LIMITS, Cause, Nbdkit, explained
from v2x.disks.readahead import ReadAhead
from v2x.disks.wrap import Retry
from v2x.errors import (
    BadImage,
    InputRefused,
    LoginError,
    PermissionRefused,
    TrustError,
    Unsupported,
    UsageError,
)
from v2x.errors import Retry as When
from v2x.secrets import Secret
from v2x.sources.vsphere.transports.options import VddkOptions
from v2x.sources.vsphere.transports.place import DiskPlace
from v2x.waiting import nap

_ATTEMPTS: Final = 6
# Two handles: each connection of NBD opens the disk in VDDK once more, which more than that pays with speed.
_HANDLES: Final = 2
_DUMP_SECONDS: Final = 30

_BY_TEXT: Final = (
    Cause(
        pattern=r"cannot open plugin",
        message="nbdkit has no vddk plugin ({said})",
        hint="install nbdkit with its vddk plugin (Debian has none: build nbdkit), or name its path "
        "as plugin in [vddk] of v2x.toml",
        code="MISSING-TOOL",
        kind=UsageError,
    ),
    Cause(
        pattern=r"libvixDiskLib\.so[.0-9]*: cannot open shared object|could not load .*vixDiskLib",
        message="VDDK cannot be loaded ({said})",
        hint="--vddk-libdir must be the unpacked vmware-vix-disklib-distrib, whose lib64 holds libvixDiskLib.so",
        code="VDDK-LIBDIR",
        kind=UsageError,
    ),
    Cause(
        pattern=r"incorrect user name or password|login .*(failed|denied)|authenticat\w+ .*fail",
        message="VDDK could not log in ({said})",
        hint="check the source's user and password; v2x does not try again, so that no account gets locked",
        code="LOGIN",
        kind=LoginError,
    ),
    Cause(
        pattern=r"thumbprint|certificate",
        message="VDDK does not accept the server's certificate ({said})",
        hint="the certificate changed since v2x connected, or a proxy stands between; check it, then run again",
        code="TRUST",
        kind=TrustError,
    ),
    Cause(
        pattern=r"access rights to this file|error 13\b",
        message="VDDK may not open the disk: something else holds it ({said})",
        hint="a running machine is read from a snapshot only; remove stale locks, or read it with --transport https",
        code="LOCKED",
        retry=When.LATER,
    ),
    Cause(
        pattern=r"insufficient permission|permission to perform this operation|NoPermission",
        message="the account may not read disks through VDDK ({said})",
        hint="grant VirtualMachine.Provisioning.DiskRandomRead and GetVmFiles",
        code="PERMISSION",
        kind=PermissionRefused,
    ),
    Cause(
        pattern=r"prohibits execution|license",
        message="the host's licence does not allow it ({said})",
        hint="connect through a vCenter, or read the powered-off machine with --transport ssh",
        code="READ-ONLY-LICENCE",
    ),
    Cause(
        pattern=r"out of memory|maximum number of|too many (connections|sessions)|NFC_NO_MEMORY",
        message="the host has no NFC session left ({said})",
        hint="copy fewer disks of this host at once, or end other backups",
        code="NFC-BUSY",
        retry=When.LATER,
    ),
    Cause(
        pattern=r"(file|snapshot|managed object).{0,40}(not (be )?found|does not exist|has already been deleted)",
        message="VDDK does not find the disk or the snapshot ({said})",
        hint="list the source again: the machine was moved or its snapshot removed",
        code="SOURCE-GONE",
    ),
    Cause(
        pattern=r"(connection refused|timed? ?out|connect to|host address lookup|cannot connect|NBD_ERR_\w+|"
        r"network error|no route)",
        message="VDDK cannot reach the host that holds the disk ({said})",
        hint="port 902 of the ESXi host must be open from here, and its name must be known here",
        code="PORT-902",
        retry=When.LATER,
    ),
    Cause(
        pattern=r"not supported|feature|Error 6\b",
        message="VDDK does not support this disk ({said})",
        hint="try --transport nfc or https",
        code="UNSUPPORTED",
        kind=Unsupported,
    ),
    Cause(
        pattern=r"encrypted|crypto|key provider|KMS",
        message="the disk is encrypted ({said})",
        hint="decrypt the machine first",
        code="ENCRYPTED",
        kind=InputRefused,
    ),
)


def _by_number(one: causes.Cause) -> Cause:
    """VDDK's own number in the forms "Error 13", "(code 14009)" and "[14009]". nbdkit writes [1] for a connection."""
    number = one.id.removeprefix("VDDK-")
    bracketed = rf"|\[{number}\]" if int(number) >= 1000 else ""
    return Cause(
        pattern=rf"(?:error|code)\W{{0,3}}{number}\b{bracketed}",
        message=f"{one.line} ({{said}})",
        hint=one.do,
        code=one.reported,
        kind=one.kind,
    )


CAUSES: Final = (*_BY_TEXT, *map(_by_number, causes.causes("vddk").values()))


def thumbprint(certificate: bytes) -> str:
    """The SHA-1 of a DER certificate as VDDK takes it, with colons."""
    digits = hashlib.sha1(certificate, usedforsecurity=False).hexdigest().upper()
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def check_libdir(options: VddkOptions) -> Path:
    """The VDDK folder. UsageError VDDK-LIBDIR when none is given, or it holds no VDDK."""
    folder = options.libdir
    if folder is None:
        raise UsageError(
            "the vddk transport needs VMware's VDDK",
            code="VDDK-LIBDIR",
            hint="download VDDK for Linux from Broadcom, unpack it, and give the folder with --vddk-libdir",
        )
    if not any(_libraries(folder)):
        raise UsageError(
            f"{folder} holds no libvixDiskLib.so",
            code="VDDK-LIBDIR",
            hint="give the folder vmware-vix-disklib-distrib that VDDK's archive unpacks to",
        )
    return folder.absolute()


@cache
def plugin_problem(program: str, plugin: str) -> str:
    """Why nbdkit cannot load the plugin, in its own words; empty if it can. Asked once for each."""
    ran = proc.run([program, plugin, "--dump-plugin"], timeout=_DUMP_SECONDS, limits=LIMITS, check=False)
    return "" if ran.returncode == 0 else (ran.stderr.splitlines() or ["it said nothing"])[0]


def check_plugin(options: VddkOptions) -> None:
    """UsageError MISSING-TOOL where nbdkit, or its vddk plugin, is not installed."""
    proc.find_tool(options.program)
    said = plugin_problem(options.program, options.plugin)
    if said:
        raise explained(said, CAUSES[:1], "nbdkit") or UsageError(
            f"nbdkit cannot load its plugin {options.plugin}: {said}", code="MISSING-TOOL", hint=CAUSES[0].hint
        )


def _libraries(folder: Path) -> Iterator[Path]:
    for name in ("lib64", "lib32", "."):
        yield from (folder / name).glob("libvixDiskLib.so*")


def command(place: DiskPlace, server: str, user: str, password: Secret, pin: str, options: VddkOptions) -> Nbdkit:
    """The nbdkit for one disk. The top file of the snapshot is named; VDDK reads the chain below it itself."""
    snapshot = [("snapshot", str(place.snapshot_ref._GetMoId()))] if place.snapshot_ref is not None else []
    chosen = [
        ("transports", options.transports),
        ("config", str(options.config.absolute()) if options.config else ""),
        ("compression", options.compression),
    ]
    return Nbdkit(
        plugin=options.plugin,
        name=place.title,
        program=options.program,
        # The filter nearest to the plugin is the last one.
        filters=["multi-conn", "blocksize"],
        parameters=[
            ("libdir", str(check_libdir(options))),
            ("server", server),
            ("user", user),
            ("thumbprint", pin),
            ("vm", f"moref={place.machine_ref._GetMoId()}"),
            *snapshot,
            *[(key, value) for key, value in chosen if value],
            *options.extra,
            ("multi-conn-mode", "disable"),
            ("minblock", "512"),
            ("maxdata", "2M"),
            ("file", str(place.files[0])),
        ],
        secret=password,
        causes=CAUSES,
    )


def open_vddk(
    place: DiskPlace,
    server: str,
    user: str,
    password: Secret,
    certificate: bytes,
    options: VddkOptions,
    *,
    sleep: Callable[[float], None] = nap,
) -> DiskReader:
    """A reader through VDDK, with its own map. What fails in the middle is tried again through a new nbdkit."""
    check_plugin(options)
    made = command(place, server, user, password, thumbprint(certificate), options)
    first = made.open()
    if first.size != place.capacity_bytes:
        size = first.size
        first.close()
        raise BadImage(
            f"{place.title} has {size:,} bytes through VDDK where vSphere says {place.capacity_bytes:,}",
            code="CAPACITY-MISMATCH",
            hint="list the source again",
        )
    return ReadAhead(Retry(first, _ATTEMPTS, wait_seconds=2.0, reopen=made.open, sleep=sleep), workers=_HANDLES)
