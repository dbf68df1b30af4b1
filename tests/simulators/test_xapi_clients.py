# SPDX-License-Identifier: Apache-2.0
"""Clients that are not ours: the standard library over XML-RPC and JSON-RPC, and the XenAPI package of xapi itself.

Each logs in, lists, watches events, creates, imports and exports.
"""

import http.client
import json
import os
import re
import ssl
import threading
import time
import urllib.request
import xmlrpc.client

import pytest
import XenAPI

from v2x.simulators.xapi import PROFILES
from v2x.simulators.xapi.datamodel import load

MIB = 1024 * 1024


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def upload(pool, session: str, task: str, vdi: str, content: bytes) -> None:
    url = f"https://{pool.address}/import_raw_vdi?session_id={session}&task_id={task}&vdi={vdi}"
    request = urllib.request.Request(url, content, method="PUT", headers={"User-Agent": "t"})
    with urllib.request.urlopen(request, context=unverified(), timeout=30) as answer:
        assert answer.status == 200


def download(pool, session: str, vdi: str) -> bytes:
    url = f"https://{pool.address}/export_raw_vdi?session_id={session}&vdi={vdi}&format=raw"
    with urllib.request.urlopen(url, context=unverified(), timeout=30) as answer:
        return answer.read()


def test_plain_xmlrpc_client(pool):
    proxy = xmlrpc.client.ServerProxy(f"https://{pool.address}", context=unverified())

    def call(name: str, *args: object) -> object:
        told = getattr(proxy, name)(*args)
        assert told["Status"] == "Success", told
        return told["Value"]

    session = call("session.login_with_password", "root", pool.password)
    sr = call("SR.get_by_name_label", session, "NFS storage")[0]
    token = call("event.from", session, ["vdi", "task"], "", 0.0)["token"]
    record = {"SR": sr, "virtual_size": str(4 * MIB), "type": "user", "sharable": False, "read_only": False}
    vdi = call("VDI.create", session, record | {"other_config": {}, "name_label": "mine"})
    events = call("event.from", session, ["vdi"], token, 10.0)
    assert [(e["operation"], e["snapshot"]["name_label"]) for e in events["events"]] == [("add", "mine")]
    task = call("task.create", session, "upload", "")
    content = os.urandom(4 * MIB)
    upload(pool, session, task, vdi, content)
    token = events["token"]
    while (done := call("task.get_record", session, task))["status"] == "pending":
        token = call("event.from", session, [f"task/{task}"], token, 5.0)["token"]
    assert (done["status"], vdi in done["result"]) == ("success", True)
    assert download(pool, session, vdi) == content
    call("session.logout", session)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_plain_json_rpc(pool, version):
    def call(name: str, *params: object) -> object:
        request = {"method": name, "params": params, "id": 7} | ({"jsonrpc": "2.0"} if version == "2.0" else {})
        asked = urllib.request.Request(
            f"https://{pool.address}/jsonrpc", json.dumps(request).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, context=unverified(), timeout=30) as answer:
            told = json.load(answer)
        assert told["id"] == 7
        assert not told.get("error"), told
        return told["result"]

    session = call("session.login_with_password", "root", pool.password, "2.0", "json")
    records = call("SR.get_all_records", session)
    sr = next(ref for ref, one in records.items() if one["name_label"] == "NFS storage")
    assert isinstance(records[sr]["physical_size"], int)
    record = {"SR": sr, "virtual_size": 4 * MIB, "type": "user", "sharable": False, "read_only": False}
    task = call("Async.VDI.create", session, record | {"other_config": {}, "name_label": "mine"})
    told = call("event.from", session, [f"task/{task}"], "", 1.0)
    while (done := call("task.get_record", session, task))["status"] == "pending":
        told = call("event.from", session, [f"task/{task}"], told["token"], 5.0)
    vdi = re.search("OpaqueRef:[-0-9a-f]+", done["result"])[0]
    assert call("VDI.get_virtual_size", session, vdi) == 4 * MIB
    content = os.urandom(4 * MIB)
    task = call("task.create", session, "upload", "")
    upload(pool, session, task, vdi, content)
    while call("task.get_status", session, task) == "pending":
        time.sleep(0.02)
    assert download(pool, session, vdi) == content


