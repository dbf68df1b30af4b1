# SPDX-License-Identifier: Apache-2.0
"""Options that many commands share, gathered into one record instead of repeated in every signature."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from v2x.model.health import Mark, OnFail
from v2x.model.limits import HOUR_SECONDS, SourceLimits
from v2x.model.target import DeltaFormat, UploadFormat
from v2x.sources.vsphere.transports.options import Allocation, TransportChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The shared options as they were given."""

    config: Path | None = None
    mappings: Path | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    log_json: bool = False
    source_password_file: list[str] | None = None
    source_ca: Path | None = None
    source_fingerprint: str | None = None
    source_set: list[str] | None = None
    share: list[str] | None = None
    smb_user: str | None = None
    no_smb_encryption: bool = False
    experimental_vmcx: bool = False
    target_password_file: list[str] | None = None
    target_ca: Path | None = None
    target_fingerprint: str | None = None
    transport: TransportChoice = TransportChoice.AUTO
    allocation: Allocation = Allocation.AUTO
    quiesce: bool = False
    shutdown_minutes: float = 10.0
    source_proxy: str = ""
    vddk_libdir: Path | None = None
    ssh_known_hosts: Path | None = None
    ssh_user: str | None = None
    ssh_identity: Path | None = None
    ssh_host: str | None = None
    windows_drivers: Path | None = None
    clean_hibernation: bool = False
    bitlocker_suspended: bool = False
    bitlocker_key_file: list[Path] | None = None
    bitlocker_ask: bool = False
    luks_key_file: list[Path] | None = None
    luks_ask: bool = False
    remove_tools: bool = False
    guest_agent: Path | None = None


CreateNetworks = Annotated[bool, typer.Option("--create-networks", help="make missing VLAN networks on the whole pool")]
Uplink = Annotated[
    str, typer.Option(metavar="DEVICE", help="interface or bond of the pool (eth0) that the source's VLANs are on")
]
LiveSource = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="ALIAS=ADDRESS",
        help="another address for a source of the plan, as the live one for an RVTools export; repeatable",
        show_default=False,
    ),
]
SourceNetwork = Annotated[
    str | None,
    typer.Option(
        metavar="NETWORK",
        help="VMkernel adapter of the ESXi hosts that disks are read over: its port group, vmk device or CIDR",
    ),
]
TargetNetworkName = Annotated[
    str | None,
    typer.Option(metavar="NETWORK", help="network of the pool that disks travel over (default: xo:backupNetwork)"),
]
UploadForm = Annotated[
    UploadFormat, typer.Option(help="how disks are sent to a pool; the others than auto were never tried on a real one")
]

StateOption = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar="DIR|URL",
        help="folder, or postgresql://USER@HOST/NAME, that batches are kept in (default: ~/.local/state/v2x)",
        show_default=False,
    ),
]
BatchName = Annotated[
    str,
    typer.Argument(metavar="[BATCH]", help="id of a batch, or its plan.csv (default: the newest)", show_default=False),
]
RowsAtOnce = Annotated[int, typer.Option(min=1, max=256, help="machines at once in this process")]

