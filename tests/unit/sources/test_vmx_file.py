# SPDX-License-Identifier: Apache-2.0
import pytest

from v2x.errors import BadImage, UnsafeImage
from v2x.sources.vmx_file import parse_vmx


def test_keys_are_case_insensitive_and_escapes_are_undone() -> None:
    vmx = parse_vmx(b'#!/usr/bin/vmware\n# c\n\nDisplayName = "a |22b|22 |7C|0Ac"\r\nmemsize=512\n', "t.vmx")
    assert vmx.get("displayname") == 'a "b" |\nc'
    assert vmx.number("MemSize", 0) == 512
    assert "DISPLAYNAME" in vmx


@pytest.mark.parametrize(
    ("encoding", "codec", "word"),
    [
        ("UTF-8", "utf-8", "Büro 東京"),
        ("windows-1252", "cp1252", "Büro"),
        ("Shift_JIS", "cp932", "東京"),
        ("GBK", "gbk", "北京"),
        ("windows-1251", "cp1251", "Москва"),
    ],
)
def test_stated_encodings(encoding: str, codec: str, word: str) -> None:
    text = f'.encoding = "{encoding}"\ndisplayName = "{word}"\n'
    assert parse_vmx(text.encode(codec), "t.vmx").get("displayName") == word


def test_wrong_or_unknown_encodings_never_raise() -> None:
    assert parse_vmx(b'.encoding = "zip"\nname = "\xfc"', "t.vmx").get("name") == "ü"
    assert parse_vmx(b'.encoding = "UTF-8"\nname = "B\xfcro"', "t.vmx").get("name") == "Büro"
    assert parse_vmx(b'\xef\xbb\xbfname = "x"', "t.vmx").get("name") == "x"


def test_key_set_twice() -> None:
    assert parse_vmx(b'a = "1"\nA = "1"\n', "t.vmx").get("a") == "1"
    with pytest.raises(BadImage, match="line 2 sets A a second time"):
        parse_vmx(b'a = "1"\nA = "2"\n', "t.vmx")


@pytest.mark.parametrize("text", [b"not a setting", b'a b = "c"', b'= "x"', b'a = "x" y', b"\x00\x01"])
def test_other_text_is_refused_with_its_line(text: bytes) -> None:
    with pytest.raises(BadImage, match=r"t\.vmx"):
        parse_vmx(text, "t.vmx")


def test_flags_and_numbers() -> None:
    vmx = parse_vmx(b'a = "TRUE"\nb = "false"\nn = "seven"\nm = "-4"\nbig = "99999999999999999999"\n', "t.vmx")
    assert (vmx.flag("a"), vmx.flag("b"), vmx.flag("c"), vmx.flag("c", True)) == (True, False, False, True)
    assert vmx.number("absent", 5) == 5
    for key in ("n", "m", "big"):
        with pytest.raises(BadImage, match=f"t.vmx: {key} is"):
            vmx.number(key, 0)


def test_groups_come_in_the_order_of_their_numbers() -> None:
    vmx = parse_vmx(b'ethernet10.present = "TRUE"\nethernet2.present = "TRUE"\nethernet2.x = "1"\n', "t.vmx")
    assert [match[0] for match in vmx.groups(r"ethernet[0-9]{1,2}(?=\.)")] == ["ethernet2", "ethernet10"]


def test_too_many_keys_are_refused() -> None:
    with pytest.raises(UnsafeImage, match="more than"):
        parse_vmx(b"".join(b"k%d=1\n" % number for number in range(50_001)), "t.vmx")
