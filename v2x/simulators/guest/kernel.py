# SPDX-License-Identifier: Apache-2.0
"""Finds a Linux kernel with its modules, and works out which modules a driver needs.

The dependencies are read from each module's own `.modinfo` strings (`depends=`, `softdep=pre:`), not from
modules.dep: an unpacked kernel package has no modules.dep yet.
"""

import gzip
import lzma
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from v2x.errors import UsageError, V2xError
from v2x.simulators import programs

KERNEL_PACKAGE = "linux-image-amd64"
_MODULE = re.compile(r"(?P<name>[^/]+)\.ko(?:\.(?:xz|gz|zst))?")
_MODULE_INFO = re.compile(rb"\0(depends|softdep)=([^\0]*)")


@dataclass(frozen=True, slots=True)
class Kernel:
    """A bootable kernel: its release, its image, and the directory of its modules."""

    release: str
    image: Path
    modules: Path

    @property
    def config(self) -> Path:
        return self.image.with_name(f"config-{self.release}")


@dataclass(frozen=True, slots=True)
class Module:
    """A kernel module: `path` relative to lib/modules/RELEASE without compression suffix, `data` uncompressed."""

    name: str
    path: str
    needs: tuple[str, ...]
    data: bytes


def find_kernel(*roots: Path) -> Kernel:
    """The newest readable kernel with modules under the first of `roots` that has one.

    A root is a machine's `/`, or a folder with an unpacked kernel package. Raises UsageError that names what is
    missing and the remedy.
    """
    unreadable: Path | None = None
    for root in roots:
        kernel, closed = _newest_kernel(root)
        if kernel is not None:
            return kernel
        unreadable = unreadable or closed
    if unreadable is not None:
        raise UsageError(
            f"the kernel {unreadable} cannot be read by this user",
            code="MISSING-TOOL",
            hint=f"sudo chmod a+r {unreadable}, or run as root, or name a folder with an unpacked {KERNEL_PACKAGE}",
        )
    raise UsageError(
        f"no Linux kernel with its modules is under {', '.join(map(str, roots))}",
        code="MISSING-TOOL",
        hint=f"make setup fetches one; or sudo apt-get install {KERNEL_PACKAGE}; or name a folder with it unpacked",
    )


def _newest_kernel(root: Path) -> tuple[Kernel | None, Path | None]:
    """The newest kernel that this user can read, and the newest one that it cannot."""
    images = [
        (image.name.removeprefix("vmlinuz-"), image)
        for folder in (root / "boot", root)
        for image in folder.glob("vmlinuz-*")
    ]
    unreadable: Path | None = None
    for release, image in sorted(images, key=lambda pair: _version(pair[0]), reverse=True):
        modules = _modules_of(root, release)
        if modules is None:
            continue
        try:
            with image.open("rb") as opened:
                opened.read(1)
        except OSError:
            unreadable = unreadable or image
            continue
        return Kernel(release, image, modules), unreadable
    return None, unreadable


def _version(release: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", release)]


def _modules_of(root: Path, release: str) -> Path | None:
    for folder in (root / "lib" / "modules" / release, root / "usr" / "lib" / "modules" / release):
        if (folder / "kernel").is_dir():
            return folder
    return None


def load_modules(kernel: Kernel, names: Iterable[str], *, required: Iterable[str]) -> list[Module]:
    """The modules `names` and all that they need, each after what it needs.

    A name that is neither a module nor built in is left out, unless it is `required`: then V2xError.
    """
    index = {
        _underscored(match["name"]): path
        for path in kernel.modules.joinpath("kernel").rglob("*.ko*")
        if (match := _MODULE.fullmatch(path.name))
    }
    built_in = _built_in(kernel)
    for name in map(_underscored, required):
        if name not in index and name not in built_in:
            raise UsageError(
                f"the kernel {kernel.release} has no driver {name}",
                code="MISSING-TOOL",
                hint=f"sudo apt-get install {KERNEL_PACKAGE} (a cloud or custom kernel lacks drivers)",
            )
    loaded: dict[str, Module] = {}
    for name in names:
        _load(kernel, index, _underscored(name), loaded, ())
    return list(loaded.values())


def _load(kernel: Kernel, index: dict[str, Path], name: str, loaded: dict[str, Module], above: tuple[str, ...]) -> None:
    if name in loaded or name in above or name not in index:
        return
    path = index[name]
    data = _uncompressed(path)
    needs = tuple(_needs(data))
    for needed in needs:
        _load(kernel, index, needed, loaded, (*above, name))
    relative = path.relative_to(kernel.modules)
    plain = relative.with_name(relative.name.partition(".ko")[0] + ".ko")
    loaded[name] = Module(name, plain.as_posix(), tuple(n for n in needs if n in index), data)


def _needs(module: bytes) -> Iterator[str]:
    for kind, value in _MODULE_INFO.findall(module):
        words = value.decode("ascii", "replace")
        if kind == b"depends":
            yield from (_underscored(word) for word in words.split(",") if word)
        elif words.startswith("pre:"):
            before = words.removeprefix("pre:").partition("post:")[0]
            yield from (_underscored(word) for word in before.split())


def _built_in(kernel: Kernel) -> frozenset[str]:
    try:
        listing = (kernel.modules / "modules.builtin").read_text("utf-8", "replace")
    except OSError:
        return frozenset()
    return frozenset(
        _underscored(match["name"])
        for line in listing.splitlines()
        if (match := _MODULE.fullmatch(line.rpartition("/")[2]))
    )


def _uncompressed(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        if path.suffix == ".xz":
            return lzma.decompress(data)
        if path.suffix == ".gz":
            return gzip.decompress(data)
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise V2xError(f"the kernel module {path} cannot be read: {error}") from error
    if path.suffix == ".zst":
        return programs.run(["zstd", "-dcq"], cwd=path.parent, stdin=data)[0]
    return data


def _underscored(name: str) -> str:
    """The kernel's own spelling of a module name: a file may say xen-blkfront for xen_blkfront."""
    return name.replace("-", "_")
