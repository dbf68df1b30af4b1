# SPDX-License-Identifier: Apache-2.0
import hashlib
from pathlib import Path
from types import ModuleType

import pytest

from v2x.disks.listing import FolderListing
from v2x.errors import BadImage, DigestMismatch, UnsafeImage, Unsupported
from v2x.sources.manifest import Manifest, check_bytes, read_manifest, verify_manifest


def _manifest(folder: Path, text: str) -> Manifest:
    (folder / "m.mf").write_text(text)
    return read_manifest(FolderListing(folder), "m.mf")


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512"])
def test_every_algorithm_of_the_field_is_verified(algorithm: str, tmp_path: Path, kit: ModuleType) -> None:
    (tmp_path / "a b.vmdk").write_bytes(b"a" * 3_000_000)
    manifest = _manifest(tmp_path, kit.manifest(tmp_path, ["a b.vmdk"], algorithm))
    assert manifest.algorithms == (algorithm.lower(),)
    seen: list[int] = []
    assert verify_manifest(FolderListing(tmp_path), manifest, progress=seen.append) == ("a b.vmdk",)
    assert sum(seen) == 3_000_000


@pytest.mark.parametrize(
    "line", ["SHA256(f)= {}", "SHA256 (f) = {}", "sha256(f)={}", "SHA-256(./f)= {}", "  SHA256(f)= {}  "]
)
def test_spellings_of_a_line(line: str, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"f").hexdigest()
    assert _manifest(tmp_path, line.format(digest.upper()) + "\r\n\n").digests == {"f": ("sha256", digest)}


def test_mismatch_names_the_file_and_both_digests(tmp_path: Path, kit: ModuleType) -> None:
    (tmp_path / "f").write_bytes(b"before")
    manifest = _manifest(tmp_path, kit.manifest(tmp_path, ["f"]))
    (tmp_path / "f").write_bytes(b"after")
    before, after = (hashlib.sha256(data).hexdigest() for data in (b"before", b"after"))
    with pytest.raises(DigestMismatch) as refused:
        verify_manifest(FolderListing(tmp_path), manifest)
    assert all(word in refused.value.message for word in ("f has", before, after, "m.mf"))
    with pytest.raises(DigestMismatch):
        check_bytes(manifest, "f", b"after")
    assert check_bytes(manifest, "f", b"before")
    assert not check_bytes(manifest, "other", b"")


def test_only_the_asked_files_are_read(tmp_path: Path, kit: ModuleType) -> None:
    for name in ("f", "g"):
        (tmp_path / name).write_bytes(name.encode())
    manifest = _manifest(tmp_path, kit.manifest(tmp_path, ["f", "g"]))
    (tmp_path / "g").write_bytes(b"changed")
    assert verify_manifest(FolderListing(tmp_path), manifest, ["f", "not listed"]) == ("f",)


def test_what_progress_raises_ends_the_pass(tmp_path: Path, kit: ModuleType) -> None:
    (tmp_path / "f").write_bytes(bytes(100))
    manifest = _manifest(tmp_path, kit.manifest(tmp_path, ["f"]))

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify_manifest(FolderListing(tmp_path), manifest, progress=stop)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("MD5(f)= d41d8cd98f00b204e9800998ecf8427e", Unsupported),
        ("BLAKE3(f)= 00", Unsupported),
        ("SHA256(f)= 00", BadImage),
        ("SHA256(f) is wrong", BadImage),
        (f"SHA1(f)= {'0' * 40}\nSHA1(f)= {'1' * 40}", BadImage),
        (f"SHA1(../f)= {'0' * 40}", UnsafeImage),
        (f"SHA1(/etc/passwd)= {'0' * 40}", UnsafeImage),
    ],
)
def test_bad_manifests_are_refused(text: str, kind: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(kind, match=r"m\.mf|not a plain file name"):
        _manifest(tmp_path, text)


def test_binary_and_huge_manifests_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.mf").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadImage, match="no UTF-8"):
        read_manifest(FolderListing(tmp_path), "m.mf")
    (tmp_path / "m.mf").write_bytes(b"\n" * (1 << 21))
    with pytest.raises(UnsafeImage, match="at most"):
        read_manifest(FolderListing(tmp_path), "m.mf")
