# SPDX-License-Identifier: Apache-2.0
"""The stand-in for vSphere as a client sees it that knows nothing of pyVmomi: envelopes by hand, plain http.client."""

import hashlib
import http.client
import re
import subprocess
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.vsphere_estate import MIB, Factory, patterned, pinned
from v2x.simulators.vsphere import VsphereSimulator

VIM = "{urn:vim25}"
ENVELOPE = (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><s:Body>{}</s:Body></s:Envelope>'
)
LIST = """<{call} xmlns="urn:vim25"><_this type="PropertyCollector">propertyCollector</_this><specSet>
<propSet><type>VirtualMachine</type><pathSet>name</pathSet><pathSet>config.uuid</pathSet></propSet>
<objectSet><obj type="Folder">group-d1</obj><skip>true</skip>
<selectSet xsi:type="TraversalSpec"><name>folders</name><type>Folder</type><path>childEntity</path><skip>false</skip>
 <selectSet><name>folders</name></selectSet><selectSet><name>machines</name></selectSet></selectSet>
<selectSet xsi:type="TraversalSpec"><name>machines</name><type>Datacenter</type><path>vmFolder</path><skip>false</skip>
 <selectSet><name>folders</name></selectSet></selectSet>
</objectSet></specSet><options><maxObjects>10</maxObjects></options></{call}>"""


class RawClient:
    """One keep-alive connection with a cookie."""

    def __init__(self, simulator: VsphereSimulator) -> None:
        self.connection = http.client.HTTPSConnection(
            "127.0.0.1", simulator.port, context=pinned(simulator), timeout=20
        )
        self.cookie = ""
        self.status = 0

    def call(self, body: str, *, version: str = "6.5", chunked: bool = False) -> ET.Element:
        """The element inside of the answer's body."""
        data: Any = ENVELOPE.format(body).encode()
        headers = {"SOAPAction": f'"urn:{version if "/" in version else f"vim25/{version}"}"', "Cookie": self.cookie}
        self.connection.request("POST", "/sdk", iter([data]) if chunked else data, headers, encode_chunked=chunked)
        answer = self.connection.getresponse()
        self.status = answer.status
        if answer.getheader("Set-Cookie"):
            self.cookie = answer.getheader("Set-Cookie", "").split(";")[0]
        envelope = ET.fromstring(answer.read())
        return envelope[0][0]

    def login(self, user: str, password: str) -> ET.Element:
        return self.call(
            '<Login xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this>'
            f"<userName>{user}</userName><password>{password}</password></Login>"
        )

    def on(self, kind: str, moid: str, method: str, inner: str = "") -> ET.Element:
        return self.call(f'<{method} xmlns="urn:vim25"><_this type="{kind}">{moid}</_this>{inner}</{method}>')

    def fetch(self, kind: str, moid: str, name: str) -> ET.Element | None:
        return self.on(kind, moid, "Fetch", f"<prop>{name}</prop>").find(f"{VIM}returnval")


@pytest.fixture
def raw(vcenter: VsphereSimulator) -> RawClient:
    client = RawClient(vcenter)
    client.login(vcenter.user, vcenter.password)
    return client


def test_content_is_told_to_anyone(vcenter: VsphereSimulator) -> None:
    client = RawClient(vcenter)
    told = client.on("ServiceInstance", "ServiceInstance", "RetrieveServiceContent")
    about = told.find(f"{VIM}returnval/{VIM}about")
    assert about is not None
    assert about.findtext(f"{VIM}apiType") == "VirtualCenter"
    root = told.find(f"{VIM}returnval/{VIM}rootFolder")
    assert root is not None
    assert (root.get("type"), root.text) == ("Folder", "group-d1")
    assert client.cookie.startswith("vmware_soap_session=")


def test_a_wrong_password_is_a_fault_with_a_type(vcenter: VsphereSimulator) -> None:
    client = RawClient(vcenter)
    fault = client.login(vcenter.user, "wrong")
    assert client.status == 500
    assert fault.tag.endswith("}Fault")
    detail = fault.find("detail")
    assert detail is not None
    assert detail[0].tag == f"{VIM}InvalidLoginFault"
    assert detail[0].get("{http://www.w3.org/2001/XMLSchema-instance}type") == "InvalidLogin"


