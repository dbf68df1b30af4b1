# SPDX-License-Identifier: Apache-2.0
"""Whether a TCP port answers from this machine. Only ports that a row names are ever asked."""

import ipaddress
import socket

SECONDS = 3.0


def answers(address: str, port: int) -> str | None:
    """Opens a connection and closes it; nothing is sent. This machine's own address in it, or None without one."""
    try:
        with socket.create_connection((address, port), timeout=SECONDS) as made:
            return str(made.getsockname()[0])
    except (OSError, UnicodeError):
        return None


def is_reachable(address: str) -> bool:
    """False for what leads to this machine itself, or to nobody: a guest may say anything of its addresses."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    return not (mapped.is_loopback or mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified)
