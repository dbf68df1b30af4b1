# SPDX-License-Identifier: Apache-2.0
"""Answers to single calls, of which no more than a limit is read: a server that lies does not fill the memory."""

import http.client

MOST_ANSWER_BYTES = 256 << 20
"""The areas of a disk, in use or changed, are the longest answers: some megabytes."""


class BoundedAnswer(http.client.HTTPResponse):
    """HTTPException beyond the limit. Nothing is unpacked, as nobody asked for that: a small answer stays small."""

    _taken = 0

    def read(self, amt: int | None = None) -> bytes:
        found = super().read(MOST_ANSWER_BYTES + 1 if amt is None or amt < 0 else amt)
        self._taken += len(found)
        if self._taken > MOST_ANSWER_BYTES:
            self.close()
            raise http.client.HTTPException(f"an answer of more than {MOST_ANSWER_BYTES >> 20} MiB")
        return found

    def getheader(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        return default if name.lower() == "content-encoding" else super().getheader(name, default)
