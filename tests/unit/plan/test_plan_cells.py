# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from v2x.errors import UsageError
from v2x.model.target import SecureBoot
from v2x.model.units import GIB, KIB, MIB, TIB
from v2x.plan.cells import (
    CellError,
    parse_size,
    read_flag,
    read_pairs,
    read_secure_boot,
    read_size,
    tidy,
    whole_number,
    word_of,
    write_pairs,
    write_size,
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("4 GiB", 4 * GIB),
        ("4GB", 4 * GIB),
        ("4 g", 4 * GIB),
        ("1.5 GiB", 3 * GIB // 2),
        ("1,5 GiB", 3 * GIB // 2),
        ("0.125 GiB", GIB // 8),
        ("4096 MiB", 4 * GIB),
        ("4096mb", 4 * GIB),
        ("1.048.576 KiB", GIB),
        ("1,048,576 KiB", GIB),
        ("1 048 576 KiB", GIB),
        ("1'048'576 KiB", GIB),
        ("1.024,5 MiB", 1024 * MIB + 512 * KIB),
        ("1,024.50 MiB", 1024 * MIB + 512 * KIB),
        ("2 TiB", 2 * TIB),
        ("512 bytes", 512),
        ("4096.5 MiB", 4096 * MIB + 512 * KIB),
    ],
)
def test_sizes(text, count):
    assert read_size(text) == count


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("4,096 MiB", "could mean 4096 or 4.096"),
        ("1.024 GiB", "could mean 1024 or 1.024"),
        ("4096", "has no unit"),
        ("4 GiBi", "unknown unit 'GiBi'"),
        ("GiB", "is not a size"),
        ("-4 GiB", "is not a size"),
        ("4,5,6 GiB", "is not a number"),
        ("1.2345.678 KiB", "is not a number"),
        ("1,234.567,8 KiB", "is not a number"),
        ("4. GiB", "is not a number"),
        ("0.3 bytes", "not a whole number of bytes"),
        ("0 GiB", "out of range"),
        ("99999999999 TiB", "out of range"),
        ("9" * 50 + " B", "is not a number"),
        ("٤ GiB", "is not a size"),
    ],
)
def test_wrong_sizes(text, says):
    with pytest.raises(CellError, match=says) as caught:
        read_size(text)
    assert caught.value.valid


@given(st.integers(1, 2**63 - 1))
@example(1)
@example(4 * GIB)
@example(1000)
def test_a_written_size_is_read_back_exactly(count):
    assert read_size(write_size(count)) == count


@pytest.mark.parametrize("text", ["yes", "Y", "TRUE", "1", "x", "On"])
def test_yes(text):
    assert read_flag(text) is True


@pytest.mark.parametrize("text", ["no", "N", "False", "0", "off"])
def test_no(text):
    assert read_flag(text) is False


def test_neither_yes_nor_no():
    with pytest.raises(CellError, match="neither yes nor no"):
        read_flag("perhaps")


@pytest.mark.parametrize(("text", "value"), [("4", 4), ("4.0", 4), ("4,00", 4), ("+4", 4)])
def test_whole_numbers(text, value):
    assert whole_number(1, 8)(text) == value


@pytest.mark.parametrize(
    ("text", "says"), [("4.5", "not a whole"), ("four", "not a whole"), ("0", "range"), ("9", "range")]
)
def test_wrong_numbers(text, says):
    with pytest.raises(CellError, match=says) as caught:
        whole_number(1, 8)(text)
    assert caught.value.valid == "a whole number from 1 to 8"


def test_words_in_any_case():
    assert word_of(SecureBoot)("TRUE") is SecureBoot.TRUE
    with pytest.raises(CellError) as caught:
        word_of(SecureBoot)("wahr")
    assert caught.value.valid == "auto, true, false"


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("*=Local storage; scsi0:1=NFS", {"*": "Local storage", "scsi0:1": "NFS"}),
        ("0=LAN; 1=DMZ", {"0": "LAN", "1": "DMZ"}),
        (' 0 = LAN ;1="a; b=""c""" ; ', {"0": "LAN", "1": 'a; b="c"'}),
        ("Local storage", {"*": "Local storage"}),
        ('"a=b"', {"*": "a=b"}),
        ('"scsi0:1" = "x\ny"', {"scsi0:1": "x\ny"}),
    ],
)
def test_pairs(text, pairs):
    assert read_pairs(text) == pairs


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0=LAN; DMZ", "without both sides"),
        ("0=", "without both sides"),
        ("=LAN", "without both sides"),
        ("0=LAN; 0=DMZ", "names '0' twice"),
        ('0="LAN', "quote that does not end"),
        ('0="LAN"x', "text after a quoted name"),
        ("0=LAN=DMZ", "text after"),
    ],
)
def test_wrong_pairs(text, says):
    with pytest.raises(CellError, match=says):
        read_pairs(text)


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1), max_size=4))
@example({"*": ' "; =\n'})
@example({"a": "b"})
@example({" ": '"'})
def test_written_pairs_are_read_back(pairs):
    assert read_pairs(write_pairs(pairs)) == pairs


@given(st.text())
def test_any_cell_is_read_or_refused(text):
    """hostile: no text makes a reader fail in another way than CellError."""
    for read in (read_size, read_flag, read_pairs, whole_number(1, 9), word_of(SecureBoot)):
        try:
            read(text)
        except CellError as problem:
            assert str(problem)
            assert problem.valid


@given(st.text())
def test_tidy_text_stays_as_it_is(text):
    assert tidy(tidy(text)) == tidy(text)
    tidy(text).encode()


def test_a_size_typed_at_a_prompt():
    assert parse_size(" 4 GiB ") == 4 * 2**30
    with pytest.raises(UsageError, match="has no unit"):
        parse_size("4")


@pytest.mark.parametrize(("text", "wanted"), [("false", "false"), ("no", "false"), ("TRUE", "true"), ("Auto", "auto")])
def test_secure_boot_as_spreadsheets_save_it(text, wanted):
    assert read_secure_boot(text) == SecureBoot(wanted)


def test_secure_boot_is_no_other_word():
    with pytest.raises(CellError, match="known words"):
        read_secure_boot("perhaps")