@pytest.fixture
def official(pool):
    def login() -> XenAPI.Session:
        session = XenAPI.Session(f"https://{pool.address}", ignore_ssl=True)
        session.xenapi.login_with_password("root", pool.password, "1.0", "their client")
        return session

    return login


def test_the_official_client(pool, official, client):
    session = official()
    api = session.xenapi
    assert api.pool.get_all_records()
    templates = [v for v in api.VM.get_all_records().values() if v["is_default_template"]]
    assert {"debian-12", "windows-11"} <= {v["reference_label"] for v in templates}
    vm = api.VM.clone(api.VM.get_by_name_label("Debian Bookworm 12")[0], "theirs")
    seen: list[dict] = []
    watcher = official()
    start = watcher.xenapi.event_from(["vm"], "", 1.0)["token"]

    def watch() -> None:
        seen.append(watcher.xenapi.event_from(["vm"], start, 20.0))

    thread = threading.Thread(target=watch)
    thread.start()
    api.VM.set_is_a_template(vm, False)
    thread.join(20)
    assert [(e["operation"], e["ref"]) for e in seen[0]["events"]] == [("mod", vm)]
    connection = http.client.HTTPSConnection(pool.address, context=unverified(), timeout=30)
    connection.request("GET", f"/export?session_id={session.handle}&ref={vm}")
    whole = connection.getresponse().read()
    before = set(api.VM.get_all())
    request = urllib.request.Request(
        f"https://{pool.address}/import?session_id={session.handle}", whole, method="PUT", headers={"User-Agent": "t"}
    )
    with urllib.request.urlopen(request, context=unverified(), timeout=30):
        pass
    # The answer comes before the import is through.
    made: list[str] = []
    give_up = time.monotonic() + 20
    while made != ["theirs"] and time.monotonic() < give_up:
        made = [api.VM.get_name_label(one) for one in set(api.VM.get_all()) - before]
        time.sleep(0.02)
    assert made == ["theirs"]
    with pytest.raises(XenAPI.Failure) as failed:
        api.VM.start("OpaqueRef:none", False, False)
    assert failed.value.details == ["HANDLE_INVALID", "VM", "OpaqueRef:none"]
    pool.expire_sessions()
    assert api.VM.get_name_label(vm) == "theirs"  # it logs in again by itself


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_invariant_09_every_version_has_its_fields_calls_and_limits(simulated_pool, client_of, profile, refused):
    client = client_of(simulated_pool(profile=profile))
    version = PROFILES[profile]
    model = load(version.datamodel)
    for cls in ("VM", "VDI", "VBD", "VIF", "SR", "host", "pool", "network", "SM", "PBD", "PIF", "task"):
        if cls == "VBD":
            client.vbd(client.vm(), client.vdi(MIB))
        if cls == "VIF":
            client.vif(client.vm(), client.rpc("network.get_all")[0])
        if cls == "task":
            client.task()
        shown = {f.name for f in model.classes[cls].fields.values() if not f.internal_only}
        for record in client.rpc(f"{cls}.get_all_records").values():
            assert set(record) == shown
    assert set(client.plain("system.listMethods")) == {m.full_name for m in model.calls.values()}
    vm = client.vm()
    assert ("groups" in client.rpc("VM.get_record", vm)) == (profile != "xcp-ng-8.2")
    assert len(client.rpc("VM.get_allowed_VIF_devices", vm)) == version.vif_devices
    image = client.rpc("VDI.get_sm_config", client.vdi(MIB, sm_config={"image-format": "qcow2"}))
    assert (client.rpc("SM.get_all_records") != {}) is True
    assert ("vhd-parent" not in image) and (
        (image.get("image-format") == "qcow2") == version.qcow2 or not version.qcow2
    )
    restrictions = client.rpc("pool.get_restrictions", client.rpc("pool.get_all")[0])
    assert restrictions.get("restrict_vtpm") == ("false" if version.vtpm else None)
    if version.vtpm:
        assert client.rpc("VTPM.create", client.vm(HVM_boot_params={"firmware": "uefi"}), False)
    else:
        with pytest.raises(refused) as failed:
            client.rpc("VTPM.create", {"VM": vm, "backend": vm})
        assert failed.value.code == "NOT_IMPLEMENTED"
