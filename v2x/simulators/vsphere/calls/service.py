# SPDX-License-Identifier: Apache-2.0
"""The service's own methods: what it is, time, login and logout, options, privileges."""

from datetime import UTC, datetime
from typing import Any

from pyVmomi import vim, vmodl

from v2x.simulators.vsphere import traversal
from v2x.simulators.vsphere.about import about
from v2x.simulators.vsphere.dispatch import method
from v2x.simulators.vsphere.state import Context, State, asking
from v2x.simulators.vsphere.store import Entity, computed

_ON_VCENTER: dict[str, tuple[type, str]] = {
    "propertyCollector": (vmodl.query.PropertyCollector, "propertyCollector"),
    "viewManager": (vim.view.ViewManager, "ViewManager"),
    "setting": (vim.option.OptionManager, "VpxSettings"),
    "sessionManager": (vim.SessionManager, "SessionManager"),
    "authorizationManager": (vim.AuthorizationManager, "AuthorizationManager"),
    "taskManager": (vim.TaskManager, "TaskManager"),
    "eventManager": (vim.event.EventManager, "EventManager"),
    "customFieldsManager": (vim.CustomFieldsManager, "CustomFieldsManager"),
    "licenseManager": (vim.LicenseManager, "LicenseManager"),
    "searchIndex": (vim.SearchIndex, "SearchIndex"),
    "fileManager": (vim.FileManager, "FileManager"),
    "virtualDiskManager": (vim.VirtualDiskManager, "virtualDiskManager"),
    "ovfManager": (vim.OvfManager, "OvfManager"),
}
_ON_ESXI = {
    "propertyCollector": "ha-property-collector",
    "viewManager": "ViewManager",
    "setting": "HostAgentSettings",
    "sessionManager": "ha-sessionmgr",
    "authorizationManager": "ha-authmgr",
    "taskManager": "ha-taskmgr",
    "eventManager": "ha-eventmgr",
    "licenseManager": "ha-license-manager",
    "searchIndex": "ha-searchindex",
    "fileManager": "ha-nfc-file-manager",
    "virtualDiskManager": "ha-vdiskmanager",
    "ovfManager": "ha-ovf-manager",
}
"""The ids that a lone host gives its singletons; it has no custom fields."""


def install(state: State, root: Any) -> None:
    """Adds the service instance and its singletons; `root` is the root folder's reference."""
    store, profile = state.store, state.profile
    content: dict[str, Any] = {"rootFolder": root, "about": about(profile, state.instance_uuid)}
    for name, (kind, moid) in _ON_VCENTER.items():
        if profile.vcenter or name in _ON_ESXI:
            made = store.add(kind, moid if profile.vcenter else _ON_ESXI[name])
            content[name] = made.ref
    store.add(vim.ServiceInstance, "ServiceInstance", content=vim.ServiceInstanceContent(**content))


@method("ServiceInstance", "RetrieveServiceContent")
def retrieve_content(context: Context, instance: Entity) -> Any:
    return instance.values["content"]


@method("ServiceInstance", "CurrentTime")
def current_time(_context: Context, _instance: Entity) -> datetime:
    return datetime.now(UTC)


@computed("ServiceInstance", "serverClock")
def _clock(_state: State, _instance: Entity) -> datetime:
    return datetime.now(UTC)


@computed("ServiceInstance", "capability")
def _capability(state: State, _instance: Entity) -> Any:
    return vim.Capability(
        provisioningSupported=True, multiHostSupported=state.profile.vcenter, userShellAccessSupported=False
    )


@method("SessionManager", "Login")
def login(context: Context, _manager: Entity, userName: str, password: str, locale: str | None) -> Any:
    if context.session.account is not None:
        raise vim.fault.InvalidLogin(msg="Cannot complete login: the session is logged in already.")
    sessions = context.state.sessions
    sessions.login(context.session, userName, password)
    return sessions.user_session(context.session)


@method("SessionManager", "Logout")
def logout(context: Context, _manager: Entity) -> None:
    for moid in context.session.objects:
        gone = context.store.find(moid)
        if gone is not None:
            context.store.remove(gone)
    context.state.sessions.end(context.session)


@method("SessionManager", "SessionIsActive")
def session_is_active(context: Context, _manager: Entity, sessionID: str, userName: str) -> bool:
    return context.state.sessions.active(sessionID)


@computed("SessionManager", "currentSession")
def _current_session(state: State, _manager: Entity) -> Any:
    context = asking.get()
    if context is None or context.session.account is None:
        return None
    return state.sessions.user_session(context.session)


@method("AuthorizationManager", "HasPrivilegeOnEntities")
def has_privileges(context: Context, _manager: Entity, entity: Any, sessionId: str, privId: Any) -> list[Any]:
    return [
        vim.AuthorizationManager.EntityPrivilege(entity=each, privAvailability=_availability(context, each, privId))
        for each in entity
    ]


@method("AuthorizationManager", "HasPrivilegeOnEntity")
def has_privilege(context: Context, _manager: Entity, entity: Any, sessionId: str, privId: Any) -> list[bool]:
    return [a.isGranted for a in _availability(context, entity, privId)]


def _availability(context: Context, entity: Any, privileges: Any) -> list[Any]:
    account = context.session.account
    places = [each.moid for each in traversal.lineage(context.store, context.store.get(entity))]
    return [
        vim.AuthorizationManager.PrivilegeAvailability(
            privId=p, isGranted=account is not None and account.may(p, places)
        )
        for p in privileges
    ]


@computed("LicenseManager", "licenses")
def _licenses(state: State, _manager: Entity) -> Any:
    name = "vSphere Hypervisor (free)" if state.profile.free else "Enterprise Plus"
    return vim.LicenseManager.LicenseInfo.Array(
        [
            vim.LicenseManager.LicenseInfo(
                licenseKey="00000-00000-00000-00000-00000",
                editionKey="esxBasic" if state.profile.free else "enterprisePlus",
                name=name,
                total=0,
                used=1,
                costUnit="cpuPackage",
            )
        ]
    )


@computed("OptionManager", "setting")
def _settings(state: State, _manager: Entity) -> Any:
    return vim.option.OptionValue.Array(
        [vim.option.OptionValue(key="VirtualCenter.InstanceName", value="v2x simulator")]
        if state.profile.vcenter
        else []
    )


@method("OptionManager", "QueryOptions")
def query_options(context: Context, manager: Entity, name: str | None) -> list[Any]:
    found = [o for o in _settings(context.state, manager) if not name or o.key.startswith(name)]
    if name and not found:
        raise vim.fault.InvalidName(name=name, msg="")
    return found
