# SPDX-License-Identifier: Apache-2.0
import pytest

from v2x.errors import BadImage, Unsupported
from v2x.sources.ovf_xml import attr, parse, text, truth, unit_bytes, whole


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("", 1),
        ("byte", 1),
        ("byte * 2^20", 1 << 20),
        ("byte*2^30", 1 << 30),
        ("bytes * 10^9", 10**9),
        ("byte * 1024 * 1024", 1 << 20),
        ("MegaBytes", 1 << 20),
        ("MB", 1 << 20),
        ("GigaBytes", 1 << 30),
        ("KB", 1 << 10),
        ("kilobyte * 2", 2048),
    ],
)
def test_allocation_units(units: str, expected: int) -> None:
    assert unit_bytes(units, "memory") == expected


@pytest.mark.parametrize("units", ["furlong", "byte * 2^-3", "byte * 2^99", "byte * 0", "byte ^ 2", "hertz * 10^6"])
def test_unknown_units_name_the_element(units: str) -> None:
    with pytest.raises(BadImage, match="Disk 'd': unit"):
        unit_bytes(units, "Disk 'd': unit")


@pytest.mark.parametrize("word", ["", "four", "1.5", "1e3", "0x10", "٣", "9" * 40, "--1", "1 2", "NaN"])
def test_odd_numbers_are_refused_by_name(word: str) -> None:
    with pytest.raises(BadImage, match="processors is"):
        whole(word, "processors")


def test_numbers_outside_their_range_are_refused() -> None:
    assert whole(" +7 ", "n", 1, 9) == 7
    for word in ("-1", "0", "10"):
        with pytest.raises(BadImage, match="outside of 1 to 9"):
            whole(word, "n", 1, 9)


def test_a_property_in_place_of_a_number_is_unsupported_with_a_remedy() -> None:
    with pytest.raises(Unsupported, match="is the property") as refused:
        whole("${disk.size}", "capacity")
    assert refused.value.hint


def test_attributes_are_found_in_their_namespace_only() -> None:
    root = parse(
        b'<E xmlns:o="http://schemas.dmtf.org/ovf/envelope/1" xmlns:v="http://www.vmware.com/schema/ovf"'
        b' v:id="vm" o:id="ovf"><a> x </a></E>',
        "t.ovf",
    )
    assert (attr(root, "id"), attr(root, "id", "vmw"), attr(root, "id", "ovirt")) == ("ovf", "vm", "")
    assert attr(parse(b'<E id="plain"/>', "t.ovf"), "id") == "plain"
    assert (text(root, "a"), text(root, "b", "none"), text(None)) == ("x", "none", "")


def test_truth_words() -> None:
    assert [truth(word) for word in ("true", "1", "YES", "false", "0", "")] == [True, True, True, False, False, False]
    assert truth("", True)
