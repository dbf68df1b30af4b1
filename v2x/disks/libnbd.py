# SPDX-License-Identifier: Apache-2.0
"""libnbd's Python module, which comes with the distribution and not from PyPI: it is imported when first needed."""

import importlib.machinery
import importlib.util
import sys
from typing import Any

from v2x.errors import UsageError

_DEBIAN_MODULES = "/usr/lib/python3/dist-packages"


def libnbd() -> Any:
    """The module `nbd`. UsageError MISSING-TOOL if it is not installed.

    A virtual environment does not see Debian's python3-libnbd. Where it was built for this Python, just its two
    modules are loaded from there, and nothing else of that folder becomes importable.
    """
    try:
        import nbd
    except ImportError:
        try:
            for name in ("libnbdmod", "nbd"):
                _load(name, _DEBIAN_MODULES)
        except ImportError as problem:
            sys.modules.pop("libnbdmod", None)
            raise UsageError(
                f"libnbd for Python {sys.version_info.major}.{sys.version_info.minor} is not installed: {problem}",
                code="MISSING-TOOL",
                hint="apt install python3-libnbd, and run v2x with the system's python3",
            ) from None
        return sys.modules["nbd"]
    return nbd


def _load(name: str, folder: str) -> None:
    spec = importlib.machinery.PathFinder.find_spec(name, [folder])
    if spec is None or spec.loader is None:
        raise ImportError(f"no module {name} in {folder}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
