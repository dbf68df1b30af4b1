# SPDX-License-Identifier: Apache-2.0
"""ova.xml: read with the strictness of the RPC decoder, and the records it describes made (xapi: import.ml)."""

import uuid as uuid_module
from dataclasses import dataclass, field
from typing import Any

from v2x.simulators.xapi.attach import plugged_hosts
from v2x.simulators.xapi.calls.network import free_bridge
from v2x.simulators.xapi.calls.vdi import make_vdi, remove_vdi
from v2x.simulators.xapi.calls.vif import derived_mac
from v2x.simulators.xapi.calls.vm import fresh_generation_id, remove_vm
from v2x.simulators.xapi.calls.vtpm import make_vtpm
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.store import Record
from v2x.simulators.xapi.wire import Decoder, field_zero
from v2x.simulators.xapi.xmlrpc import Malformed, parse_value

VERSION_MEMBERS = ("hostname", "date", "product_version", "product_brand", "build_number")
XAPI_VERSION = (1, 20)
_KNOWN = ("host", "SR", "VDI", "VM_guest_metrics", "VM_metrics", "VM", "network", "VBD", "VIF", "VTPM")


def import_error(text: str) -> ApiError:
    return ApiError("IMPORT_ERROR", text)


@dataclass(slots=True)
class Appliance:
    """The decoded objects of an archive: class → id → record."""

    objects: dict[str, dict[str, Record]]
    export_version: int

    def of(self, cls: str) -> dict[str, Record]:
        return self.objects.get(cls, {})

    def get(self, cls: str, ident: str) -> Record:
        try:
            return self.objects[cls][ident]
        except KeyError:
            raise ApiError("IMPORT_ERROR_FAILED_TO_FIND_OBJECT", ident) from None


def read_appliance(state: PoolState, xml: bytes) -> Appliance:
    """ova.xml decoded. IMPORT_ERROR when it does not hold, IMPORT_INCOMPATIBLE_VERSION when it is too new."""
    try:
        whole = parse_value(xml)
    except Malformed as error:
        raise import_error(f"ova.xml: {error}") from None
    if not isinstance(whole, dict) or not isinstance(whole.get("objects"), list):
        raise import_error("ova.xml: no struct of version and objects")
    export_version = _check_version(whole.get("version"))
    objects: dict[str, dict[str, Record]] = {}
    for item in whole["objects"]:
        if not isinstance(item, dict) or not isinstance(item.get("snapshot"), dict):
            raise import_error("ova.xml: an object without snapshot")
        cls, ident = item.get("class"), item.get("id")
        if not isinstance(cls, str) or not isinstance(ident, str):
            raise import_error("ova.xml: an object without class and id")
        if cls in _KNOWN:
            objects.setdefault(cls, {})[ident] = _decode(state, cls, item["snapshot"])
    return Appliance(objects, export_version)


def _check_version(version: Any) -> int:
    if not isinstance(version, dict):
        raise import_error("ova.xml: no version")
    for name in VERSION_MEMBERS:
        if not isinstance(version.get(name), str):
            raise import_error(f"ova.xml: version has no {name}")
    try:
        made = (int(version["xapi_major"]), int(version["xapi_minor"]))
        export_version = int(version.get("export_vsn", "0"))
    except (KeyError, TypeError, ValueError):
        raise import_error("ova.xml: version numbers do not read") from None
    if made > XAPI_VERSION:
        raise ApiError("IMPORT_INCOMPATIBLE_VERSION")
    return export_version


def _decode(state: PoolState, cls: str, snapshot: dict[str, Any]) -> Record:
    """All members of one record by the types of this version; what it does not know is ignored."""
    if cls == "VTPM":
        snapshot = {k.removeprefix("vTPM'_"): v for k, v in snapshot.items()}
    decoder = Decoder(state.model)
    made: Record = {}
    for model in state.model.classes[cls].fields.values():
        if model.name in snapshot:
            try:
                made[model.name] = decoder.decode(model.type, snapshot[model.name])
            except ApiError as error:
                raise import_error(f"ova.xml: {cls}.{model.name}: {' '.join(error.description)}") from None
        elif model.xva_required and cls not in ("host", "VM_metrics", "VM_guest_metrics", "VTPM"):
            raise import_error(f"ova.xml: {cls} has no member {model.name}")
        else:
            made[model.name] = field_zero(state.model, model)
    made["_has_parent"] = "parent" in snapshot
    return made


