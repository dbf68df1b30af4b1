# SPDX-License-Identifier: Apache-2.0
"""A certificate that nobody vouches for: where its fingerprint can be compared, and whether it is the right one."""

from dataclasses import replace

from v2x.cli import show
from v2x.cli.wizard.prompts import ask_yes
from v2x.cli.wizard.talk import Door, Talk
from v2x.endpoints import address_of
from v2x.errors import TrustError
from v2x.model.address import Address, Scheme
from v2x.model.plan import Endpoint
from v2x.tls import Trust, connect, seen_fingerprint

_PORT = {Scheme.VSPHERE: 443, Scheme.XAPI: 443, Scheme.HYPERV: 5986}
_WITHOUT_TLS = 5985
_WHO = {
    Scheme.VSPHERE: "ESXi hosts and vCenters make their own certificates when they are installed",
    Scheme.XAPI: "The hosts of a pool make their own certificates when they are installed",
    Scheme.HYPERV: "Windows hosts are often given certificates of their own for remote management",
}
_WHERE = {
    Scheme.VSPHERE: (
        (
            "on the ESXi host, at its console or by SSH",
            "openssl x509 -in /etc/vmware/ssl/rui.crt -noout -fingerprint -sha256",
        ),
        (
            "on the vCenter, in the shell of its appliance",
            "/usr/lib/vmware-vmafd/bin/vecs-cli entry getcert --store MACHINE_SSL_CERT --alias __MACHINE_CERT"
            " | openssl x509 -noout -fingerprint -sha256",
        ),
    ),
    Scheme.XAPI: (
        (
            "on the pool's coordinator, at its console or by SSH",
            "openssl x509 -in /etc/xensource/xapi-ssl.pem -noout -fingerprint -sha256",
        ),
    ),
    Scheme.HYPERV: (
        (
            "on the Windows host, in PowerShell",
            "Get-ChildItem Cert:\\LocalMachine\\My | ForEach-Object { $_.Subject; [BitConverter]::ToString("
            "[Security.Cryptography.SHA256]::Create().ComputeHash($_.RawData)) }",
        ),
    ),
}
"""Where the SHA-256 of the certificate can be read, by a way that does not lead over the network."""


def reach(talk: Talk, endpoint: Endpoint, side: str) -> None:
    """Whether each server answers and is trusted, before a password is asked for; sends nothing.

    ConnectError or TrustError for one that is not. Behind a proxy, and without TLS, nothing can be said yet.
    """
    address = address_of(side, endpoint.address)
    bare = endpoint.settings.get("transport") == "http" or address.port == _WITHOUT_TLS
    if address.scheme not in _PORT or bare or (side == "source" and talk.given.source_proxy):
        return
    pins = endpoint.fingerprint.split(",")
    for number, host in enumerate(address.hosts):
        pin = pins[number] if len(pins) == len(address.hosts) else pins[0]
        trust = Trust(ca_file=endpoint.ca_file, fingerprint=pin, option=side)
        connect(host, address.port or _PORT[address.scheme], trust).close()


def trusted(talk: Talk, door: Door, problem: TrustError) -> bool:
    """Shows what the server offers and asks. Where it is trusted, the pin counts from here on.

    A server that was pinned and shows something else is never trusted by a yes.
    """
    endpoint = talk.app.endpoint(door.side, door.text)
    if endpoint.fingerprint or problem.code != TrustError.code:
        show.problem(problem)
    else:
        talk.prompts.tell(problem.message)
    if endpoint.fingerprint:
        talk.prompts.tell(
            "It is not the certificate that was agreed on before. Either it was renewed, which its administrator "
            "knows, or somebody stands in between. Nothing was sent to it. Compare it there, and change the pin where "
            "it was written down."
        )
        return False
    address = address_of(door.side, endpoint.address)
    pins = [seen_fingerprint(host, address.port or _PORT.get(address.scheme, 443)) for host in address.hosts]
    if not pins or not all(pins):
        return False
    _tell(talk, address, pins)
    if not ask_yes(talk.prompts, "Are they the same? Trust exactly this certificate?", default=False):
        talk.prompts.tell("It is not trusted, and nothing was sent to it.")
        return False
    side = replace(door.given, fingerprint=",".join(pins))
    if door.side == "source":
        talk.app.source_side = side
    else:
        talk.app.target_side = side
    return True


def _tell(talk: Talk, address: Address, pins: list[str]) -> None:
    tell = talk.prompts.tell
    tell(
        f"{_WHO[address.scheme]}, so this is usual at the first contact. To be sure that it is yours and "
        "nobody stands in between, compare the fingerprint (SHA-256):"
    )
    for host, pin in zip(address.hosts, pins, strict=True):
        tell("\n".join(f"  {line}" for line in (*([f"{host}:"] if len(pins) > 1 else ()), *grouped(pin))))
    tell("with what is printed by a way that does not lead over the network:")
    for where, command in _WHERE[address.scheme]:
        tell(f"  {where}:")
        tell(f"    {command}")


def grouped(pin: str) -> tuple[str, str]:
    """The digits as openssl prints them, in two lines."""
    digits = pin.removeprefix("sha256:").upper()
    pairs = [digits[at : at + 2] for at in range(0, len(digits), 2)]
    return ":".join(pairs[:16]) + ":", ":".join(pairs[16:])
