# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of sources: small real appliances."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[2] / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_KIT = _load("appliances")
_BOOK = _load("rvtools_book")


@pytest.fixture(scope="session")
def kit() -> ModuleType:
    """tests/appliances.py: builders of disks, descriptors, manifests and archives."""
    return _KIT


@pytest.fixture(scope="session")
def book() -> ModuleType:
    """tests/rvtools_book.py: builders of RVTools exports."""
    return _BOOK


@pytest.fixture(scope="session")
def disk_bytes() -> bytes:
    data: bytes = _KIT.content(3 * _KIT.MIB + 512)
    return data


@pytest.fixture(scope="session")
def disk_file(tmp_path_factory: pytest.TempPathFactory, disk_bytes: bytes) -> Path:
    """A streamOptimized VMDK that holds `disk_bytes`."""
    path: Path = _KIT.stream_vmdk(tmp_path_factory.mktemp("disk"), "disk.vmdk", disk_bytes)
    return path
