# SPDX-License-Identifier: Apache-2.0
"""What protects a VM from others: blocked operations; and what copies of it carry along."""

import os

import pytest

from v2x.simulators.xapi.datamodel import load

MIB = 1024 * 1024
NULL = "OpaqueRef:NULL"
NO_CALL = {
    "import": "it is done on a file",
    "create_template": "there is no such call any more",
    "assert_operation_valid": "a question, which is always answered",
    "update_allowed_operations": "only computes",
    "export": "over HTTP, below",
    "metadata_export": "over HTTP, below",
}
ANY = ("halted", "running")
CALLS = {
    "snapshot": ("VM.snapshot", "x"),
    "clone": ("VM.clone", "x"),
    "copy": ("VM.copy", "x", NULL),
    "revert": ("VM.revert",),
    "reverting": ("VM.revert",),
    "checkpoint": ("VM.checkpoint", "x"),
    "snapshot_with_quiesce": ("VM.snapshot_with_quiesce", "x"),
    "provision": ("VM.provision",),
    "start": ("VM.start", False, False),
    "start_on": ("VM.start_on", "HOST", False, False),
    "pause": ("VM.pause",),
    "unpause": ("VM.unpause",),
    "clean_shutdown": ("VM.clean_shutdown",),
    "clean_reboot": ("VM.clean_reboot",),
    "hard_shutdown": ("VM.hard_shutdown",),
    "power_state_reset": ("VM.power_state_reset",),
    "hard_reboot": ("VM.hard_reboot",),
    "suspend": ("VM.suspend",),
    "csvm": ("VM.csvm",),
    "resume": ("VM.resume", False, False),
    "resume_on": ("VM.resume_on", "HOST", False, False),
    "pool_migrate": ("VM.pool_migrate", "HOST", {}),
    "migrate_send": ("VM.migrate_send", {}, True, {}, {}, {}),
    "get_boot_record": ("VM.get_boot_record",),
    "send_sysrq": ("VM.send_sysrq", "h"),
    "send_trigger": ("VM.send_trigger", "nmi"),
    "query_services": ("VM.query_services",),
    "shutdown": ("VM.shutdown",),
    "call_plugin": ("VM.call_plugin", "p", "f", {}),
    "changing_memory_live": ("VM.set_memory_target_live", str(256 * MIB)),
    "awaiting_memory_live": ("VM.wait_memory_target_live",),
    "changing_dynamic_range": ("VM.set_memory_dynamic_range", str(512 * MIB), str(512 * MIB)),
    "changing_static_range": ("VM.set_memory_static_range", str(256 * MIB), str(512 * MIB)),
    "changing_memory_limits": ("VM.set_memory", str(512 * MIB)),
    "changing_shadow_memory": ("VM.set_HVM_shadow_multiplier", 2.0),
    "changing_shadow_memory_live": ("VM.set_shadow_multiplier_live", 2.0),
    "changing_VCPUs": ("VM.set_VCPUs_max", "4"),
    "changing_VCPUs_live": ("VM.set_VCPUs_number_live", "1"),
    "changing_NVRAM": ("VM.set_NVRAM", {}),
    "data_source_op": ("VM.query_data_source", "memory"),
    "make_into_template": ("VM.set_is_a_template", True),
    "destroy": ("VM.destroy",),
    "create_vtpm": ("VTPM.create", False),
    "sysprep": ("VM.sysprep", "<unattend/>", 1.0),
}


def test_every_operation_of_the_datamodel_is_here():
    assert set(CALLS) | set(NO_CALL) == set(load("head").enums["vm_operations"])


@pytest.mark.parametrize("operation", sorted(CALLS))
def test_invariant_14_each_operation_can_be_blocked(client, refused, operation):
    """Blocked is told before the power state is looked at, and the same call is not refused so without the block."""
    vm = on = client.vm()
    if operation in ("revert", "reverting"):
        snapshot = client.rpc("VM.snapshot", vm, "s")
        vm, on = snapshot, snapshot if operation == "revert" else client.rpc("VM.get_snapshot_of", snapshot)
    if operation == "provision":
        client.rpc("VM.set_is_a_template", vm, True)
    name, *args = CALLS[operation]
    args = [client.rpc("host.get_all")[0] if a == "HOST" else a for a in args]
    client.rpc("VM.add_to_blocked_operations", on, operation, "kept for a migration")
    before = client.rpc("VM.get_record", on)
    with pytest.raises(refused) as failed:
        client.rpc(name, vm, *args)
    assert failed.value.args == ("OPERATION_BLOCKED", on, "kept for a migration")
    assert client.rpc("VM.get_record", on) == before
    assert operation not in before["allowed_operations"]
    client.rpc("VM.remove_from_blocked_operations", on, operation)
    answer = client.answer(name, client.session, vm, *args)
    assert answer["Status"] == "Success" or answer["ErrorDescription"][0] != "OPERATION_BLOCKED"


@pytest.mark.parametrize(("path", "operation"), [("/export", "export"), ("/export_metadata", "metadata_export")])
def test_invariant_14_exports_can_be_blocked(client, path, operation):
    import http.client
    import ssl

    vm, task = client.vm(), client.task()
    client.rpc("VM.add_to_blocked_operations", vm, operation, "kept")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(client.address, context=context, timeout=10)
    connection.request("GET", f"{path}?session_id={client.session}&ref={vm}&task_id={task}")
    assert connection.getresponse().status == 500
    assert client.finished(task)["error_info"] == ["OPERATION_BLOCKED", vm, "kept"]


