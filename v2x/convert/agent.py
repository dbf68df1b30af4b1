# SPDX-License-Identifier: Apache-2.0
"""The pool's guest agent, installed on request from a package file, by the guest's own tools and without a network."""

from v2x.convert.interface import Command, Facts, GuestFiles, Otherwise, Proposal, Remark, Upload

_FOLDER = "/var/cache/v2x"
_APT = ("apt", "/usr/bin/dpkg")
_WAYS = {
    # apt finds out what is missing before it unpacks anything; dpkg would leave a package half installed.
    ".deb": ("apt-get", "install", "--yes", "--allow-downgrades"),
    ".rpm": ("rpm", "--upgrade", "--replacepkgs"),
}
_BY_MANAGER = {"apt": ".deb", "dnf": ".rpm", "yum": ".rpm", "zypper": ".rpm", "rpm": ".rpm"}
_REMEDY = "install the agent in the guest after its first start"


def guest_agent(files: GuestFiles, facts: Facts) -> Proposal:
    """Nothing where none is wished for; a remark where the guest cannot take such a package."""
    package = facts.wishes.agent
    if package is None or is_installed(files):
        return Proposal()
    kind = package.suffix.lower()
    if _BY_MANAGER.get(facts.inspection.package_manager) != kind:
        manager = facts.inspection.package_manager or "no package manager that is known"
        return Proposal(
            remarks=(
                Remark(text=f"{package.name} cannot be installed in the guest, which has {manager}", remedy=_REMEDY),
            )
        )
    upload = Upload(source=package, to=f"{_FOLDER}/agent{kind}")
    command = Command(
        argv=(*quiet(kind), *_WAYS[kind], upload.to),
        why=f"the pool's guest agent, from {package.name}",
        upload=upload,
        otherwise=Otherwise(text=f"{package.name} could not be installed", remedy=_REMEDY),
    )
    return Proposal(commands=(command,))


def is_installed(files: GuestFiles) -> bool:
    """Whether an agent is there, of Xen's own maker or the one written in Rust."""
    return any(files.exists(path) for path in ("/usr/sbin/xe-daemon", "/usr/sbin/xen-guest-agent"))


def quiet(kind: str) -> tuple[str, ...]:
    """What a package program of this kind is started through, so that it asks nobody."""
    return ("env", "DEBIAN_FRONTEND=noninteractive") if kind == ".deb" else ()
