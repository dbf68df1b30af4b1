# SPDX-License-Identifier: Apache-2.0
"""Opens a disk over the best transport that works: whether one does is often known only by opening it."""

from collections.abc import Callable
from typing import Final

from v2x.disks.interface import DiskReader
from v2x.errors import BadImage, ConnectError, InputRefused, PermissionRefused, SourceError, UsageError, V2xError
from v2x.model.machine import Disk, Machine
from v2x.sources.interface import Checkpoint
from v2x.sources.vsphere.session import VsphereSession
from v2x.sources.vsphere.transports.choose import at_place, candidates
from v2x.sources.vsphere.transports.https import open_https
from v2x.sources.vsphere.transports.nfc import open_nfc
from v2x.sources.vsphere.transports.options import Transport, TransportOptions
from v2x.sources.vsphere.transports.place import DiskPlace, place_of
from v2x.sources.vsphere.transports.ssh import open_ssh
from v2x.sources.vsphere.transports.vddk import open_vddk
from v2x.sources.vsphere.transports.vmkernel import address_on

# What speaks against the disk itself, or against trust in the server, speaks against it on every way.
_FINAL: Final = frozenset({"SOURCE-GONE", "SOURCE-CHANGED", "TRACKING", "CAPACITY-MISMATCH", "RAW-DEVICE", "ENCRYPTED"})
_PASSING_KINDS: Final = (ConnectError, InputRefused, PermissionRefused, SourceError, UsageError)

Open = Callable[[VsphereSession, DiskPlace, TransportOptions], DiskReader]


def _vddk(session: VsphereSession, place: DiskPlace, options: TransportOptions) -> DiskReader:
    return open_vddk(place, session.host, session.user, session.password, session.certificate, options.vddk)


def _ssh(session: VsphereSession, place: DiskPlace, options: TransportOptions) -> DiskReader:
    """The session's password is the host's own only where the session is with that host, as the same user."""
    own = not session.about.is_vcenter and session.user == options.ssh.user and not options.ssh.host
    host = options.ssh.host or (place.host if session.about.is_vcenter else session.host)
    if options.network:
        host = address_on(session, place, options.network)
    return open_ssh(place, host, session.password if own else None, options.ssh)


_OPENERS: Final[dict[Transport, Open]] = {
    Transport.HTTPS: open_https,
    Transport.NFC: open_nfc,
    Transport.VDDK: _vddk,
    Transport.SSH: _ssh,
}


def open_disk(
    session: VsphereSession, machine: Machine, disk: Disk, at: Checkpoint, options: TransportOptions
) -> DiskReader:
    """The disk at its checkpoint, over the transport asked for or the first of the fitting ones that opens it.

    A transport that does not open is told to `options.warn` and the next one is tried; the first one's error is
    raised when none does. Refused passwords, untrusted certificates and faults of the disk itself are final.
    """
    place = place_of(session, machine, disk, at)
    first: V2xError | None = None
    last: V2xError | None = None
    for candidate in candidates(at_place(place), options):
        if last is not None:
            options.warn(f"{place.title}: {last.message}; trying {candidate.transport}")
        try:
            return _OPENERS[candidate.transport](session, place, options)
        except _PASSING_KINDS as problem:
            if isinstance(problem, BadImage) or problem.code in _FINAL:
                raise
            first, last = first or problem, problem
    raise first or SourceError(f"no transport for {place.title}")
