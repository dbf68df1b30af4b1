# SPDX-License-Identifier: Apache-2.0
"""The recipe of the golden reports, as a fixture."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def recipe() -> ModuleType:
    path = Path(__file__).with_name("recipe.py")
    spec = importlib.util.spec_from_file_location("golden_reports_recipe", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
