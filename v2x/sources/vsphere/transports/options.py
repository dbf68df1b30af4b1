# SPDX-License-Identifier: Apache-2.0
"""What a user may choose about the reading of vSphere's disks. Imports no pyVmomi, so that `--help` is quick."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from v2x.secrets import Secret

_LOG = logging.getLogger("v2x.vsphere")


class Transport(StrEnum):
    """The ways to a disk's bytes."""

    HTTPS = "https"
    NFC = "nfc"
    VDDK = "vddk"
    SSH = "ssh"


class TransportChoice(StrEnum):
    """What --transport takes: one of them, or the best that fits each disk."""

    AUTO = "auto"
    HTTPS = "https"
    NFC = "nfc"
    VDDK = "vddk"
    SSH = "ssh"


class Allocation(StrEnum):
    """How the parts of a disk that hold data are found.

    AUTO believes change tracking where it can be believed and reads everything otherwise; CBT refuses where it cannot.
    """

    AUTO = "auto"
    READ_ALL = "read-all"
    CBT = "cbt"


@dataclass(frozen=True, slots=True, kw_only=True)
class VddkOptions:
    """nbdkit's vddk plugin. `libdir` is the unpacked vmware-vix-disklib-distrib; without it VDDK is not used.

    `plugin` may be a path; `transports` is VDDK's own list (file:san:hotadd:nbdssl:nbd), `config` its configuration
    file, `compression` zlib, fastlz or skipz.
    """

    libdir: Path | None = None
    plugin: str = "vddk"
    program: str = "nbdkit"
    transports: str = "file:nbdssl:nbd"
    config: Path | None = None
    compression: str = ""
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SshOptions:
    """How an ESXi host is reached over SSH. Its key must be in `known_hosts`; without that SSH is not used.

    `identity` is a private key, `agent` the socket of an agent. Without an identity the password is tried last:
    `password`, or that of the source where it is the host itself. `host` stands for the host's name in the inventory;
    `volumes` is where it has its datastores.
    """

    known_hosts: Path | None = None
    user: str = "root"
    port: int = 22
    host: str = ""
    identity: Path | None = None
    agent: str = ""
    password: Secret | None = None
    program: str = "nbdkit"
    volumes: str = "/vmfs/volumes"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """`proxy` is HOST:PORT for the https and nfc transports, empty for none. `warn` gets one line for a person.

    `parallel` limits requests under way for one disk over https. `network` is that of the hosts' VMkernel adapters
    which disks leave by; empty leaves that to the hosts. `at_random` puts an export last: it flows forward only.
    """

    transport: TransportChoice = TransportChoice.AUTO
    allocation: Allocation = Allocation.AUTO
    vddk: VddkOptions = field(default_factory=VddkOptions)
    ssh: SshOptions = field(default_factory=SshOptions)
    proxy: str = ""
    parallel: int = 12
    network: str = ""
    at_random: bool = False
    warn: Callable[[str], None] = _LOG.warning
