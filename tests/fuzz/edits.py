# SPDX-License-Identifier: Apache-2.0
"""Changes to well-formed inputs: numbers of a disk image, elements of XML, values of JSON, cells and lines of text.

Each takes the chances it needs from a `Random`, so that hypothesis, libFuzzer and a seed all drive the same changes.
"""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from random import Random
from typing import Any
from xml.etree import ElementTree

from tests.fuzz.shapes import Shape, number
from tests.fuzz.sparse import SparseFile

Edit = Callable[[bytes, Random], bytes]

NUMBERS = [0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 511, 512, 513, 4095, 4096, 65535, 65536, 1 << 20, 1 << 30]
NUMBERS += [(1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 46, 1 << 54, 1 << 55, 1 << 63, (1 << 64) - 1]
WORDS = [
    "",
    "0",
    "-1",
    "1e9",
    "NaN",
    "9" * 25,
    "..",
    "../x",
    "/etc/passwd",
    "C:\\x",
    "\\\\h\\s\\x",
    "file:///x",
    "a" * 300,
]
WORDS += [
    "true",
    "TRUE",
    "2 * 2^40",
    "byte * 2^99",
    "${x}",
    "%s%n",
    "٣",
    "é",
    "\u202ex",
    "𝒳",
    "=1+1",
    "x;y",
    '"',
    "'",
    "\\",
]
WORDS += [
    "ffffffff",
    "{00000000-0000-0000-0000-000000000000}",
    "OpaqueRef:NULL",
    "RW",
    "ZERO",
    "FLAT",
    "SPARSE",
    "null",
]
PIECES = [
    *(word.encode() for word in WORDS),
    b"\0",
    b"\n",
    b"\r\n",
    b"<",
    b">",
    b"&#0;",
    b"]]>",
    b"\xff\xfe",
    b",",
    b"\t",
]
MOST_TEXT = 1 << 16


def image(data: bytes, chance: Random, shape: Shape) -> bytes:
    """An encoded SparseFile with one to three changes, nine times in ten with its checksums made right."""
    file = SparseFile.decoded(data)
    if file is None:
        return data
    for _ in range(chance.randint(1, 3)):
        file = _image_change(file, chance, shape)
    if chance.randrange(10):
        file = shape.resealed(file)
    return file.encoded()


def _image_change(file: SparseFile, chance: Random, shape: Shape) -> SparseFile:
    fields = [field for field in shape.fields(file) if 0 <= field[0] < file.size]
    kind = chance.randrange(12)
    if kind == 0:
        step = chance.choice([1, 511, 512, 4096, 1 << 20, file.size // 2])
        return file.resized(file.size + chance.choice([-step, step]))
    if kind == 1 and file.pieces:
        at, piece = chance.choice(file.pieces)
        place = chance.randrange(len(piece))
        return file.changed(at + place, bytes(changed_bytes(piece[place : place + 8], chance)))
    if kind == 2 and file.pieces:
        _, piece = chance.choice(file.pieces)
        target = chance.choice(file.pieces)[0] if chance.randrange(2) else chance.randrange(max(1, file.size))
        return file.changed(target, piece[:4096])
    if kind == 3 and file.pieces and _has_text(file):
        return _text_change(file, chance)
    if not fields:
        return file
    at, width = chance.choice(fields)
    return file.changed(at, _number_change(file, at, width, fields, chance, shape.order))


def _has_text(file: SparseFile) -> bool:
    return any(b"createType" in piece for _, piece in file.pieces)


def _text_change(file: SparseFile, chance: Random) -> SparseFile:
    """Of a descriptor, whether it is the file or embedded."""
    at, piece = next((at, piece) for at, piece in file.pieces if b"createType" in piece)
    made = text(piece, chance)
    if at == 0 and len(file.pieces) == 1:
        return SparseFile.made(len(made), {0: made})
    return file.changed(at, made.ljust(len(piece), b"\0")[: 20 * 512])


def _number_change(
    file: SparseFile, at: int, width: int, fields: Sequence[tuple[int, int]], chance: Random, order: str
) -> bytes:
    value = number(file, at, width, order)
    match chance.randrange(6):
        case 0:
            value = chance.choice(NUMBERS)
        case 1:
            value += chance.choice([-1, 1, -8, 8, -512, 512, 1 << 20, -(1 << 20)])
        case 2:
            value ^= 1 << chance.randrange(width * 8)
        case 3:
            other, other_width = chance.choice(fields)
            value = number(file, other, other_width, order)
        case 4:
            unit = chance.choice([1, 512, 4096, 1 << 20])
            value = file.size // unit + chance.choice([-1, 0, 1])
        case _:
            value = chance.getrandbits(width * 8)
    mask = (1 << width * 8) - 1
    return (value & mask).to_bytes(width, "little" if order == "<" else "big")


def changed_bytes(data: bytes, chance: Random) -> bytearray:
    made = bytearray(data)
    for place in range(len(made)):
        if chance.randrange(2):
            made[place] = chance.randrange(256)
    return made


def text(data: bytes, chance: Random, pieces: Sequence[bytes] = PIECES) -> bytes:
    """Any text: pieces put in or over it, lines twice, gone or exchanged."""
    for _ in range(chance.randint(1, 4)):
        kind = chance.randrange(5)
        lines = data.splitlines(keepends=True)
        if kind < 2 or not lines:
            at = chance.randint(0, len(data))
            gone = chance.choice([0, 0, 1, 4, 20])
            data = data[:at] + chance.choice(pieces) + data[at + gone :]
        elif kind == 2:
            lines.insert(chance.randint(0, len(lines)), chance.choice(lines))
            data = b"".join(lines)
        elif kind == 3:
            del lines[chance.randrange(len(lines))]
            data = b"".join(lines)
        else:
            place = chance.randrange(len(lines))
            head, sign, _ = lines[place].partition(b"=")
            value = chance.choice(pieces)
            end = b"\r\n" if lines[place].endswith(b"\r\n") else b"\n"
            lines[place] = head + sign + (b' "' + value + b'"' if sign else value) + end
            data = b"".join(lines)
    return data[:MOST_TEXT]


def xml(data: bytes, chance: Random) -> bytes:
    """A document with elements gone, twice, moved, renamed, or with other texts and attributes; else as any text."""
    if not chance.randrange(4):
        return text(data, chance)
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError):
        return text(data, chance)
    for _ in range(chance.randint(1, 4)):
        _element_change(root, chance)
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        return bytes(ElementTree.tostring(root, encoding=encoding, xml_declaration=True))[: MOST_TEXT * 16]
    except (ValueError, TypeError):
        return text(data, chance)


def _element_change(root: ElementTree.Element, chance: Random) -> None:
    every = list(root.iter())
    one = chance.choice(every)
    word = chance.choice(WORDS)
    match chance.randrange(8):
        case 0:
            one.text = word
        case 1 if one.attrib:
            one.set(chance.choice(sorted(one.attrib)), word)
        case 2 if one.attrib:
            del one.attrib[chance.choice(sorted(one.attrib))]
        case 3 if len(one):
            del one[chance.randrange(len(one))]
        case 4 if len(one) and len(every) < 4000:
            one.insert(chance.randint(0, len(one)), chance.choice(list(one)))
        case 5 if len(every) < 4000:
            other = chance.choice(every)
            if one not in other.iter():
                one.append(other)
        case 6:
            one.tag = chance.choice(every).tag
        case _:
            other = chance.choice(every)
            one.text, other.text = other.text, one.text


def parsed_json(data: bytes, chance: Random) -> bytes:
    """A document with values of other types, missing and doubled ones; else as any text."""
    if not chance.randrange(5):
        return text(data, chance)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return text(data, chance)
    for _ in range(chance.randint(1, 4)):
        content = _json_change(content, chance)
    return json.dumps(content).encode("utf-8", "replace")[: MOST_TEXT * 16]


def _json_change(content: Any, chance: Random) -> Any:
    """Goes down at random and changes what it comes to."""
    if isinstance(content, dict) and content and chance.randrange(8):
        key = chance.choice(list(content))
        match chance.randrange(12):
            case 0:
                return {name: value for name, value in content.items() if name != key}
            case 1:
                return content | {key: content[chance.choice(list(content))]}
            case 2:
                return content | {chance.choice(WORDS): content[key]}
        return content | {key: _json_change(content[key], chance)}
    if isinstance(content, list) and content and chance.randrange(8):
        place = chance.randrange(len(content))
        match chance.randrange(8):
            case 0:
                return content[:place] + content[place + 1 :]
            case 1:
                return content + content[place : place + 1]
        return [*content[:place], _json_change(content[place], chance), *content[place + 1 :]]
    wild: list[Any] = [None, True, -1, 1.5e308, 10**30, [], {}, [content], {"x": content}, str(content)]
    return chance.choice([*wild, *NUMBERS, *WORDS])


def cells(data: bytes, chance: Random) -> bytes:
    """CSV: cells, rows and columns changed; else as any text."""
    if not chance.randrange(3):
        return text(data, chance)
    mark = b"," if data.count(b",") >= data.count(b";") else b";"
    rows = [line.split(mark) for line in data.splitlines()]
    for _ in range(chance.randint(1, 4)):
        if not rows:
            break
        row = chance.choice(rows)
        match chance.randrange(5):
            case 0 | 1:
                row[chance.randrange(len(row))] = chance.choice(PIECES)
            case 2:
                other = chance.choice(rows)
                row[chance.randrange(len(row))] = other[chance.randrange(len(other))]
            case 3:
                rows.insert(chance.randint(0, len(rows)), list(row))
            case _:
                row.insert(chance.randint(0, len(row)), chance.choice(PIECES))
    return b"\r\n".join(mark.join(row) for row in rows)[:MOST_TEXT]


def packed_xml(data: bytes, chance: Random) -> bytes:
    """A workbook with one part changed; now and then the archive itself."""
    if not chance.randrange(6):
        at = chance.randrange(len(data))
        return data[:at] + bytes(changed_bytes(data[at : at + 8], chance)) + data[at + 8 :]
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        chosen = chance.choice(names)
        for name in names:
            content = old.read(name)
            new.writestr(name, xml(content, chance) if name == chosen else content)
    return out.getvalue()


_TAR_FIELDS = [(0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 6), (263, 2), (345, 155)]


def archive(data: bytes, chance: Random) -> bytes:
    """A tar archive with fields of its member headers changed, mostly with the sum made right; or its length."""
    made = bytearray(data)
    if not chance.randrange(6):
        del made[chance.randrange(len(made)) :]
        return bytes(made)
    heads = [at for at in range(0, len(made) - 511, 512) if made[at + 257 : at + 262] == b"ustar"]
    if not heads:
        return text(data, chance)
    for _ in range(chance.randint(1, 3)):
        at = chance.choice(heads)
        place, width = chance.choice(_TAR_FIELDS)
        values = [b"%011o" % chance.choice(NUMBERS[:20]), b"\x80" + b"\xff" * 11, b"\x80" + bytes(10) + b"\x01", b"x"]
        values += [chance.choice(PIECES), b"x" if width > 1 else bytes([chance.choice(b"01234567xgLKSV")])]
        field = chance.choice(values)[:width].ljust(width, b"\0")
        made[at + place : at + place + width] = field
        if not chance.randrange(4):
            source = chance.choice(heads)
            made += made[source : source + 1024] + bytes(1024)
        if chance.randrange(10):
            head = bytearray(made[at : at + 512])
            head[148:156] = b" " * 8
            made[at + 148 : at + 156] = b"%06o\0 " % sum(head)
    return bytes(made)


def tar_of(files: dict[str, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as made:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return out.getvalue()
