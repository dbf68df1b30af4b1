# SPDX-License-Identifier: Apache-2.0
"""Editions, licences, workload balancing: what a pool without a licence server answers.

Facts: xapi, xapi_pool.ml, xapi_host.ml, workload_balancing.ml.
"""

from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import Context, call


def _editions(context: Context) -> tuple[str, ...]:
    return ("xcp-ng",) if context.state.profile.brand == "XCP-ng" else ("premium", "standard", "trial", "free")


def _assert_edition(context: Context, edition: str) -> None:
    if edition not in _editions(context):
        raise ApiError("INVALID_EDITION", edition)


@call("pool.apply_edition")
def apply_on_pool(context: Context, _pool: str, edition: str) -> None:
    _assert_edition(context, edition)
    for host in context.store.refs("host"):
        context.store.set("host", host, edition=edition)


@call("host.apply_edition")
def apply_on_host(context: Context, host: str, edition: str, _force: bool) -> None:
    _assert_edition(context, edition)
    context.store.set("host", host, edition=edition)


@call("pool.get_license_state")
def license_state(context: Context, _pool: str) -> dict[str, str]:
    return {"edition": context.store.get("host", context.state.master, "edition"), "expiry": "never"}


@call("host.license_apply", "host.license_add")
def add_licence(_context: Context, _host: str, _contents: str) -> None:
    raise ApiError("LICENSE_PROCESSING_ERROR")


@call("host.license_remove")
def remove_licence(context: Context, host: str) -> None:
    context.store.get("host", host, "uuid")


# workload balancing


@call("pool.initialize_wlb")
def initialize(_context: Context, url: str, *_credentials: str) -> None:
    """The server that is named is never reached."""
    name, _, port = url.partition(":")
    if not name or not port.isdigit():
        raise ApiError("WLB_URL_INVALID", url)
    raise ApiError("WLB_CONNECTION_REFUSED")


@call("pool.deconfigure_wlb", "pool.send_wlb_configuration", "pool.retrieve_wlb_configuration")
def not_initialized(_context: Context, *_config: dict[str, str]) -> None:
    raise ApiError("WLB_NOT_INITIALIZED")


@call("pool.retrieve_wlb_recommendations", "VM.retrieve_wlb_recommendations")
def no_recommendation(_context: Context, *_vm: str) -> None:
    raise ApiError("WLB_NOT_INITIALIZED")


@call("host.retrieve_wlb_evacuate_recommendations")
def no_evacuation(_context: Context, _host: str) -> None:
    raise ApiError("WLB_NOT_INITIALIZED")
