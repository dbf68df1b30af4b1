# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of sources: small real appliances."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("appliances", Path(__file__).parents[2] / "appliances.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_KIT = _load()


@pytest.fixture(scope="session")
def kit() -> ModuleType:
    """tests/appliances.py: builders of disks, descriptors, manifests and archives."""
    return _KIT


@pytest.fixture(scope="session")
def disk_bytes() -> bytes:
    data: bytes = _KIT.content(3 * _KIT.MIB + 512)
    return data


@pytest.fixture(scope="session")
def disk_file(tmp_path_factory: pytest.TempPathFactory, disk_bytes: bytes) -> Path:
    """A streamOptimized VMDK that holds `disk_bytes`."""
    path: Path = _KIT.stream_vmdk(tmp_path_factory.mktemp("disk"), "disk.vmdk", disk_bytes)
    return path
