# SPDX-License-Identifier: Apache-2.0
"""The inventory of the test estate's RVTools export, kept whole.

PYTHONPATH=. python tests/golden/rvtools/test_golden_rvtools.py

writes it anew after a deliberate change; read the difference before committing it.
"""

import importlib.util
import json
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from v2x.model.codec import to_json
from v2x.sources import open_source

HERE = Path(__file__).parent


def inventory(folder: Path) -> bytes:
    spec = importlib.util.spec_from_file_location("rvtools_book", HERE.parents[1] / "rvtools_book.py")
    assert spec is not None and spec.loader is not None
    book = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(book)
    path = book.write_xlsx(folder / "export.xlsx", book.estate())
    with open_source(path, clock=lambda: datetime(2026, 1, 2, tzinfo=UTC)) as source:
        found = source.inventory()
    return to_json(replace(found, source=replace(found.source, address="export.xlsx")))


def test_the_inventory_is_the_golden_one(tmp_path: Path) -> None:
    assert json.loads(inventory(tmp_path)) == json.loads((HERE / "inventory.json").read_bytes())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        (HERE / "inventory.json").write_bytes(inventory(Path(temporary)))
