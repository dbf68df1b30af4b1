# SPDX-License-Identifier: Apache-2.0
"""The calls that every class has: getters, setters, maps, sets, records, and plain constructors."""

from typing import Any

from v2x.simulators.xapi import filters
from v2x.simulators.xapi.datamodel import NULL, Message
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import Context

_EVERYWHERE = frozenset(
    {
        *("get_record", "get_by_uuid", "get_by_name_label", "get_all", "get_all_where"),
        *("get_all_records", "get_all_records_where"),
    }
)


_INERT = frozenset(
    {
        *(
            "VM.update_secureboot_certificates_on_boot",
            "VIF.update_allowed_operations",
            "VBD.update_allowed_operations",
        ),
        *(
            "host.send_debug_keys",
            "host.syslog_reconfigure",
            "host.sync_data",
            "host.backup_rrds",
            "host.sm_dp_destroy",
        ),
        *("host.refresh_pack_info", "host.reset_cpu_features", "host.apply_guest_agent_config", "host.rescan_drivers"),
        *("host.set_sched_gran", "host.allocate_resources_for_vm", "host.apply_recommended_guidances"),
        *("host.emergency_ha_disable", "host.emergency_clear_mandatory_guidance", "host.prepare_for_poweroff"),
        *("host.emergency_disable_tls_verification", "host.emergency_reenable_tls_verification"),
        *("host.refresh_server_certificate", "host.notify_accept_new_pool_secret", "host.cleanup_pool_secret"),
        *(
            "host.notify_send_new_pool_secret",
            "pool.certificate_sync",
            "pool.enable_ssl_legacy",
            "pool.disable_ssl_legacy",
        ),
        *("pool.enable_binary_storage", "pool.disable_binary_storage", "pool.enable_local_storage_caching"),
        *("pool.disable_local_storage_caching", "pool.rotate_secret"),
    }
)
"""Calls after which a client sees nothing that it did not see before."""


def carry_out(context: Context, message: Message, args: list[Any]) -> Any:
    """A call that has no code of its own. NOT_IMPLEMENTED for one the simulated pool cannot carry out."""
    kind = message.kind
    if message.name in _EVERYWHERE:  # the class message declares these as custom calls
        return _implicit(context, message, args)
    if kind == "getter":
        return context.store.get(message.cls, args[0], message.name.removeprefix("get_"))
    if kind == "constructor":
        return context.store.add(message.cls, args[0])
    if kind == "destructor":
        return context.store.remove(message.cls, args[0])
    return _change(context, message, args)


def _implicit(context: Context, message: Message, args: list[Any]) -> Any:
    store, cls = context.store, message.cls
    if message.name == "get_record":
        return store.record(cls, args[0])
    if message.name == "get_by_uuid":
        return store.by_uuid(cls, args[0])
    if message.name == "get_by_name_label":
        return store.find(cls, name_label=args[0])
    refs = store.refs(cls)
    if message.name.endswith("_where"):
        keep = filters.parse(args[0])
        refs = [r for r in refs if keep(store.record(cls, r))]
    if message.name.startswith("get_all_records"):
        return {ref: store.record(cls, ref) for ref in refs}
    return refs


def _change(context: Context, message: Message, args: list[Any]) -> None:
    fields = context.state.model.classes[message.cls].fields
    for prefix, change in (
        ("set_", _set),
        ("add_to_", _add_to),
        ("remove_from_", _remove_from),
        ("add_", _add),
        ("remove_", _remove),
    ):
        name = message.name.removeprefix(prefix)
        if message.name.startswith(prefix) and name in fields and message.params[0].type.kind == "ref":
            change(context, message.cls, args[0], name, args[1:])
            return
    _assert_references(context, message, args)
    if message.full_name not in _INERT:
        raise ApiError("NOT_IMPLEMENTED", message.full_name)


def _assert_references(context: Context, message: Message, args: list[Any]) -> None:
    """What is named must be there: HANDLE_INVALID as from any call."""
    for param, value in zip(message.params, args, strict=True):
        needed = param.type.kind == "ref" and not (value == NULL and param.has_default)
        if needed and not context.store.exists(param.type.name, value):
            raise ApiError("HANDLE_INVALID", param.type.name, value)


def _set(context: Context, cls: str, ref: str, name: str, args: list[Any]) -> None:
    context.store.set(cls, ref, **{name: args[0]})


def _add_to(context: Context, cls: str, ref: str, name: str, args: list[Any]) -> None:
    held = context.store.get(cls, ref, name)
    key, value = args
    if key in held:
        raise ApiError("MAP_DUPLICATE_KEY", cls, name, ref, key)
    context.store.set(cls, ref, **{name: {**held, key: value}})


def _remove_from(context: Context, cls: str, ref: str, name: str, args: list[Any]) -> None:
    held = context.store.get(cls, ref, name)
    if args[0] in held:
        del held[args[0]]
        context.store.set(cls, ref, **{name: held})


def _add(context: Context, cls: str, ref: str, name: str, args: list[Any]) -> None:
    held = context.store.get(cls, ref, name)
    if args[0] not in held:
        context.store.set(cls, ref, **{name: [*held, args[0]]})


def _remove(context: Context, cls: str, ref: str, name: str, args: list[Any]) -> None:
    held = context.store.get(cls, ref, name)
    if args[0] in held:
        context.store.set(cls, ref, **{name: [v for v in held if v != args[0]]})