EnableTracking = Annotated[
    bool, typer.Option("--enable-cbt", help="warm: turn change tracking on at the source where it is off")
]
OutageSeconds = Annotated[
    float,
    typer.Option(
        min=1,
        metavar="SECONDS",
        help="warm: copy what changed again and again until the outage is predicted to be this short",
    ),
]
DeltaForm = Annotated[
    DeltaFormat,
    typer.Option("--delta", help="warm: how changes are sent to a pool; chunked was never tried on a real one"),
]
DatastoreFloor = Annotated[
    float,
    typer.Option(
        "--datastore-floor",
        min=0,
        max=90,
        metavar="PERCENT",
        help="warm: what a datastore must have free while a snapshot is on it (0: anything)",
    ),
]
SnapshotHours = Annotated[
    float,
    typer.Option(
        "--snapshot-hours", min=0, metavar="HOURS", help="warm: how old a snapshot may grow (0: as old as it takes)"
    ),
]
BackupWait = Annotated[
    float,
    typer.Option(
        "--backup-wait", min=0, metavar="MINUTES", help="how long a running backup of a machine is waited for"
    ),
]
SyncMinutes = Annotated[
    float, typer.Option(min=0.01, metavar="MINUTES", help="warm: time between passes while the cutover is waited for")
]
Checks = Annotated[
    list[str] | None,
    typer.Option(
        "--check",
        metavar="tcp:PORT[@ADDRESS]",
        help="a port that has to answer after the start as it did before; repeatable",
        show_default=False,
    ),
]
OnFailure = Annotated[
    OnFail, typer.Option("--on-fail", help="when its start or health check fails: keep it, or go back by itself")
]
HealthMinutes = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="MINUTES",
        help="how long a started machine has until its addresses and ports answer again; 0: no check",
    ),
]
MarkSource = Annotated[
    Mark,
    typer.Option(help="rename a source that was migrated, or write a note on it, so that nobody starts it by mistake"),
]
WatchMinutes = Annotated[
    float, typer.Option(min=0.01, metavar="MINUTES", help="time between looks at whether stopped sources stay off")
]
MetricsPort = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="port on 127.0.0.1 for Prometheus (0: a free one)", show_default=False),
]


def limits_of(floor_percent: float, snapshot_hours: float, backup_minutes: float) -> SourceLimits:
    """What the three options say together."""
    return SourceLimits(
        least_free_percent=floor_percent,
        snapshot_seconds=snapshot_hours * HOUR_SECONDS,
        backup_wait_seconds=backup_minutes * 60,
    )


def _file(text: str) -> Any:
    return Annotated[Path | None, typer.Option(help=text, show_default=False)]


def _password(side: str) -> Any:
    option = typer.Option(
        metavar="[ALIAS=]FILE",
        help=f"file (mode 0600) with the {side}'s password; of several {side}s one for each, repeatable",
        show_default=False,
    )
    return Annotated[list[str] | None, option]


def _text(text: str) -> Any:
    return Annotated[str | None, typer.Option(help=text, show_default=False)]


_COMMON: dict[str, Any] = {
    "config": _file("v2x.toml with sources and targets by alias (default: ./v2x.toml)"),
    "mappings": _file("folder whose tables override the built-in mappings"),
    "json": Annotated[bool, typer.Option("--json", help="print one JSON document")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="no progress, no messages but errors")],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="say more on stderr")],
    "log_json": Annotated[bool, typer.Option("--log-json", help="messages as JSON lines")],
}
_SOURCE: dict[str, Any] = {
    "source_password_file": _password("source"),
    "source_ca": _file("PEM file with the CA of the source's certificate"),
    "source_fingerprint": _text("pin of the source's certificate, sha256:…"),
    "source_set": Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="setting of a Hyper-V source, as in v2x.toml; repeatable"),
    ],
    "share": Annotated[
        list[str] | None,
        typer.Option(
            metavar=r"FOLDER=\\SERVER\SHARE",
            help="where a folder of a Hyper-V host is found on the network; repeatable",
            show_default=False,
        ),
    ],
    "smb_user": _text(r"user for these shares, DOMAIN\USER or USER@DOMAIN; the password is the source's"),
    "no_smb_encryption": Annotated[
        bool, typer.Option("--no-smb-encryption", help="take SMB transfers that are signed but not encrypted")
    ],
    "experimental_vmcx": Annotated[
        bool, typer.Option("--experimental-vmcx", help="read Secure Boot and boot order of generation 2 from .vmcx")
    ],
}
_TARGET: dict[str, Any] = {
    "target_password_file": _password("target"),
    "target_ca": _file("PEM file with the CA of the target's certificate"),
    "target_fingerprint": _text("pin of the target's certificate, sha256:…"),
}


