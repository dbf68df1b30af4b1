# SPDX-License-Identifier: Apache-2.0
"""Answers of a server that is not what it says, or whose owner means harm: bombs, entities, nonsense in every field."""

import gzip
import http.client
import random
from xml.etree.ElementTree import fromstring

import pytest
from pyVmomi import vim, vmodl

from tests.fuzz.servers import answering, read_soap, soap_answers
from v2x.errors import ConnectError, V2xError
from v2x.model.codec import from_json, to_json
from v2x.model.machine import Machine
from v2x.sources.vsphere import pages
from v2x.sources.vsphere.machine import PATHS, Around, read_machine
from v2x.sources.vsphere.names import decoded, folder_of, split_file
from v2x.sources.vsphere.networks import read_networks
from v2x.sources.vsphere.pages import TYPE, Ref, Row
from v2x.sources.vsphere.surroundings import Surroundings

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


class Session:
    """As much of a session as a page needs; its server answers `body`."""

    host = "server"

    def __init__(self, status, body):
        self.answer = status, body
        self.content = self
        self.propertyCollector = vmodl.query.PropertyCollector("x")
        self.stub = self

    def SerializeRequest(self, *_):
        return b""


@pytest.fixture
def page(monkeypatch):
    def read(body, status=200):
        session = Session(status, body)
        monkeypatch.setattr(pages, "_exchanged", lambda *_: session.answer)
        return pages._page(session, "RetrievePropertiesEx")

    return read


@pytest.mark.parametrize(
    "body",
    [
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;&b;">]><a>&d;</a>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1/evil.dtd"><a/>',
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    ],
)
def test_no_entity_is_ever_expanded(page, body):
    with pytest.raises(ConnectError) as caught:
        page(body)
    assert "root:" not in caught.value.message


@pytest.mark.parametrize("body", [b"", b"<", b"<a>", b"\xff\xfe", b"<a></b>", b"{}"])
def test_what_is_no_xml_is_a_broken_connection(page, body):
    with pytest.raises(http.client.HTTPException):
        page(body)


def test_a_page_without_anything_is_the_last(page):
    assert page(b"<Envelope/>") == pages.Page("", [])
    assert page(b"<Envelope><returnval><token/><objects/></returnval></Envelope>").token == ""


def test_a_bomb_of_gzip_ends_at_the_limit(monkeypatch):
    monkeypatch.setattr(pages, "MOST_PAGE_BYTES", 1 << 16)
    with pytest.raises(http.client.HTTPException):
        pages._unpacked(gzip.compress(bytes(1 << 20)))
    assert pages._unpacked(gzip.compress(bytes(100))) == bytes(100)
    with pytest.raises(http.client.HTTPException):
        pages._unpacked(b"\x1f\x8bnonsense")


def test_numbers_and_flags_that_are_none():
    for text in ("", " ", "NaN", "1e9", "٣", "9" * 5000, "--1", str(1 << 70)):
        assert pages.number({"a": text}, "a") in {None, 3}
    assert pages.number({"a": ["1", "2"]}, "a") is None
    assert pages.flag({"a": "maybe"}, "a") is None
    assert pages.many("") == [] and pages.many(None) == [] and pages.many("x") == ["x"]


def test_a_chain_and_trees_without_end():
    backing = {TYPE: "VirtualDiskFlatVer2BackingInfo", "fileName": "[a] b/c.vmdk"}
    backing["parent"] = backing
    disk = {TYPE: "VirtualDisk", "key": "2000", "backing": backing, "capacityInBytes": "1024"}
    node = {"snapshot": Ref("VirtualMachineSnapshot", "s"), "name": "x"}
    node["childSnapshotList"] = node
    values = {"name": "x", "config.hardware.device": [disk], "snapshot": {"rootSnapshotList": node}}
    made = read_machine(Row(Ref("VirtualMachine", "vm-1"), values), Around(surroundings=Surroundings()))
    assert len(made.disks[0].files) <= 1_000 and len(made.snapshots) <= 1_000


def test_a_folder_that_is_its_own_parent():
    rows = [Row(Ref("Folder", "f"), {"name": "loop", "parent": Ref("Folder", "f")})]
    near = Surroundings.of(rows)
    assert near.folder(Ref("Folder", "f")).count("loop") <= 64
    assert near.datacenter(Ref("Folder", "f")) == ""


