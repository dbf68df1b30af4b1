# SPDX-License-Identifier: Apache-2.0
"""A simulated pool of 10,000 VMs with 30,000 disks: start, memory, the big calls, and how late an event comes.

Prints a table; nothing is judged here (tests/simulators/test_xapi_keeping.py holds the bounds).
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from v2x.simulators.xapi import Pool

VMS, DISKS = 10_000, 3
_CLIENT = """
import http.client, re, ssl, sys, threading, time, xmlrpc.client
address, password = sys.argv[1:]

class Caller:
    def __init__(self):
        self.connection = http.client.HTTPSConnection(address, context=ssl._create_unverified_context(), timeout=120)

    def __call__(self, method, *params):
        self.connection.request("POST", "/RPC2", xmlrpc.client.dumps(params, method))
        return self.connection.getresponse().read()

call = Caller()
session = re.search(rb"OpaqueRef:[-0-9a-f]+", call("session.login_with_password", "root", password))[0].decode()
for cls in ("VM", "VDI", "VBD", "VIF", "SR"):
    before = time.perf_counter()
    body = call(f"{cls}.get_all_records", session)
    print(f"{cls}.get_all_records|{time.perf_counter() - before:.2f} s|{len(body) / 2**20:.1f} MiB")
before = time.perf_counter()
body = call("event.from", session, ["*"], "", 5.0)
print(f"event.from of everything|{time.perf_counter() - before:.2f} s|{len(body) / 2**20:.1f} MiB")
token = re.search(rb"[0-9]{20},[0-9]{20}", body)[0].decode()
vm = re.search(rb"OpaqueRef:[-0-9a-f]+", call("VM.get_by_name_label", session, "vm-00005"))[0].decode()
late = []
for number in range(20):
    told = []
    watcher = Caller()
    def watch():
        body = watcher("event.from", session, ["vm"], token, 10.0)
        told.append((time.perf_counter(), re.search(rb"[0-9]{20},[0-9]{20}", body)[0].decode()))
    thread = threading.Thread(target=watch)
    thread.start()
    time.sleep(0.05)
    before = time.perf_counter()
    call("VM.set_name_description", session, vm, str(number))
    thread.join()
    late.append(told[0][0] - before)
    token = told[0][1]
late.sort()
print(f"an event reaches a waiting client|{late[len(late) // 2] * 1000:.1f} ms|median of {len(late)}")
"""


def resident_mib() -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) // 1024


def test_a_pool_of_ten_thousand_vms():
    rows: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory(prefix="v2x-bench-") as folder:
        with Pool(folder, hosts=3) as pool:
            before = time.perf_counter()
            pool.populate(VMS, disks=DISKS)
            rows.append(("populate", f"{time.perf_counter() - before:.2f} s", f"{resident_mib()} MiB"))
        pool = Pool(folder, hosts=3)
        before = time.perf_counter()
        with pool:
            rows.append(("start with a kept state", f"{time.perf_counter() - before:.2f} s", f"{resident_mib()} MiB"))
            command = [sys.executable, "-c", _CLIENT, pool.address, pool.password]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            rows += [tuple(line.split("|")) for line in told.splitlines()]  # type: ignore[misc]
    print(f"\n{VMS} VMs, {VMS * DISKS} disks")
    for what, took, size in rows:
        print(f"  {what:36} {took:>10}  {size}")