def test_lists_machines_in_pages(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere()
    client = RawClient(simulator)
    client.login(simulator.user, simulator.password)
    told = client.call(LIST.format(call="RetrievePropertiesEx"), chunked=True)
    found, pages = [], 0
    while True:
        pages += 1
        objects = told.findall(f"{VIM}returnval/{VIM}objects")
        assert len(objects) <= 10
        for each in objects:
            values = {p.findtext(f"{VIM}name"): p.find(f"{VIM}val") for p in each.findall(f"{VIM}propSet")}
            assert set(values) == {"name", "config.uuid"}
            found.append(values["name"].text)
        token = told.findtext(f"{VIM}returnval/{VIM}token")
        if token is None:
            break
        told = client.on(
            "PropertyCollector", "propertyCollector", "ContinueRetrievePropertiesEx", f"<token>{token}</token>"
        )
    assert pages > 3
    assert "app%2fone 50%25" in found
    assert found.count("twin") == 3
    assert not {"shop-db", "shop-front"} & set(found), "machines of a vApp are in no folder"


def test_reads_one_property(raw: RawClient, vcenter: VsphereSimulator) -> None:
    machine = vcenter.add_vm("one")
    name = raw.fetch("VirtualMachine", machine.moid, "name")
    assert name is not None
    assert name.text == "one"
    assert raw.fetch("VirtualMachine", machine.moid, "snapshot") is None
    told = raw.on(
        "PropertyCollector",
        "propertyCollector",
        "RetrieveProperties",
        "<specSet><propSet><type>VirtualMachine</type><pathSet>runtime.host</pathSet></propSet>"
        f'<objectSet><obj type="VirtualMachine">{machine.moid}</obj></objectSet></specSet>',
    )
    host = told.find(f"{VIM}returnval/{VIM}propSet/{VIM}val")
    assert host is not None
    assert host.get("type") == "HostSystem"
    assert host.get("{http://www.w3.org/2001/XMLSchema-instance}type") == "ManagedObjectReference"
    fault = raw.on("VirtualMachine", machine.moid, "Fetch", "<prop>nonsense</prop>")
    assert fault.find("detail")[0].tag == f"{VIM}InvalidPropertyFault"


def test_exports_a_machine(raw: RawClient, vcenter: VsphereSimulator, tmp_path: Path) -> None:
    image = patterned(tmp_path / "image.raw", 8 * MIB)
    machine = vcenter.add_vm("exported", image)
    lease = raw.on("VirtualMachine", machine.moid, "ExportVm").findtext(f"{VIM}returnval")
    assert lease is not None
    deadline = time.monotonic() + 10
    while (state := raw.fetch("HttpNfcLease", lease, "state")) is not None and state.text == "initializing":
        assert time.monotonic() < deadline
    info = raw.fetch("HttpNfcLease", lease, "info")
    assert info is not None
    url = info.findtext(f"{VIM}deviceUrl/{VIM}url")
    found = re.fullmatch(r"https://127\.0\.0\.1:(\d+)(/nfc/.*)", url or "")
    assert found is not None
    host = vcenter.state.store.value(machine, "runtime").host._moId
    connection = http.client.HTTPSConnection("127.0.0.1", int(found[1]), context=pinned(vcenter, host), timeout=20)
    connection.request("GET", found[2])
    answer = connection.getresponse()
    assert answer.getheader("Content-Length") is None
    assert answer.getheader("Transfer-Encoding") == "chunked"
    (tmp_path / "exported.vmdk").write_bytes(answer.read())
    raw.on("HttpNfcLease", lease, "HttpNfcLeaseComplete")
    subprocess.run(
        ["qemu-img", "convert", "-O", "raw", str(tmp_path / "exported.vmdk"), str(tmp_path / "exported.raw")],
        check=True,
    )
    digests = [hashlib.sha256((tmp_path / n).read_bytes()).hexdigest() for n in ("image.raw", "exported.raw")]
    assert digests[0] == digests[1]
    connection.request("GET", found[2])
    assert connection.getresponse().status == 404


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<Nonsense xmlns='urn:vim25'><_this type='Folder'>group-d1</_this></Nonsense>", "no method Nonsense"),
        ("<Login xmlns='urn:vim25'/>", "cannot be read"),
        ("<Login xmlns='urn:vim25'><_this type='SessionManager'>SessionManager</_this></Login>", "Missing value"),
        (
            "<Logout xmlns='urn:vim25'><_this type='SessionManager'>SessionManager</_this><more>1</more></Logout>",
            "no argument more",
        ),
        ("<Logout xmlns='urn:vim25'><_this type='Folder'>group-d1</_this></Logout>", ""),
        ("<Logout xmlns='urn:vim25'><_this type='Folder'>group-x9</_this></Logout>", "already been deleted"),
        ("<broken", "cannot be read"),
    ],
)
def test_what_is_wrong_is_answered_with_a_fault(raw: RawClient, body: str, text: str) -> None:
    fault = raw.call(body)
    assert raw.status == 500
    assert fault.tag.endswith("}Fault")
    assert text in (fault.findtext("faultstring") or "")


def test_versions_bound_what_there_is(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere(profile="vcenter-6.5", estate="empty")
    machine = simulator.add_vm("old", firmware="efi")
    client = RawClient(simulator)
    client.login(simulator.user, simulator.password)
    body = f'<Fetch xmlns="urn:vim25"><_this type="VirtualMachine">{machine.moid}</_this><prop>runtime</prop></Fetch>'
    newest = client.call(body, version="6.5").find(f"{VIM}returnval")
    assert newest is not None
    assert newest.find(f"{VIM}consolidationNeeded") is not None
    oldest = client.call(body, version="2.5").find(f"{VIM}returnval")
    assert oldest is not None
    assert oldest.find(f"{VIM}consolidationNeeded") is None, "a field of 5.0"
    newer = client.call(body, version="7.0").find(f"{VIM}returnval")
    assert newer is not None
    fault = client.call(body, version="other/7.0")
    assert "Unsupported version URI" in (fault.findtext("faultstring") or "")


def test_versions_are_negotiated(simulated_vsphere: Factory) -> None:
    for profile, version in (("vcenter", "8.0.3.0"), ("esxi-6.7", "6.7.3"), ("vcenter-7.0", "7.0.3.0")):
        simulator = simulated_vsphere(profile=profile, estate="empty")
        client = RawClient(simulator)
        client.connection.request("GET", "/sdk/vimServiceVersions.xml")
        told = ET.fromstring(client.connection.getresponse().read())
        assert told.findtext("namespace/version") == version
        assert "6.5" in [v.text for v in told.findall("namespace/priorVersions/version")]