def _nonsense(chance, depth=0):
    kinds = ["", "x", "-1", "9" * 30, "true", "\x00", "VirtualDisk", "[a] b/c.vmdk", None]
    if depth < 3 and chance.random() < 0.5:
        return {
            chance.choice([TYPE, "key", "backing", "parent", "name", "value", "label", "vlan"]): _nonsense(
                chance, depth + 1
            )
            for _ in range(chance.randrange(5))
        }
    if depth < 3 and chance.random() < 0.3:
        return [_nonsense(chance, depth + 1) for _ in range(chance.randrange(4))]
    return chance.choice([*kinds, Ref("Folder", "f")])


@pytest.mark.parametrize("seed", range(200))
def test_nonsense_in_every_property_is_a_machine_or_a_clear_error(seed):
    chance = random.Random(seed)
    values = {path: _nonsense(chance) for path in PATHS if chance.random() < 0.8}
    try:
        made = read_machine(Row(Ref("VirtualMachine", "vm-1"), values), Around(surroundings=Surroundings()))
    except V2xError:
        return
    assert from_json(to_json(made), Machine) == made


@pytest.mark.parametrize("seed", range(100))
def test_nonsense_around_machines(seed):
    chance = random.Random(seed)
    kinds = ["HostSystem", "Network", "DistributedVirtualPortgroup", "OpaqueNetwork", "ClusterComputeResource",
             "Datastore", "DistributedVirtualSwitch", "VirtualApp"]  # fmt: skip
    paths = ["name", "parent", "config", "summary", "host", "key", "configurationEx", "config.network.portgroup",
             "config.network.vswitch", "summary.hardware", "vAppConfig.entityConfig"]  # fmt: skip
    rows = [
        Row(Ref(chance.choice(kinds), f"o{number}"), {path: _nonsense(chance) for path in paths})
        for number in range(20)
    ]
    near = Surroundings.of(rows)
    assert read_networks(rows, near.name)
    to_json((near.networks, near.hosts, near.clusters, near.datastores))


def test_names_are_decoded_once():
    assert decoded("a%2fb%5Cc%25d") == "a/b\\c%d"
    assert decoded("100%252f") == "100%2f" and decoded("50% off") == "50% off" and decoded("%41") == "%41"
    assert split_file("[50%25 off] a b/c.vmdk") == ("50% off", "a b/c.vmdk")
    assert split_file("nothing") == ("", "nothing")
    assert folder_of("[a] b/c/d.vmdk") == "[a] b/c/" and folder_of("[a] d.vmdk") == ""


def test_plain_values():
    element = fromstring(
        f'<val {XSI} xsi:type="ArrayOfThing"><Thing xsi:type="A"><x>1</x><x>2</x><y type="Folder">g</y>'
        '<z xsi:type="Empty"/><w xsi:type="xsd:string"/></Thing></val>'
    )
    assert pages.plain(element) == [
        {TYPE: "A", "x": ["1", "2"], "y": Ref("Folder", "g"), "z": {TYPE: "Empty"}, "w": ""}
    ]


@pytest.mark.parametrize("number", range(len(soap_answers())))
def test_an_answer_to_another_question(number):
    """pyVmomi builds what it is sent, whatever was asked for, and stumbles in every way there is."""
    for call in range(len(soap_answers())):
        read_soap(f"{call}\n".encode() + soap_answers()[number][1])


def test_an_object_without_a_reference():
    body = next(body for _, body in soap_answers() if b"<objects>" in body)
    reference = body[body.index(b"<obj ") : body.index(b"</obj>") + len(b"</obj>")]
    opened = answering(200, body.replace(reference, b""))
    with pytest.raises(ConnectError) as refused:
        list(opened.retrieve(vim.VirtualMachine, PATHS, objects=[vim.VirtualMachine("vm-1", opened.stub)]))
    assert refused.value.code == "NOT-VSPHERE"


def test_an_answer_that_nests_without_end():
    deep = b"<a>" * 50_000 + b"</a>" * 50_000
    page = (
        b"<Envelope><returnval><objects><propSet><name>x</name><val>%s</val></propSet></objects></returnval></Envelope>"
    )
    opened = answering(200, page % deep)
    with pytest.raises(ConnectError) as refused:
        opened.read(pages._page, opened, "ContinueRetrievePropertiesEx", "token")
    assert refused.value.code == "NOT-VSPHERE"
