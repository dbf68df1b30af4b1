# SPDX-License-Identifier: Apache-2.0
"""FILE behind a TLS server that answers ranges: `ranges_server.py FOLDER FILE`; prints its port, runs until stdin ends.

Its certificate is in FOLDER.
"""

import json
import sys
from pathlib import Path

from tests.ranges import serving

folder, file = map(Path, sys.argv[1:])
with serving(folder) as server:
    server.files["/disk"] = file.read_bytes()
    print(json.dumps({"port": server.port, "pem": str(server.pem)}), flush=True)
    sys.stdin.read()
