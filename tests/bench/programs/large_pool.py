# SPDX-License-Identifier: Apache-2.0
"""A simulated pool with many VMs, in a process of its own: prints one line of JSON, runs until its stdin ends."""

import json
import sys
import tempfile

from v2x.simulators.xapi import Layout, Pool
from v2x.simulators.xapi.populating import populate

with (
    tempfile.TemporaryDirectory(prefix="v2x-bench-pool-") as folder,
    Pool(folder, save=False, layout=Layout(hosts=2), login_delay=0.0) as pool,
):
    populate(pool.state, int(sys.argv[1]))
    print(json.dumps({"address": f"xapi://{pool.user}@{pool.address}", "password": pool.password,
                      "fingerprint": pool.fingerprint}), flush=True)  # fmt: skip
    sys.stdin.read()
