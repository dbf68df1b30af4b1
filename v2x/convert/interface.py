# SPDX-License-Identifier: Apache-2.0
"""The nouns of a conversion: what is known of a guest, what is to be changed in it, and why.

Nothing here touches a disk. A concern is a pure function from the guest's files to a Proposal; the same concern asked
again after its edits were made proposes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from v2x.convert.registry import RegistryEdit
from v2x.secrets import Secret


class Family(StrEnum):
    """Distributions that are converted alike."""

    DEBIAN = "debian"
    RHEL = "rhel"
    SUSE = "suse"
    ARCH = "arch"
    UNKNOWN = "unknown"


class Initramfs(StrEnum):
    """What builds a guest's initial RAM disk."""

    INITRAMFS_TOOLS = "initramfs-tools"
    DRACUT = "dracut"
    MKINITCPIO = "mkinitcpio"
    UNKNOWN = "unknown"


class BootLoader(StrEnum):
    GRUB = "grub2"
    GRUB_LEGACY = "grub"
    SYSTEMD_BOOT = "systemd-boot"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """An installed kernel: its version, and which of the drivers that were looked for it has, and how."""

    version: str
    modules: frozenset[str] = frozenset()
    built_in: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a guest is, read from its own files. `os` is `linux` or `windows`, or empty for what is not known.

    `root_device` is the root file system as its fstab names it. `zfs`, `lvm`, `luks` and `btrfs` say that the guest
    is set up for them, not that its root lies there.
    """

    os: str = ""
    distro: str = ""
    version: str = ""
    name: str = ""
    family: Family = Family.UNKNOWN
    init: str = ""
    package_manager: str = ""
    boot_loader: BootLoader = BootLoader.UNKNOWN
    initramfs: Initramfs = Initramfs.UNKNOWN
    kernels: tuple[Kernel, ...] = ()
    root_device: str = ""
    efi: bool = False
    lvm: bool = False
    luks: bool = False
    btrfs: bool = False
    zfs: bool = False
    selinux: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A network adapter that the machine will have: its MAC, and `source_mac` where it had another before.

    `interface` and `addresses` (`ADDRESS/PREFIX`) where the guest's agent told them.
    """

    mac: str
    interface: str = ""
    addresses: tuple[str, ...] = ()
    source_mac: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestWishes:
    """What is asked for beyond what every guest needs. A wish that a guest cannot be granted is a remark, no error.

    `remove_tools` takes the old hypervisor's packages out instead of switching their services off; `agent` is a
    package file of the pool's guest agent, to be installed. `keys` are passphrases for encrypted Linux disks.
    `windows_drivers` is an installer (.msi) of the Xen PV drivers, for the first boot. `clean_hibernation` throws a
    hibernated Windows's state away. `bitlocker_suspended` says that protection was suspended before the last shutdown,
    where the disk itself does not tell; `bitlocker_keys` are recovery keys.
    """

    remove_tools: bool = False
    agent: Path | None = None
    keys: tuple[Secret, ...] = field(default=(), compare=False, repr=False)
    windows_drivers: Path | None = None
    clean_hibernation: bool = False
    bitlocker_suspended: bool = False
    bitlocker_keys: tuple[Secret, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a concern is told beside the guest's files.

    `stable_names` leads from a device as the guest knows it now (`/dev/sda1`) to a name that stays (`UUID=…`);
    `adapters` are in the order of the machine's hardware. `clock_offset_seconds` is how far the new machine's hardware
    clock is ahead of UTC at its first start, None where nobody knows that yet.
    """

    inspection: Inspection
    stable_names: Mapping[str, str] = field(default_factory=dict)
    adapters: tuple[Adapter, ...] = ()
    clock_offset_seconds: int | None = None
    wishes: GuestWishes = field(default_factory=GuestWishes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A file before and after. None: there is no such file. `link`: `after` is where a symbolic link leads. `private`:
    made with its folders so that only the system and its administrators may read or write it.

    Text is UTF-8 with surrogate escapes, so that a file of any encoding comes back byte for byte.
    """

    path: str
    before: str | None
    after: str | None
    why: str
    mode: int = 0o644
    link: bool = False
    private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCopy:
    """A file that is copied as it is, whatever its size; a copy that exists is left alone."""

    path: str
    to: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file from this machine, laid into the guest for a command and removed after it."""

    source: Path
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Otherwise:
    """What is done where a command fails that may: `edits` in its place, and a remark that begins with `text`."""

    text: str
    remedy: str = ""
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program of the guest, run inside it after the edits. `copies` are made before it runs.

    Its failure is an error, unless it says what is done `otherwise`.
    """

    argv: tuple[str, ...]
    why: str
    copies: tuple[FileCopy, ...] = ()
    upload: Upload | None = None
    otherwise: Otherwise | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something that a person should know and that is not changed in the guest."""

    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """A file of this machine that is put into the guest, to stay; one that is there with these bytes is left alone."""

    source: Path
    to: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A file that is removed, of which nothing is kept: it holds no data of a person's."""

    path: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why this guest must not be converted, nor started on the pool, as it is; `code` has a page in `v2x explain`."""

    code: str
    text: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What one concern, or all of them together, would do. Order matters: removals, edits, registry, additions,
    copies, then commands. With a refusal, none of it is done."""

    edits: tuple[Edit, ...] = ()
    copies: tuple[FileCopy, ...] = ()
    commands: tuple[Command, ...] = ()
    remarks: tuple[Remark, ...] = ()
    registry: tuple[RegistryEdit, ...] = ()
    additions: tuple[Addition, ...] = ()
    removals: tuple[Removal, ...] = ()
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """All that is intended for one guest."""

    inspection: Inspection
    proposal: Proposal

    @property
    def changes_nothing(self) -> bool:
        whole = self.proposal
        return not (
            whole.edits or whole.copies or whole.commands or whole.registry or whole.additions or whole.removals
        )


class GuestFiles(Protocol):
    """A guest's file system, mounted; paths are absolute and as the guest sees them, links followed inside it."""

    def exists(self, path: str) -> bool: ...

    def read(self, path: str) -> bytes:
        """The whole of a regular file. InputRefused if it is larger than a configuration file can be or is none."""
        ...

    def listdir(self, path: str) -> list[str]:
        """Names, sorted; empty where there is no such folder."""
        ...

    def link_of(self, path: str) -> str | None:
        """Where a symbolic link leads; None if `path` is none."""
        ...


@runtime_checkable
class WritableGuest(Protocol):
    """A guest whose files can be changed."""

    def write(self, path: str, data: bytes, mode: int) -> None:
        """Makes or replaces a file, and the folders it lies in; an existing file keeps its owner and mode."""
        ...

    def symlink(self, path: str, to: str) -> None:
        """Makes or replaces a symbolic link."""
        ...

    def copy(self, path: str, to: str) -> None: ...

    def upload(self, source: Path, to: str) -> None:
        """Lays a file of this machine into the guest, and makes the folders above it."""
        ...

    def remove(self, path: str) -> None: ...


@runtime_checkable
class PrivateGuest(Protocol):
    """A guest in which files can be made that its users cannot touch."""

    def write_private(self, path: str, data: bytes) -> None: ...

    def add_private(self, source: Path, to: str) -> None:
        """Copies a file of this machine into the guest, as private as the other."""
        ...


@runtime_checkable
class RunningGuest(Protocol):
    """A guest whose own programs can be run."""

    def run(self, argv: tuple[str, ...]) -> str:
        """What the program printed. ToolFailed if it fails or there is no such program."""
        ...


@runtime_checkable
class MeasuredGuest(Protocol):
    """A guest whose file systems can be measured."""

    def size_bytes(self, path: str) -> int:
        """Of a file; 0 where there is none."""
        ...

    def free_bytes(self, path: str) -> tuple[str, int]:
        """The mount point that the folder `path` lies on, and what is free there."""
        ...


class Concern(Protocol):
    """One thing that is put right in a guest."""

    def __call__(self, files: GuestFiles, facts: Facts) -> Proposal: ...
