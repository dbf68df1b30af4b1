# SPDX-License-Identifier: Apache-2.0
"""The rules by which a pool's records become facts."""

from typing import Any

import pytest

from v2x.errors import TargetError
from v2x.model.target import ImageFormat
from v2x.target.xapi import facts, tags
from v2x.target.xapi.connection import split_address


@pytest.mark.parametrize(
    ("kind", "config", "expected"),
    [
        ("ext", {}, True),
        ("nfs", {}, True),
        ("lvm", {"use_vhd": "true", "allocation": "thick"}, True),
        ("lvm", {"allocation": "thick"}, False),
        ("lvmoiscsi", {}, False),
        ("lvmohba", {"use_vhd": "true"}, True),
        ("equal", {"allocation": "thick"}, False),
        ("equal", {"allocation": "thin"}, True),
        ("cslg", {}, False),
        ("linstor", {}, True),
    ],
)
def test_which_storage_is_zeroed(kind: str, config: dict[str, str], expected: bool) -> None:
    assert facts.prezeroed({"type": kind, "sm_config": config}) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("26.1.4", (26, 1, 4)), ("26.1.3-1.6", (26, 1, 3)), ("1.249.41", (1, 249, 41)), ("", ()), ("unknown", ())],
)
def test_versions_are_read_defensively(text: str, expected: tuple[int, ...]) -> None:
    assert facts.version_of(text) == expected


@pytest.mark.parametrize(
    ("software", "expected"),
    [
        ({"xapi_build": "25.27.0"}, True),
        ({"xapi": "25.6"}, False),
        ({"xapi": "26.1"}, True),
        ({"xapi_build": "1.249.41"}, False),
        ({}, False),
        ("nothing", False),
    ],
)
def test_qcow2_import_needs_25_27(software: object, expected: bool) -> None:
    assert facts.takes_qcow2(software) is expected


def driver(**changes: Any) -> dict[str, Any]:
    return {"configuration": {"preferred-image-formats": "comma separated list"}, **changes}


@pytest.mark.parametrize(
    ("kind", "own", "pbd", "expected"),
    [
        ("ext", driver(), "", ("vhd", "qcow2")),
        ("ext", driver(), "qcow2,vhd", ("qcow2", "vhd")),
        ("ext", driver(), "vhd", ("vhd",)),
        ("ext", driver(), "zzz", ("vhd", "qcow2")),
        ("ext", driver(configuration={}), "qcow2", ("vhd",)),
        ("nfs", driver(configuration={}, supported_image_formats=["VHD", "QCOW2"]), "", ("vhd", "qcow2")),
        ("smb", driver(), "qcow2", ("vhd",)),
        ("linstor", driver(), "", ("vhd",)),
    ],
)
def test_image_formats_of_a_repository(kind: str, own: dict[str, Any], pbd: str, expected: tuple[str, ...]) -> None:
    found = facts._formats({"type": kind}, own, [{"device_config": {"preferred-image-formats": pbd}}])
    assert found == tuple(ImageFormat(name) for name in expected)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.1", ("10.0.0.1", 0)),
        ("127.0.0.1:8443", ("127.0.0.1", 8443)),
        ("host.example", ("host.example", 0)),
        ("fe80::1", ("fe80::1", 0)),
        ("[fe80::1]:444", ("fe80::1", 444)),
        ("[fe80::1]", ("fe80::1", 0)),
    ],
)
def test_host_addresses(address: str, expected: tuple[str, int]) -> None:
    assert split_address(address) == expected


@pytest.mark.parametrize("address", ["", ":80", "host:x", "host:0", "host:99999", "[]:1", "host:²"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(TargetError):
        split_address(address)


def test_highest_mark_counts_and_nonsense_does_not() -> None:
    own = {"v2x-hwm-1": "100", "v2x-hwm-3": "300", "v2x-hwm-2": "200", "v2x-hwm-x": "9", "v2x-hwm-4": "many"}
    assert tags.marks(own) == {1: 100, 2: 200, 3: 300}


@pytest.mark.parametrize(
    ("record", "own"),
    [
        ({"uuid": "a", "other_config": {"v2x-self": "a"}}, True),
        ({"uuid": "a", "other_config": {}}, True),
        ({"uuid": "b", "other_config": {"v2x-self": "a"}}, False),
        ({"uuid": "a", "other_config": {}, "is_a_snapshot": True}, False),
    ],
)
def test_clones_and_snapshots_are_not_ones_own(record: dict[str, Any], own: bool) -> None:
    assert tags.is_own(record) is own
