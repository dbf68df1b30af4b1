# SPDX-License-Identifier: Apache-2.0
"""Where an import writes: the volume, with the space of its SR, the ledger, and the fault of a full SR."""

from v2x.simulators.xapi.failure import DeviceFull
from v2x.simulators.xapi.ledger import Import
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.volumes import NoRoom, PastEnd


class Sink:
    """Takes writes of one import into one VDI. A write that does not fit fails after what fitted was written."""

    def __init__(self, state: PoolState, vdi: str, entry: Import) -> None:
        store = state.store
        uuid = store.get("VDI", vdi, "uuid")
        sr_uuid = store.get("SR", store.get("VDI", vdi, "SR"), "uuid")
        self.volume = state.volumes.get(uuid)
        self._entry = entry
        self._tally = state.ledger.tally(uuid)
        full = state.faults.take("sr_full", sr_uuid, uuid)
        self._full_at = full.at if full is not None else None

    def write(self, view: memoryview, offset: int) -> None:
        room = len(view)
        if self._full_at is not None:
            room = min(room, max(self._full_at - self._entry.written_bytes, 0))
        try:
            self.volume.write(view[:room], offset)
        except (NoRoom, PastEnd, OSError) as error:
            raise DeviceFull(f"Device I/O errors: {error}") from None
        finally:
            fitted = min(room, max(self.volume.size - offset, 0))
            self._entry.written_bytes += fitted
            self._tally.wrote(offset, fitted)
        if room < len(view):
            raise DeviceFull("Device I/O errors: no space left on the SR")

    def zero(self, offset: int, length: int) -> None:
        """Writes zeros, in pieces, as gaps of a tar stream do on a device that is not zeroed."""
        empty = memoryview(bytes(min(length, 1024 * 1024)))
        while length > 0:
            part = empty[: min(length, len(empty))]
            self.write(part, offset)
            offset, length = offset + len(part), length - len(part)
