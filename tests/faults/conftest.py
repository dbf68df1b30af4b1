# SPDX-License-Identifier: Apache-2.0
"""The benches of whole runs, for faults too."""

from tests.e2e.conftest import bench, site

__all__ = ["bench", "site"]