@dataclass(slots=True)
class Made:
    """What an import has created so far: archive id → reference."""

    task: str
    vdis: dict[str, str] = field(default_factory=dict)
    vms: dict[str, str] = field(default_factory=dict)
    networks: dict[str, str] = field(default_factory=dict)
    new_networks: list[str] = field(default_factory=list)


class Creator:
    """Makes the records of an appliance on `sr`; `undo` takes them away again."""

    _makes_disks = True

    def __init__(self, state: PoolState, appliance: Appliance, sr: str, task: str, *, restore: bool) -> None:
        self._state = state
        self._store = state.store
        self._appliance = appliance
        self._sr = sr
        self._restore = restore
        self.made = Made(task)

    def create(self) -> None:
        """All records, in the order of the classes."""
        with self._store.lock:
            self._disks()
            for ident, record in self._appliance.of("VM").items():
                self._vm(ident, record)
            for ident, record in self._appliance.of("network").items():
                self._network(ident, record)
            for record in self._appliance.of("VBD").values():
                self._vbd(record)
            for record in self._appliance.of("VIF").values():
                self._vif(record)
            for record in self._appliance.of("VTPM").values():
                make_vtpm(self._state, self._vm_of(record), unique=record.get("is_unique", False))

    def _disks(self) -> None:
        if not plugged_hosts(self._state, self._sr):
            raise ApiError("SR_HAS_NO_PBDS", self._sr)
        for ident in self.streamed():
            self._vdi(ident, self._appliance.get("VDI", ident))

    def streamed(self) -> list[str]:
        """The ids of the VDIs whose data is in the archive, sorted bytewise."""
        found = set()
        for record in self._appliance.of("VBD").values():
            if record["type"] == "CD" or record["empty"] or record["VDI"] == NULL:
                continue
            vdi = self._appliance.get("VDI", record["VDI"])
            if self._appliance.get("SR", vdi["SR"])["content_type"] != "iso":
                found.add(record["VDI"])
        return sorted(found, key=str.encode)

    def _vdi(self, ident: str, record: Record) -> None:
        kept = ("name_label", "name_description", "type", "sharable", "read_only", "other_config", "tags")
        values = {name: record[name] for name in (*kept, "virtual_size", "xenstore_data")}
        values |= {"SR": self._sr, "sm_config": {"import_task": self.made.task}}
        self.made.vdis[ident] = make_vdi(self._state, values)

    def _vm(self, ident: str, record: Record) -> None:
        store = self._store
        values = {k: v for k, v in record.items() if k != "_has_parent"}
        other_config = dict(values["other_config"])
        if self._restore:
            self._make_room(values)
        else:
            other_config["mac_seed"] = str(uuid_module.uuid4())
            values |= {"uuid": "", "version": 0, "generation_id": fresh_generation_id()}
        if not record["_has_parent"]:
            memory = values["memory_static_max"]
            values |= {"memory_dynamic_min": memory, "memory_dynamic_max": memory}
        other_config.setdefault("mac_seed", str(uuid_module.uuid4()))
        nowhere = dict.fromkeys(("resident_on", "affinity", "appliance", "snapshot_of", "parent"), NULL)
        nowhere |= dict.fromkeys(("suspend_VDI", "suspend_SR", "guest_metrics", "scheduled_to_be_resident_on"), NULL)
        values |= nowhere | {
            "power_state": "Halted",
            "is_default_template": False,
            "is_control_domain": False,
            "domid": -1,
            "metrics": store.add("VM_metrics", {"last_updated": self._state.now()}),
            "other_config": other_config | {"import_task": self.made.task},
            "current_operations": {self.made.task: "import"},
            "allowed_operations": [],
            "blobs": {},
        }
        if values["domain_type"] == "unspecified":
            values["domain_type"] = "hvm" if values["HVM_boot_policy"] else "pv"
        self.made.vms[ident] = store.add("VM", values)

    def check(self) -> None:
        """What would stop `create`, without making anything."""
        self._disks()
        for record in self._appliance.of("VM").values():
            if self._restore:
                self._in_the_way(record)
        for record in self._appliance.of("VBD").values():
            if record["VDI"] not in self.made.vdis and record["type"] != "CD":
                raise ApiError("IMPORT_ERROR_FAILED_TO_FIND_OBJECT", record["VDI"])
        for record in self._appliance.of("VIF").values():
            self._appliance.get("network", record["network"])

    def _in_the_way(self, values: Record) -> list[str]:
        """restore: the same VM, which must be halted and older; the same seed elsewhere is a conflict."""
        store, seed, found = self._store, values["other_config"].get("mac_seed"), []
        for vm in store.refs("VM"):
            same = store.get("VM", vm, "uuid") == values["uuid"]
            theirs = store.get("VM", vm, "other_config").get("mac_seed")
            if not same and seed is not None and theirs == seed and not store.get("VM", vm, "is_a_snapshot"):
                raise ApiError("DUPLICATE_MAC_SEED", seed)
            if same:
                power, version = store.get("VM", vm, "power_state").lower(), store.get("VM", vm, "version")
                if power != "halted":
                    raise ApiError("VM_BAD_POWER_STATE", vm, "halted", power)
                if values["version"] <= version:
                    raise ApiError("VM_TO_IMPORT_IS_NOT_NEWER_VERSION", vm, version, values["version"])
                found.append(vm)
        return found

    def _make_room(self, values: Record) -> None:
        for vm in self._in_the_way(values):
            remove_vm(self._state, vm)

    def _network(self, ident: str, record: Record) -> None:
        """By name on the pool, else by bridge, else a new internal one."""
        store = self._store
        found = store.find("network", name_label=record["name_label"]) or (
            store.find("network", bridge=record["bridge"]) if record["bridge"] else []
        )
        if not found:
            values = {"name_label": record["name_label"], "name_description": record["name_description"]}
            made = store.add("network", {**values, "bridge": free_bridge(self._state)})
            self.made.new_networks.append(made)
            found = [made]
        self.made.networks[ident] = found[0]

    def _vm_of(self, record: Record) -> str:
        if record["VM"] not in self.made.vms:
            raise ApiError("IMPORT_ERROR_FAILED_TO_FIND_OBJECT", record["VM"])
        return self.made.vms[record["VM"]]

    def _vbd(self, record: Record) -> None:
        vdi = self.made.vdis.get(record["VDI"], NULL)
        if vdi == NULL and record["type"] != "CD":
            raise ApiError("IMPORT_ERROR_FAILED_TO_FIND_OBJECT", record["VDI"])
        values = {k: v for k, v in record.items() if k != "_has_parent"}
        fresh = {"uuid": "", "VM": self._vm_of(record), "VDI": vdi, "empty": vdi == NULL, "device": ""}
        fresh |= {"currently_attached": False, "metrics": self._store.add("VBD_metrics", {})}
        self._store.add("VBD", {**values, **fresh, "current_operations": {}})

    def _vif(self, record: Record) -> None:
        store, vm = self._store, self._vm_of(record)
        if record["network"] not in self.made.networks:
            raise ApiError("IMPORT_ERROR_FAILED_TO_FIND_OBJECT", record["network"])
        values = {k: v for k, v in record.items() if k != "_has_parent"}
        fresh: Record = {"uuid": "", "VM": vm, "network": self.made.networks[record["network"]]}
        if not self._restore or record["MAC"] == "":
            if not record["device"].isdigit():
                raise ApiError("INVALID_DEVICE", record["device"])
            seed = store.get("VM", vm, "other_config")["mac_seed"]
            fresh |= {"MAC": derived_mac(seed, int(record["device"])), "MAC_autogenerated": True}
        fresh |= {"currently_attached": False, "metrics": store.add("VIF_metrics", {}), "current_operations": {}}
        store.add("VIF", {**values, **fresh})

    def settle(self) -> list[str]:
        """The marks of an import under way go; returns the VMs."""
        store = self._store
        with store.lock:
            for vm in self.made.vms.values():
                other_config = store.get("VM", vm, "other_config")
                other_config.pop("import_task", None)
                store.set("VM", vm, other_config=other_config, current_operations={})
            for vdi in self.made.vdis.values():
                config = store.get("VDI", vdi, "sm_config")
                config.pop("import_task", None)
                store.set("VDI", vdi, sm_config=config)
            return list(self.made.vms.values())

    def undo(self) -> None:
        """Removes everything that was made."""
        store = self._store
        with store.lock:
            for vm in self.made.vms.values():
                if store.exists("VM", vm):
                    remove_vm(self._state, vm)
            for vdi in self.made.vdis.values():
                if self._makes_disks and store.exists("VDI", vdi):
                    remove_vdi(self._state, vdi)
            for network in self.made.new_networks:
                store.remove("network", network)
