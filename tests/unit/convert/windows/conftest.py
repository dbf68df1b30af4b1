# SPDX-License-Identifier: Apache-2.0
"""A Windows guest for each test, copied from one that is made once."""

from pathlib import Path

import pytest

from tests import windows_guests
from tests.windows_guests import WindowsFolder


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> WindowsFolder:
    return windows_guests.lay_windows(tmp_path_factory.mktemp("windows") / "guest")


@pytest.fixture
def guest(original: WindowsFolder, tmp_path: Path) -> WindowsFolder:
    return windows_guests.copied(original, tmp_path / "guest")
