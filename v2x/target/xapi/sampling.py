# SPDX-License-Identifier: Apache-2.0
"""Single blocks of a VDI, by the read-only NBD of a pool that offers it.

A pool does so on networks whose purpose somebody set to `nbd`; v2x never sets or changes a purpose. The certificate
that the trusted coordinator names for the host is the only one that is taken (VDI.get_nbd_info: cert). With the
purpose `insecure_nbd` the session would cross the network in clear: such an offer is none.
"""

import logging
import ssl
from collections.abc import Mapping
from typing import Any

from v2x.disks import nbd_tls
from v2x.disks.nbd_tls import NbdTlsReader
from v2x.errors import TargetError, TrustError, V2xError
from v2x.target.xapi.client import Client
from v2x.target.xapi.listing import number, records
from v2x.target.xapi.upload import UploadTarget
from v2x.text import printable
from v2x.tls import Trust, fingerprint_of, leads_inward

_log = logging.getLogger("v2x.target")


def offered(client: Client, target: UploadTarget) -> bool:
    """As Samples.samples: the pool offers NBD with TLS, and there is a client for it here."""
    return nbd_tls.available() and bool(_offers(client, target))


def sampler(client: Client, target: UploadTarget) -> NbdTlsReader | None:
    """As Samples.sampler: the first offer that works."""
    offers = _offers(client, target)
    if not offers:
        return None
    if not nbd_tls.available():
        _log.warning("%s offers NBD, but libnbd is not installed: apt install python3-libnbd", client.host)
        return None
    failed: V2xError | None = None
    for offer in offers:
        try:
            return _opened(client, offer, target)
        except TrustError:
            raise
        except V2xError as problem:
            failed = problem
    raise failed or TargetError("no offer of NBD")


def _offers(client: Client, target: UploadTarget) -> list[Mapping[str, Any]]:
    """What the pool tells, without hosts that have no network with the secure purpose."""
    told = client.call("VDI.get_nbd_info", target.vdi)
    if not isinstance(told, list) or not told:
        return []
    secure = any("nbd" in (one.get("purpose") or ()) for one in records(client, "network").values())
    return [one for one in told if isinstance(one, dict)] if secure else []


def _opened(client: Client, offer: Mapping[str, Any], target: UploadTarget) -> NbdTlsReader:
    host, port = str(offer.get("address", "")), number(offer.get("port"))
    if leads_inward(host, client.host):
        raise TrustError(
            f"the pool offers NBD at {host}, which is no address of a host", hint="choose --verify full, or look there"
        )
    if not 0 < port < 65536:
        raise TargetError(f"the pool offers NBD at a port that is none: {port}")
    try:
        certificate = ssl.PEM_cert_to_DER_cert(str(offer.get("cert", "")).strip() + "\n")
    except ValueError:
        raise TrustError("the pool tells no usable certificate for its NBD server") from None
    trust = Trust(fingerprint=fingerprint_of(certificate), option=client.trust.option)
    try:
        reader = NbdTlsReader(host, port, str(offer.get("exportname", "")), trust, name=target.name)
    except TrustError as problem:
        raise TrustError(
            problem.message,
            hint="its NBD server shows another certificate than the pool names: restart xapi-nbd on that host, "
            "or choose --verify full, which does without",
        ) from None
    if reader.size != target.size_bytes:
        reader.close()
        raise TargetError(
            f"{target.name} has {reader.size:,} bytes by NBD and {target.size_bytes:,} by the pool's own account",
            hint="look at the storage of the pool",
        )
    _log.info("%s is sampled by NBD at %s", printable(target.name), printable(host))
    return reader
