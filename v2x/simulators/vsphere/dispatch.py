# SPDX-License-Identifier: Apache-2.0
"""From a request to a result: versions, sessions, privileges, armed faults, the ledger, and the registered method."""

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyVmomi import VmomiSupport, vim, vmodl

from v2x.simulators.vsphere import paths, soap, traversal
from v2x.simulators.vsphere.state import Context, State, asking
from v2x.simulators.vsphere.store import ABSENT, Entity

Handler = Callable[..., Any]

_handlers: dict[tuple[str, str], Handler] = {}
_WITHOUT_LOGIN = "System.Anonymous"
_RESTRICTED = "Current license or ESXi version prohibits execution of the requested operation."


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status, the envelope, and the cookie to set."""

    status: int
    body: bytes


def method(kind: str, *names: str) -> Callable[[Handler], Handler]:
    """Registers what the methods `names` of objects of `kind` do, all by their names in the API.

    The function is given the context, the object and the arguments by name.
    """

    def register(function: Handler) -> Handler:
        for name in names:
            _handlers[kind, name] = function
        return function

    return register


def handler_of(kind: type, name: str) -> Handler | None:
    for base in kind.__mro__:
        found = _handlers.get((getattr(base, "_wsdlName", ""), name))
        if found is not None:
            return found
    return None


def answer(context: Context, body: bytes) -> Answer:
    """Carries out the call in an envelope."""
    version = context.version
    asking.set(context)
    try:
        request = soap.read_request(body)
    except KeyError as error:
        return _fault(vmodl.fault.InvalidRequest(msg=f"There is no method {error.args[0]}"), version)
    except vmodl.fault.InvalidRequest as fault:
        return _fault(fault, version)
    try:
        with context.store.lock:  # whoever waits for changes lets go of it meanwhile
            result = _call(context, request)
            return Answer(200, soap.result_envelope(request, result, version))
    except vmodl.MethodFault as fault:
        return _fault(fault, version)
    except Exception as error:  # a bug of the stand-in ends the call, not the connection
        traceback.print_exc(file=sys.stderr)
        told = vmodl.fault.SystemError(reason=f"{type(error).__name__}: {error}", msg="A general system error occurred")
        return _fault(told, version)


def _fault(fault: Any, version: str) -> Answer:
    return Answer(500, soap.fault_envelope(fault, version))


def _call(context: Context, request: soap.Request) -> Any:
    state = context.state
    if state.faults.take("lose_session", request.name):
        state.sessions.end(context.session)
    entity, privilege = _target(context, request)
    _refuse_by_order(state, request.name)
    if request.method is None:
        return _fetch(context, entity, request.arguments.get("prop", ""))
    handler = handler_of(entity.kind, request.name)
    if handler is None:
        raise vmodl.fault.NotSupported(msg=f"The stand-in has no {entity.kind._wsdlName}.{request.name}")
    arguments = {name: request.arguments.get(name) for name in request.method.parameters}
    if not has_effect(request.method):
        return handler(context, entity, **arguments)
    return _with_entry(context, entity, request, lambda: _effect(context, entity, privilege, handler, arguments))


def _effect(
    context: Context, entity: Entity, privilege: str | None, handler: Handler, arguments: dict[str, Any]
) -> Any:
    if context.state.profile.free:
        raise vim.fault.RestrictedVersion(msg=_RESTRICTED)
    require(context, entity, privilege)
    return handler(context, entity, **arguments)


def _target(context: Context, request: soap.Request) -> tuple[Entity, str | None]:
    """The object of a call, once version, session and the right to look at it are settled."""
    info = request.method
    if info is not None and not VmomiSupport.IsChildVersion(context.version, info.version):
        raise vmodl.fault.MethodNotFound(
            receiver=request.this, method=request.name, msg=f"The method {request.name} is not in this version"
        )
    privilege = info.privilege if info is not None else "System.View"
    account = context.session.account
    about_itself = request.this._moId == "ServiceInstance"
    if account is None and privilege != _WITHOUT_LOGIN and not (info is None and about_itself):
        raise vim.fault.NotAuthenticated(
            object=request.this, privilegeId=privilege or "System.View", msg="The session is not authenticated."
        )
    if info is not None:
        for name, parameter in info.parameters.items():
            if name not in request.arguments and not parameter.flags & VmomiSupport.F_OPTIONAL:
                if issubclass(parameter.type, list):
                    request.arguments[name] = parameter.type()
                    continue
                raise vmodl.fault.InvalidRequest(msg=f"Missing value for parameter {name}")
    entity = context.store.get(request.this)
    if info is not None and not issubclass(entity.kind, info.owner):
        raise vmodl.fault.MethodNotFound(receiver=request.this, method=request.name, msg="")
    if info is None or not has_effect(info):
        require(context, entity, privilege)
    return entity, privilege


def has_effect(info: soap.Method) -> bool:
    """Whether a method may change something: those that do ask for more than the right to look."""
    return info.privilege is None or not info.privilege.startswith("System.")


def require(context: Context, entity: Entity, *privileges: str | None) -> None:
    """Raises NoPermission for the first of `privileges` that the account lacks."""
    account = context.session.account
    narrow = account is not None and account.granted
    places = [each.moid for each in traversal.lineage(context.store, entity)] if narrow else []
    for privilege in privileges:
        if account is not None and privilege != _WITHOUT_LOGIN and not account.may(privilege, places):
            raise vim.fault.NoPermission(
                object=entity.ref, privilegeId=privilege, msg="Permission to perform this operation was denied."
            )


def _refuse_by_order(state: State, name: str) -> None:
    fault = state.faults.take("refuse", name)
    if fault is not None:
        raise named_fault(fault.name or "vim.fault.RestrictedVersion")


def named_fault(name: str) -> Any:
    """A fault of the tables by its name, as vim.fault.FileFault, with plausible content where it must have some."""
    if name.endswith("RestrictedVersion"):
        return vim.fault.RestrictedVersion(msg=_RESTRICTED)
    kind = VmomiSupport.GetVmodlType(name)
    fault = kind(msg=f"Armed fault {name}")
    for info in kind._GetPropertyList():
        if getattr(fault, info.name) is None and not info.flags & VmomiSupport.F_OPTIONAL:
            if issubclass(info.type, VmomiSupport.ManagedObject):
                setattr(fault, info.name, info.type("ServiceInstance"))
            elif issubclass(info.type, VmomiSupport.Enum):
                setattr(fault, info.name, info.type.values[0])
    return fault


def _fetch(context: Context, entity: Entity, name: str) -> tuple[type, Any]:
    """One property, as pyVmomi reads attributes; other clients use it as well."""
    paths.check(entity.kind, name, context.version)
    with context.store.lock:
        value = paths.read(context.store, entity, name, context.version)
    info = VmomiSupport.GetPropertyInfo(entity.kind, name.partition(".")[0])
    kind: type = info.type if "." not in name else object
    if value is ABSENT:
        value = kind() if issubclass(kind, list) else None
    return kind, value


def _with_entry(context: Context, entity: Entity, request: soap.Request, work: Callable[[], Any]) -> Any:
    says = {name: _short(value) for name, value in request.arguments.items()}
    user = context.session.account.user if context.session.account else ""
    ledger = context.state.ledger
    try:
        result = work()
    except vmodl.MethodFault as fault:
        kind = VmomiSupport.GetWsdlName(type(fault))
        ledger.record_call(request.name, entity.moid, user, says, fault=kind)
        raise
    ledger.record_call(request.name, entity.moid, user, says, result=getattr(result, "_moId", ""))
    return result


def _short(value: Any) -> Any:
    """What the ledger keeps of an argument: plain values, ids, and the fields that are set of an object."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, VmomiSupport.ManagedObject):
        return value._moId
    if isinstance(value, VmomiSupport.DataObject):
        shown = {p.name: getattr(value, p.name) for p in value._GetPropertyList()}
        return {name: _short(inner) for name, inner in shown.items() if _is_set(inner)}
    if isinstance(value, list):
        return [_short(item) for item in value]
    return str(value)


def _is_set(value: Any) -> bool:
    return value is not None and not (isinstance(value, (list, str)) and not value)