_READING: dict[str, Any] = {
    "transport": Annotated[TransportChoice, typer.Option(help="how disks are read from vSphere")],
    "allocation": Annotated[
        Allocation, typer.Option(help="how the used parts of a vSphere disk are found; cbt is its change tracking")
    ],
    "quiesce": Annotated[
        bool, typer.Option("--quiesce", help="have VMware Tools let the guest write everything out before a snapshot")
    ],
    "shutdown_minutes": Annotated[float, typer.Option(min=0, help="how long a guest may take to shut down")],
    "vddk_libdir": _file("folder with VMware's VDDK (vmware-vix-disklib-distrib); allows transport vddk"),
    "ssh_known_hosts": _file("known_hosts file with the keys of ESXi hosts; allows transport ssh"),
    "ssh_user": _text("user of ESXi hosts over SSH (default: root)"),
    "ssh_identity": _file("private key for ESXi hosts over SSH (default: SSH_AUTH_SOCK, else the password)"),
    "ssh_host": _text("the ESXi host to reach over SSH (default: the machine's)"),
}
_PROXY: dict[str, Any] = {
    "source_proxy": Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="HTTP proxy to vSphere; without it none is used", show_default=False),
    ],
}
_GUEST: dict[str, Any] = {
    "windows_drivers": _file("conversion: .msi with the Xen PV drivers, which Windows installs at its first boot"),
    "clean_hibernation": Annotated[
        bool, typer.Option("--clean-hibernation", help="conversion: throw a hibernated Windows's state in memory away")
    ],
    "bitlocker_suspended": Annotated[
        bool,
        typer.Option(
            "--bitlocker-suspended",
            help="conversion: BitLocker was suspended before the last shutdown, where its disk does not tell",
        ),
    ],
    "bitlocker_key_file": Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="conversion: file (mode 0600) with the recovery key of a BitLocker volume; repeatable",
            show_default=False,
        ),
    ],
    "bitlocker_ask": Annotated[bool, typer.Option("--bitlocker-ask", help="conversion: ask for that recovery key")],
    "luks_key_file": Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="conversion: file (mode 0600) with the passphrase of an encrypted Linux disk; repeatable",
            show_default=False,
        ),
    ],
    "luks_ask": Annotated[bool, typer.Option("--luks-ask", help="conversion: ask for that passphrase")],
    "remove_tools": Annotated[
        bool,
        typer.Option("--remove-tools", help="conversion: remove the old hypervisor's packages, not just mask them"),
    ],
    "guest_agent": _file("conversion: .deb or .rpm of the pool's guest agent, installed in the guest"),
}


def shared(
    *, source: bool = False, target: bool = False, reading: bool = False, guest: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds the shared options to a command whose first parameter is the `Given` record they end up in.

    `reading` are those of commands that read disks of a live source, `guest` of those that convert guests.
    """
    extra = {
        **_COMMON,
        **({**_SOURCE, **_PROXY} if source else {}),
        **(_TARGET if target else {}),
        **(_READING if reading else {}),
        **(_GUEST if guest else {}),
    }
    absent = Given()

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command)
        own = list(signature.parameters.values())[1:]

        @wraps(command)
        def call(**arguments: Any) -> None:
            given = Given(**{name: arguments.pop(name) for name in extra})
            _set_up_logging(given)
            command(given, **arguments)

        added = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=getattr(absent, name),
                annotation=annotation,
            )
            for name, annotation in extra.items()
        ]
        kept = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        call.__signature__ = signature.replace(parameters=[*kept, *added])  # type: ignore[attr-defined]
        annotations = {name: value for name, value in command.__annotations__.items() if name != "given"}
        call.__annotations__ = {**annotations, **extra}
        return call

    return decorate


def _set_up_logging(given: Given) -> None:
    from v2x import log

    log.set_up(verbose=given.verbose, quiet=given.quiet, as_json=given.log_json)


def words_of(given: Given) -> list[list[str]]:
    """The options, word by word, that lead to `given`; one that is as it is without is left out."""
    absent = Given()
    words: list[list[str]] = []
    for name, annotation in {**_COMMON, **_SOURCE, **_PROXY, **_TARGET, **_READING, **_GUEST}.items():
        value = getattr(given, name)
        if value is None or value == getattr(absent, name):
            continue
        (option,) = (one for one in get_args(annotation) if isinstance(one, typer.models.OptionInfo))
        word = next(iter(option.param_decls or ()), f"--{name.replace('_', '-')}")
        for one in value if isinstance(value, list) else [value]:
            words.append([word] if one is True else [word, str(one)])
    return words
