# SPDX-License-Identifier: Apache-2.0
"""A VMDK as a VHD stream to the sink at PORT, through the parts that a copy uses. `v2x_send.py PORT VMDK`."""

import json
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from v2x.disks.extent import touched_blocks
from v2x.disks.listing import FolderListing
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.disks.vmdk import open_vmdk
from v2x.migrate.digests import DigestTable, digest_of
from v2x.migrate.pump import pumped
from v2x.target.xapi.streams import Piece, Vhd

began = time.monotonic()
image = Path(sys.argv[2])
reader = open_vmdk(FolderListing(image.parent), image.name)
blocks = touched_blocks(reader.extents(0, reader.size), BLOCK_BYTES)
stream = Vhd(reader.size, blocks, uuid=UUID(int=1), timestamp=0)
digests = DigestTable()
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:

    def send(pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            connection.sendall(piece)

    send(stream.head())
    with pumped(reader, blocks, BLOCK_BYTES, digest=digest_of) as pump:
        for block in pump:
            send(stream.block(block.number, block.data))
            digests.add(block.number, block.digest)
    send(stream.foot())
    connection.shutdown(socket.SHUT_WR)
    received = int.from_bytes(connection.recv(8, socket.MSG_WAITALL), "big")
assert received == stream.content_length
print(json.dumps({"bytes": received, "work_s": time.monotonic() - began}))
