# SPDX-License-Identifier: Apache-2.0
"""Roles and their permissions: names of calls in lower case (xapi: gen_rbac.ml, rbac.ml, datamodel.ml http_actions)."""

from v2x.simulators.xapi.datamodel import Datamodel

HTTP = {
    "http/connect_nbd": "vm-admin",
    "http/get_export": "vm-admin",
    "http/get_export_metadata": "vm-admin",
    "http/get_export_raw_vdi": "vm-admin",
    "http/put_import": "vm-admin",
    "http/put_import_metadata": "vm-admin",
    "http/put_import_raw_vdi": "vm-admin",
}
"""Least role of what goes over HTTP beside the calls."""
TASKS_OF_OTHERS = "pool-operator"


def permissions_of(model: Datamodel, role: str) -> frozenset[str]:
    """What a role may do, also of map keys with a role of their own (`vm.add_to_other_config/key:folder`)."""
    at = model.roles.index(role)
    found = {name for name, least in HTTP.items() if model.roles.index(least) >= at}
    for message in model.calls.values():
        if message.pool_internal or message.role not in model.roles:
            continue
        name = message.full_name.lower()
        if model.roles.index(message.role) >= at:
            found.add(name)
        for key, least in message.key_roles.items():
            if model.roles.index(least) >= at:
                found.add(f"{name}/key:{key.lower()}")
    if model.roles.index(TASKS_OF_OTHERS) >= at:
        found |= {"task.cancel/any", "task.destroy/any"}
    return frozenset(found)
