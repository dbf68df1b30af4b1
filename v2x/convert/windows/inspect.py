# SPDX-License-Identifier: Apache-2.0
"""What a Windows guest is, from its own registry."""

from v2x.convert.interface import Inspection
from v2x.convert.registry import Hive
from v2x.convert.windows.view import Hives, WindowsDisk, WindowsFacts, find

_ROOTS = ("/Windows", "/WINNT")
_VERSION = "Microsoft\\Windows NT\\CurrentVersion"
_FIRST_WINDOWS_11 = 22000


def hive_paths(disk: WindowsDisk) -> tuple[str, dict[Hive, str]] | None:
    """The system's folder and its two hives; None for what is no Windows."""
    for root in _ROOTS:
        found = {hive: find(disk, f"{root}/System32/config/{hive.value}") for hive in Hive}
        paths = {hive: path for hive, path in found.items() if path is not None}
        if len(paths) == len(Hive):
            return find(disk, root) or root, paths
    return None


def facts_of(root: str, hives: Hives) -> WindowsFacts | None:
    """None where the registry does not say which control set boots, so that nothing can be known of it."""
    sets = tuple(dict.fromkeys(name for name in (_control_set(hives, one) for one in ("Default", "Current")) if name))
    if not sets:
        return None
    about = hives.values(Hive.SOFTWARE, _VERSION) or {}

    def text(name: str) -> str:
        return about[name].text if name in about else ""

    def number(name: str) -> int | None:
        return about[name].number if name in about else None

    build = int(text("CurrentBuild")) if text("CurrentBuild").isdecimal() else 0
    major, minor = number("CurrentMajorVersionNumber"), number("CurrentMinorVersionNumber")
    version = (major, minor or 0) if major is not None else _version(text("CurrentVersion"))
    environment = f"{sets[0]}\\Control\\Session Manager\\Environment"
    architecture = hives.value(Hive.SYSTEM, environment, "PROCESSOR_ARCHITECTURE")
    kind = hives.value(Hive.SYSTEM, f"{sets[0]}\\Control\\ProductOptions", "ProductType")
    product = text("ProductName")
    if build >= _FIRST_WINDOWS_11:
        product = product.replace("Windows 10", "Windows 11")  # as Windows 11's registry still calls it
    return WindowsFacts(
        root=root,
        version=version,
        build=build,
        product=product,
        edition=text("EditionID"),
        architecture=architecture.text if architecture else "",
        product_type=kind.text if kind else "",
        control_sets=sets,
    )


def inspection_of(facts: WindowsFacts) -> Inspection:
    version = ".".join(map(str, (*facts.version, facts.build)))
    return Inspection(os="windows", distro="windows", version=version, name=facts.product)


def _control_set(hives: Hives, which: str) -> str:
    found = hives.value(Hive.SYSTEM, "Select", which)
    number = found.number if found else None
    name = f"ControlSet{number:03}" if number is not None and number < 1000 else ""
    return name if name and hives.values(Hive.SYSTEM, name) is not None else ""


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else (0, 0)
