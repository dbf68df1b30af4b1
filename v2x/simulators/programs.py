# SPDX-License-Identifier: Apache-2.0
"""The outside programs that make guests and appliances, the Debian package of each, and the one way to run them."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from v2x.errors import UsageError, V2xError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""mke2fs, sfdisk and mkfs.vfat live in sbin, which an ordinary user's PATH lacks on Debian."""

BUILD_TIME = 1_700_000_000
"""Seconds since 1970 written wherever a tool would write the present time, so that two builds are alike."""

PACKAGES: Mapping[str, str] = {
    "qemu-img": "qemu-utils",
    "sfdisk": "fdisk",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "mmd": "mtools",
    "mcopy": "mtools",
    "grub-mkimage": "grub-common",
}

GRUB_DIRECTORIES: Mapping[str, tuple[Path, str]] = {
    "i386-pc": (Path("/usr/lib/grub/i386-pc"), "grub-pc-bin"),
    "x86_64-efi": (Path("/usr/lib/grub/x86_64-efi"), "grub-efi-amd64-bin"),
}

FETCHED = Path(__file__).parents[2] / ".setup-guest"
"""Where `make setup` unpacks a kernel and busybox for the guest, so that the host need not have them installed."""

_BUSYBOX_PLACES = tuple(root / folder / "busybox" for root in (Path("/"), FETCHED) for folder in ("bin", "usr/bin"))
_ELF_PROGRAM_INTERPRETER = 3


def find(tool: str) -> str | None:
    """The full path of `tool`, or None."""
    return shutil.which(tool, path=PATH)


def busybox() -> Path:
    """A statically linked busybox: the guest has no C library. UsageError where there is none."""
    for place in _BUSYBOX_PLACES:
        try:
            if not _is_dynamic(place.read_bytes()):
                return place
        except OSError:
            continue
    raise UsageError(
        "no statically linked busybox is installed", code="MISSING-TOOL", hint="sudo apt-get install busybox-static"
    )


def _is_dynamic(elf: bytes) -> bool:
    """Whether a 64-bit little-endian ELF program asks for a dynamic loader; True for what is no such program."""
    if elf[:6] != b"\x7fELF\x02\x01" or len(elf) < 64:
        return True
    table = int.from_bytes(elf[32:40], "little")
    entry_bytes = int.from_bytes(elf[54:56], "little")
    count = int.from_bytes(elf[56:58], "little")
    kinds = (elf[table + n * entry_bytes : table + n * entry_bytes + 4] for n in range(count) if entry_bytes >= 4)
    return any(int.from_bytes(kind, "little") == _ELF_PROGRAM_INTERPRETER for kind in kinds)


def missing_tools() -> list[tuple[str, str]]:
    """What building a guest and an appliance needs and this machine lacks, as (tool, Debian package).

    The kernel is not among them: `build_guest` looks for it itself and says what to do.
    """
    missing = [(tool, package) for tool, package in PACKAGES.items() if find(tool) is None]
    missing += [
        (f"GRUB modules for {platform}", package)
        for platform, (directory, package) in GRUB_DIRECTORIES.items()
        if not (directory / "moddep.lst").is_file()
    ]
    try:
        busybox()
    except V2xError:
        missing.append(("busybox (static)", "busybox-static"))
    return missing


def run(argv: Sequence[str], *, cwd: Path, stdin: bytes = b"", timeout: float = 120) -> tuple[bytes, str]:
    """Run one program to its end; its standard output, and its standard error as text.

    The environment is made afresh: nothing of the caller's settings reaches the tool, and clocks stand still.
    """
    tool = argv[0]
    path = find(tool)
    if path is None:
        package = PACKAGES.get(tool, tool)
        raise UsageError(
            f"the program {tool} is not installed", code="MISSING-TOOL", hint=f"sudo apt-get install {package}"
        )
    environment = {
        "PATH": PATH,
        "LC_ALL": "C",
        "TZ": "UTC",
        "HOME": str(cwd),
        "SOURCE_DATE_EPOCH": str(BUILD_TIME),
        "E2FSPROGS_FAKE_TIME": str(BUILD_TIME),
        "MKE2FS_CONFIG": "/dev/null",
        "MTOOLS_SKIP_CHECK": "1",
    }
    try:
        done = subprocess.run(
            [path, *argv[1:]],
            cwd=cwd,
            input=stdin,
            env=environment,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise V2xError(f"{tool} did not end within {timeout:g} s") from error
    except OSError as error:
        raise V2xError(f"{tool} cannot be started: {error.strerror}") from error
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode != 0:
        last = said.splitlines()[-1] if said else "no message"
        raise V2xError(f"{tool} failed with exit code {done.returncode}: {last}")
    return done.stdout, said
