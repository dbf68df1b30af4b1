# SPDX-License-Identifier: Apache-2.0
"""From the shared options to an `App`, and small questions that several commands ask."""

import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import NoReturn

from v2x.app import App, Side
from v2x.cli.options import Given
from v2x.sources.vsphere.options import VsphereOptions
from v2x.sources.vsphere.transports.options import Allocation, SshOptions, TransportOptions, VddkOptions


def build(given: Given, allocation: Allocation = Allocation.AUTO) -> App:
    """The composition root with what the command line gave."""
    app = App.create(
        config=given.config,
        mappings=given.mappings,
        source_side=Side(
            password_file=given.source_password_file, ca=given.source_ca, fingerprint=given.source_fingerprint
        ),
        target_side=Side(
            password_file=given.target_password_file, ca=given.target_ca, fingerprint=given.target_fingerprint
        ),
        ask=ask_password() if sys.stdin.isatty() else None,
    )
    app.shutdown_minutes = given.shutdown_minutes
    app.vsphere = VsphereOptions(
        quiesce=given.quiesce,
        progress=count_machines(given),
        proxy=given.source_proxy,
        transport=TransportOptions(
            transport=given.transport,
            allocation=allocation,
            proxy=given.source_proxy,
            vddk=VddkOptions(libdir=given.vddk),
            ssh=SshOptions(known_hosts=given.ssh_known_hosts, user=given.ssh_user, identity=given.ssh_identity),
        ),
    )
    return app


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
