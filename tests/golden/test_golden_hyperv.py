# SPDX-License-Identifier: Apache-2.0
"""The model of a machine whose configuration Hyper-V itself wrote (configuration version 9.0, generation 1).

tests/golden/hyperv/sample.json was written by `python -m tests.golden.test_golden_hyperv` from the file that
tests/hyperv_samples.py fetches.
"""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.hyperv_samples import sample
from v2x.model.codec import to_json
from v2x.sources import open_source

GOLDEN = Path(__file__).parent / "hyperv" / "sample.json"
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def inventory(folder: Path) -> bytes:
    home = folder / "Virtual Machines"
    home.mkdir()
    (home / "282874FC-59D6-4F30-BC04-5FDD909C82E0.vmcx").write_bytes(sample("test.vmcx"))
    (home / "282874FC-59D6-4F30-BC04-5FDD909C82E0.VMRS").write_bytes(sample("test.VMRS"))
    with open_source(folder, clock=lambda: MOMENT) as source:
        found = source.inventory()
    return to_json(found).replace(str(folder).encode(), b"FOLDER")


def test_a_configuration_that_hyper_v_wrote(tmp_path: Path) -> None:
    assert json.loads(inventory(tmp_path)) == json.loads(GOLDEN.read_bytes())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        GOLDEN.write_bytes(inventory(Path(temporary)))
