# SPDX-License-Identifier: Apache-2.0
"""The checks of `v2x doctor`."""

import importlib
import importlib.metadata
import platform
import shutil
from collections.abc import Iterable
from dataclasses import dataclass

from v2x.app import App
from v2x.cli.packages import System
from v2x.errors import V2xError
from v2x.model.units import show_bytes
from v2x.plan.identity import machine_of
from v2x.sources.interface import Diagnoses
from v2x.target.rights import TellsRights
from v2x.text import plural, printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One check. `required` ones make doctor fail; `access` says that the failure is one of connection or login,
    `code` is that of the error."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    required: bool = False
    access: bool = False
    code: str = ""


_PROGRAMS = (
    ("qemu-img", "reads and compares exotic formats"),
    ("qemu-nbd", "reads QCOW2 with zstd or extended tables, and staged VHD files"),
    ("nbdkit", "reads disks over VDDK and SSH"),
)
_MODULES = (
    ("gssapi", "kerberos", "pip install 'v2x[kerberos]', which may need", "Kerberos for Hyper-V"),
    ("keyring", "keyring", "pip install 'v2x[keyring]', or", "passwords from the system's keyring"),
)
"""Module, part of packages.NAMES, how to bring it with that, what it is for."""
_PACKAGES = ("deflate", "xxhash", "XenAPI", "pyvmomi", "pypsrp", "smbprotocol")


def check_machine(here: System) -> list[Line]:
    """The programs and libraries on this machine. Only what `required` names is needed for every migration."""
    lines = [Line(name="python", ok=True, found=platform.python_version(), required=True)]
    if here.advice:
        lines.append(
            Line(name="system", ok=False, found=f"{here.name}: {here.advice}", remedy="use Debian 12 or later")
        )
    else:
        lines.append(Line(name="system", ok=True, found=here.name))
    lines += [_package(name) for name in _PACKAGES]
    for program, what in _PROGRAMS:
        path = shutil.which(program)
        found = _version(program) if path else f"not found: {what}"
        lines.append(Line(name=program, ok=path is not None, found=found, remedy=here.install(program)))
    lines.append(_libnbd(here))
    for module, part, pip, what in _MODULES:
        try:
            importlib.import_module(module)
        except ImportError:
            remedy = f"{pip}: {here.install(part)}"
            lines.append(Line(name=module, ok=False, found=f"not importable: {what}", remedy=remedy))
        else:
            lines.append(Line(name=module, ok=True, found="importable"))
    lines.append(_libguestfs(here))
    free = shutil.disk_usage(".").free
    lines.append(Line(name="free space here", ok=free > 64 << 20, found=show_bytes(free), remedy="free some space"))
    return lines


def _libnbd(here: System) -> Line:
    """As it is loaded when a disk is read: from the virtual environment, or from where Debian keeps it."""
    from v2x.disks.libnbd import libnbd

    try:
        libnbd()
    except V2xError:
        found = "not importable: reads disks through qemu-nbd and nbdkit"
        remedy = f"{here.install('nbd')}, and run v2x with the system's python3"
        return Line(name="nbd", ok=False, found=found, remedy=remedy)
    return Line(name="nbd", ok=True, found="importable")


def _libguestfs(here: System) -> Line:
    """Asked of the system's Python, which is the one that will run it."""
    from v2x.convert.guestfs import PYTHON, require_libguestfs

    try:
        require_libguestfs()
    except V2xError:
        found = "not found: looks into guests, and puts them right for Xen"
        return Line(name="libguestfs", ok=False, found=found, remedy=here.install("libguestfs"))
    return Line(name="libguestfs", ok=True, found=f"importable by {PYTHON}")


def _package(name: str) -> Line:
    try:
        return Line(name=name, ok=True, found=importlib.metadata.version(name), required=True)
    except importlib.metadata.PackageNotFoundError:
        return Line(name=name, ok=False, found="not installed", remedy=f"pip install {name}", required=True)


def _version(program: str) -> str:
    from v2x.proc import run

    try:
        first = run([program, "--version"], timeout=10).stdout.decode(errors="replace").splitlines()[:1]
    except V2xError as problem:
        return problem.message
    return printable(first[0], 60) if first else "found"


def check_source(app: App, text: str, wanted: str = "") -> list[Line]:
    """Whether a source can be opened and listed, what it permits, and how the disks of `wanted` will be read."""
    try:
        source = app.open_source(app.endpoint("source", text))
        try:
            inventory = source.inventory()
            machine = machine_of(inventory, wanted) if wanted else None
            checks = source.diagnosis(inventory, machine) if isinstance(source, Diagnoses) else ()
        finally:
            source.close()
    except V2xError as problem:
        return [_refused("source", problem)]
    found = f"{plural(len(inventory.machines), 'machine')} ({inventory.source.product or inventory.source.kind})"
    lines = [Line(name="source", ok=True, found=found, required=True)]
    for trouble in inventory.problems:
        line = Line(name="source", ok=False, found=printable(f"{trouble.subject}: {trouble.text}"), remedy="see above")
        lines.append(line)
    for one in checks:
        lines.append(Line(name=printable(one.name, 22), ok=one.ok, found=printable(one.found, 400), remedy=one.remedy))
    return lines


def check_target(app: App, text: str) -> list[Line]:
    """Whether a target can be reached, what it is, whether it can take machines, and what the account may do there."""
    try:
        target = app.open_target(app.endpoint("target", text))
        try:
            facts = target.facts()
            rights = target.rights() if isinstance(target, TellsRights) else ()
        finally:
            target.close()
    except V2xError as problem:
        return [_refused("target", problem)]
    lines = [Line(name="target", ok=True, found=f"{facts.product} {facts.version} {facts.pool_name}", required=True)]
    stores = [sr for sr in facts.storage if sr.content_type == "user" and sr.hosts]
    lines.append(
        Line(
            name="storage",
            ok=bool(stores) or facts.kind == "xva",
            found=_joined(f"{sr.name} ({show_bytes(sr.free_bytes)} free)" for sr in stores) or "none for disks",
            remedy="plug the PBD of an SR, or create one",
            required=True,
        )
    )
    down = [host.name for host in facts.hosts if not host.enabled]
    if down:
        lines.append(Line(name="hosts", ok=False, found=f"disabled: {_joined(down)}", remedy="end maintenance mode"))
    for one in rights:
        lines.append(Line(name=one.name, ok=one.ok, found=printable(one.found, 600), remedy=one.remedy))
    return lines


def _joined(names: Iterable[str]) -> str:
    return ", ".join(printable(name, 60) for name in names)


def _refused(name: str, problem: V2xError) -> Line:
    return Line(
        name=name,
        ok=False,
        found=problem.message,
        remedy=problem.hint or "check the address",
        required=True,
        access=problem.exit_code == 5,
        code=problem.code,
    )
