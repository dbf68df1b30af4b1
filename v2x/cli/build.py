# SPDX-License-Identifier: Apache-2.0
"""From the shared options to an `App`, and small questions that several commands ask."""

import os
import sys
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NoReturn

from v2x.app import App, Side
from v2x.cli.options import Given
from v2x.errors import UsageError
from v2x.passwords import password_files
from v2x.sources.vsphere.options import VsphereOptions
from v2x.sources.vsphere.transports.options import Allocation, SshOptions, TransportOptions, VddkOptions


def build(given: Given) -> App:
    """The composition root with what the command line gave."""
    app = App.create(
        config=given.config,
        mappings=given.mappings,
        source_side=Side(
            password_files=password_files("source", given.source_password_file or ()),
            ca=given.source_ca,
            fingerprint=given.source_fingerprint,
            settings=_settings(given),
            shares=tuple(given.share or ()),
            smb_user=given.smb_user or "",
            smb_encryption=not given.no_smb_encryption,
            experimental_vmcx=given.experimental_vmcx,
        ),
        target_side=Side(
            password_files=password_files("target", given.target_password_file or ()),
            ca=given.target_ca,
            fingerprint=given.target_fingerprint,
        ),
        ask=ask_password() if sys.stdin.isatty() else None,
    )
    app.read_all = given.allocation is Allocation.READ_ALL
    app.shutdown_minutes = given.shutdown_minutes
    app.vsphere = VsphereOptions(
        quiesce=given.quiesce,
        progress=count_machines(given),
        proxy=given.source_proxy,
        transport=TransportOptions(
            transport=given.transport,
            allocation=given.allocation,
            proxy=given.source_proxy,
            vddk=vddk_options(given, app.config.vddk),
            ssh=ssh_options(given, app.config.ssh),
        ),
    )
    return app


def vddk_options(given: Given, configured: Mapping[str, str]) -> VddkOptions:
    """What the command line says of VDDK goes before [vddk] of v2x.toml."""
    default = VddkOptions()
    libdir = str(given.vddk_libdir or "") or configured.get("libdir", "")
    return VddkOptions(
        libdir=Path(libdir).expanduser() if libdir else None,
        plugin=configured.get("plugin", default.plugin),
        program=configured.get("nbdkit", default.program),
        transports=configured.get("transports", default.transports),
        config=Path(configured["config"]).expanduser() if "config" in configured else None,
        compression=configured.get("compression", default.compression),
    )


def ssh_options(given: Given, configured: Mapping[str, str]) -> SshOptions:
    """What the command line says of SSH goes before [ssh] of v2x.toml; an agent is used where no key is named."""
    default = SshOptions()
    known = str(given.ssh_known_hosts or "") or configured.get("known_hosts", "")
    identity = str(given.ssh_identity or "") or configured.get("identity", "")
    return SshOptions(
        known_hosts=Path(known).expanduser() if known else None,
        user=given.ssh_user or configured.get("user", default.user),
        host=given.ssh_host or configured.get("host", default.host),
        port=int(configured.get("port", default.port)),
        volumes=configured.get("volumes", default.volumes),
        identity=Path(identity).expanduser() if identity else None,
        agent="" if identity else os.environ.get("SSH_AUTH_SOCK", ""),
    )


def count_machines(given: Given) -> Callable[[int], None] | None:
    """Shows how many machines were listed, on a terminal only; 0 ends it."""
    if given.quiet or not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    shown: list[tqdm[NoReturn]] = []

    def count(more: int) -> None:
        if not shown and more:
            shown.append(tqdm(desc="listing", unit=" machines", leave=False))
        if shown and more:
            shown[0].update(more)
        elif shown:
            shown.pop().close()

    return count


def _settings(given: Given) -> dict[str, str]:
    """The settings of the source, by the names that v2x.toml has for them."""
    found = {}
    for text in given.source_set or ():
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise UsageError(f"--source-set {text} is not KEY=VALUE", hint="for example --source-set auth=kerberos")
        found[key] = value
    return found


def ask_password() -> Callable[[str], str]:
    """Prompts on the terminal without echo."""
    from getpass import getpass

    return getpass


def selection(patterns: list[str] | None) -> Callable[[str], bool] | None:
    """A test of names and ids against shell patterns, without case; None where everything is wanted."""
    if not patterns:
        return None
    folded = [pattern.casefold() for pattern in patterns]
    return lambda name: any(fnmatchcase(name.casefold(), pattern) for pattern in folded)
