# SPDX-License-Identifier: Apache-2.0
"""`v2x migrate` as it is, and then what its report says: `v2x_migrate.py REPORT ARGUMENT…`."""

import json
import sys
from pathlib import Path

from v2x.cli import run

report = Path(sys.argv[1])
report.unlink(missing_ok=True)
code = run(["migrate", *sys.argv[2:], "--quiet", "--report", str(report)])
if code:
    sys.exit(code)
migrations = json.loads(report.read_text("utf-8"))["migrations"]
print(json.dumps({"bytes": sum(disk["sent_bytes"] for disk in migrations[0]["disks"])}))
