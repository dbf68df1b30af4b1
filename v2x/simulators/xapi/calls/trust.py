# SPDX-License-Identifier: Apache-2.0
"""Certificates that the pool trusts, revocation lists, and the servers' own (xapi: certificates.ml, xapi_pool.ml)."""

import re
import ssl

from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import Context, PoolState, call

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _installed(state: PoolState) -> dict[str, str]:
    """name → reference of the certificates of kind `ca`."""
    store = state.store
    return {store.get("Certificate", c, "name"): c for c in store.find("Certificate", type="ca")}


@call("pool.certificate_install", "pool.install_ca_certificate")
def install(context: Context, name: str, cert: str) -> None:
    if not _NAME.fullmatch(name):
        raise ApiError("CERTIFICATE_NAME_INVALID", name)
    if name in _installed(context.state):
        raise ApiError("CERTIFICATE_ALREADY_EXISTS", name)
    try:
        ssl.PEM_cert_to_DER_cert(cert)
    except ValueError:
        raise ApiError("CERTIFICATE_CORRUPT", name) from None
    context.store.add("Certificate", {"name": name, "type": "ca"})


@call("pool.certificate_uninstall", "pool.uninstall_ca_certificate")
def uninstall(context: Context, name: str, _force: bool = False) -> None:
    known = _installed(context.state)
    if name not in known:
        raise ApiError("CERTIFICATE_DOES_NOT_EXIST", name)
    context.store.remove("Certificate", known[name])


@call("pool.certificate_list")
def listed(context: Context) -> list[str]:
    return sorted(_installed(context.state))


@call("pool.crl_install")
def crl_install(_context: Context, name: str, _cert: str) -> None:
    """None is kept: whatever is given is taken for damaged."""
    if not _NAME.fullmatch(name):
        raise ApiError("CRL_NAME_INVALID", name)
    raise ApiError("CRL_CORRUPT", name)


@call("pool.crl_uninstall")
def crl_uninstall(_context: Context, name: str) -> None:
    raise ApiError("CRL_DOES_NOT_EXIST", name)


@call("pool.crl_list")
def crl_list(_context: Context) -> list[str]:
    return []


@call("host.install_server_certificate")
def install_server(_context: Context, _host: str, certificate: str, key: str, _chain: str) -> None:
    """A listener goes on with its own certificate, so every other is refused."""
    if "BEGIN" not in key:
        raise ApiError("SERVER_CERTIFICATE_KEY_INVALID")
    try:
        ssl.PEM_cert_to_DER_cert(certificate)
    except ValueError:
        raise ApiError("SERVER_CERTIFICATE_INVALID") from None
    raise ApiError("SERVER_CERTIFICATE_KEY_MISMATCH")
