# SPDX-License-Identifier: Apache-2.0
"""One upload to a pool by TLS sendall and nothing else: the floor, and the second half of stage-then-upload.

`tls_upload.py ADDRESS USER FORMAT VDI_BYTES CONTENT`; the password is in V2X_TARGET_PASSWORD. CONTENT is a file, or a
number of bytes that are sent from one buffer. Trusts whatever certificate it meets: for loopback only.
"""

import json
import os
import socket
import ssl
import sys
import time
import xmlrpc.client
from pathlib import Path

PIECE_BYTES = 2 << 20

address, user, form, vdi_bytes, content = sys.argv[1:]
began = time.monotonic()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
pool = xmlrpc.client.ServerProxy(f"https://{address}/", context=context)


def call(name, *arguments):
    answer = getattr(pool, name)(*arguments)
    assert answer["Status"] == "Success", answer
    return answer["Value"]


session = call("session.login_with_password", user, os.environ["V2X_TARGET_PASSWORD"], "1.0", "bench")
sr = next(
    record["default_SR"] for record in call("pool.get_all_records", session).values() if record["default_SR"] != ""
)
fields = {"type": "user", "sharable": False, "read_only": False, "other_config": {}}
vdi = call(
    "VDI.create", session, {**fields, "name_label": "bench", "SR": sr, "virtual_size": vdi_bytes, "sm_config": {}}
)
task = call("task.create", session, "bench", "")
length = int(content) if content.isdigit() else Path(content).stat().st_size
host, _, port = address.rpartition(":")
with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain) as connection:
    query = f"session_id={session}&task_id={task}&vdi={vdi}&format={form}"
    head = f"PUT /import_raw_vdi?{query} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode("ascii"))
    assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    if content.isdigit():
        piece, left = memoryview(os.urandom(PIECE_BYTES)), length
        while left:
            connection.sendall(piece[: min(left, PIECE_BYTES)])
            left -= min(left, PIECE_BYTES)
    else:
        buffer = memoryview(bytearray(PIECE_BYTES))
        with Path(content).open("rb", buffering=0) as file:
            while got := file.readinto(buffer):
                connection.sendall(buffer[:got])
    while call("task.get_status", session, task) == "pending":
        time.sleep(0.02)
assert call("task.get_status", session, task) == "success", call("task.get_error_info", session, task)
print(json.dumps({"bytes": length, "work_s": time.monotonic() - began}))
