# SPDX-License-Identifier: Apache-2.0
"""Software that is installed in the guest, as its own list of programs to uninstall has it."""

import re

from v2x.convert.registry import Hive
from v2x.convert.windows.view import WindowsView

_LISTS = (
    "Microsoft\\Windows\\CurrentVersion\\Uninstall",
    "WOW6432Node\\Microsoft\\Windows\\CurrentVersion\\Uninstall",
)
_CODE = re.compile(r"^\{[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}$")
VMWARE_TOOLS = "VMware Tools"
_PV_DRIVERS = re.compile(r"(?:xcp-ng|xenserver|citrix|xen).{0,30}(?:pv|tools|driver|agent)", re.IGNORECASE)


def product_codes(view: WindowsView, name: str) -> list[str]:
    """Windows Installer's codes of what is installed under this very name."""
    return [code for code, shown in _installed(view) if shown == name and _CODE.match(code)]


def has_pv_drivers(view: WindowsView) -> bool:
    """Whether PV drivers for Xen are installed already, of whichever maker."""
    return any(_PV_DRIVERS.search(shown) for _, shown in _installed(view))


def _installed(view: WindowsView) -> list[tuple[str, str]]:
    found = []
    for base in _LISTS:
        for code in view.registry.subkeys(Hive.SOFTWARE, base):
            shown = view.software(f"{base}\\{code}", "DisplayName")
            if shown is not None:
                found.append((code, shown.text))
    return found