MARKS = {"v2x-migration": "run/vm", "folder": "/here"}


def test_copies_carry_the_keys_and_tags_but_not_the_uuid(client):
    """A clone or snapshot that somebody makes is told from the original by its uuid alone."""
    vm = client.vm(other_config=MARKS, tags=["backup"])
    client.rpc("VM.add_to_other_config", vm, "v2x-uuid", client.rpc("VM.get_uuid", vm))
    original = client.rpc("VM.get_record", vm)
    for made in (
        client.rpc("VM.clone", vm, "c"),
        client.rpc("VM.copy", vm, "d", NULL),
        client.rpc("VM.snapshot", vm, "s"),
    ):
        copy = client.rpc("VM.get_record", made)
        assert copy["uuid"] != original["uuid"]
        assert copy["other_config"]["v2x-uuid"] == original["uuid"]
        assert {k: copy["other_config"][k] for k in MARKS} == MARKS
        assert copy["tags"] == ["backup"]


def test_copies_of_disks_carry_the_keys_and_tags_but_not_the_uuid(client):
    vdi = client.vdi(MIB, other_config=MARKS, tags=["gold"])
    original = client.rpc("VDI.get_record", vdi)
    made = (client.rpc("VDI.snapshot", vdi), client.rpc("VDI.clone", vdi), client.rpc("VDI.copy", vdi, client.sr()))
    for copy in (client.rpc("VDI.get_record", one) for one in made):
        assert copy["uuid"] != original["uuid"]
        assert copy["location"] != original["location"]
        assert (copy["other_config"], copy["tags"]) == (MARKS, ["gold"])


def test_copies_are_not_blocked(client):
    """As in xapi: the block is on the one VM alone."""
    vm = client.vm()
    client.rpc("VM.set_blocked_operations", vm, {"start": "kept"})
    assert client.rpc("VM.get_blocked_operations", client.rpc("VM.snapshot", vm, "s")) == {}
    assert client.rpc("VM.get_blocked_operations", client.rpc("VM.clone", vm, "c")) == {}


# checkpoints


def test_invariant_15_a_checkpoint_is_a_suspended_snapshot(simulated_pool, client_of, refused):
    client = client_of(simulated_pool(guest_agent=True))
    vm, vdi = client.vm(), client.vdi(2 * MIB)
    content = os.urandom(2 * MIB)
    client.upload(vdi, content)
    client.vbd(vm, vdi)
    with pytest.raises(refused) as failed:
        client.rpc("VM.checkpoint", vm, "c")
    assert failed.value.args == ("VM_BAD_POWER_STATE", vm, "paused, suspended, running", "halted")
    client.rpc("VM.start", vm, False, False)
    task = client.rpc("Async.VM.checkpoint", vm, "c")
    made = client.finished(task)["result"].removeprefix("<value>").removesuffix("</value>")
    record = client.rpc("VM.get_record", made)
    assert (record["is_a_snapshot"], record["is_a_template"], record["power_state"]) == (True, True, "Suspended")
    assert client.rpc("VDI.get_type", record["suspend_VDI"]) == "suspend"
    assert client.rpc("VM.get_power_state", vm) == "Running"
    client.rpc("VM.revert", made)
    assert client.rpc("VM.get_power_state", vm) == "Suspended"
    (vbd,) = client.rpc("VM.get_VBDs", vm)
    assert client.export(client.rpc("VBD.get_VDI", vbd)) == content
    client.rpc("VM.resume", vm, False, False)
    assert client.rpc("VM.get_power_state", vm) == "Running"


def test_a_checkpoint_can_be_cloned_and_destroyed_but_a_suspended_vm_cannot(simulated_pool, client_of, refused):
    client = client_of(simulated_pool(guest_agent=True))
    vm = client.vm()
    client.rpc("VM.start", vm, False, False)
    made = client.rpc("VM.checkpoint", vm, "c")
    assert {"clone", "copy", "destroy", "revert"} <= set(client.rpc("VM.get_allowed_operations", made))
    image = client.rpc("VM.get_suspend_VDI", made)
    client.rpc("VM.clone", made, "from a checkpoint")
    client.rpc("VM.destroy", made)
    with pytest.raises(refused):
        client.rpc("VDI.get_uuid", image)
    client.rpc("VM.suspend", vm)
    for call in (("VM.destroy", vm), ("VM.clone", vm, "x")):
        with pytest.raises(refused) as failed:
            client.rpc(*call)
        assert failed.value.args == ("VM_BAD_POWER_STATE", vm, "halted", "suspended")
    assert not {"clone", "copy", "destroy"} & set(client.rpc("VM.get_allowed_operations", vm))


def test_a_checkpoint_needs_the_agent(client, refused):
    vm = client.vm()
    client.rpc("VM.start", vm, False, False)
    with pytest.raises(refused) as failed:
        client.rpc("VM.checkpoint", vm, "c")
    assert failed.value.args == ("VM_LACKS_FEATURE", vm)
