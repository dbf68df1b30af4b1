# SPDX-License-Identifier: Apache-2.0
"""Adds the manual pages and shell completion, made from the commands, to the wheel (`share/` of its prefix)."""

import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualHook(BuildHookInterface[Any]):
    """A checkout that is installed editable has no pages: it is built once, and its commands change."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "standard":
            return
        sys.path.insert(0, self.root)
        from v2x.cli import manual

        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        date = datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%d") if epoch else ""
        share = Path(self.directory) / "share"
        shutil.rmtree(share, ignore_errors=True)
        for path in manual.write(share, date):
            build_data["shared_data"][str(path)] = f"share/{path.relative_to(share)}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        shutil.rmtree(Path(self.directory) / "share", ignore_errors=True)
