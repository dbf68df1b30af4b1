# SPDX-License-Identifier: Apache-2.0
"""Other programs' opinions of a disk image: qemu-img and libvhdi say its bytes, oslo.utils whether it is safe."""

import json
import select
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from oslo_utils.imageutils import format_inspector

_SECONDS = 30
_WORKER = """
import json, sys, pyvhdi
for line in sys.stdin:
    paths, out, length = json.loads(line)
    try:
        files = []
        for path in paths:
            file = pyvhdi.file()
            file.open(path)
            files.append(file)
        for child, parent in zip(files, files[1:]):
            child.set_parent(parent)
        size = files[0].get_media_size()
        wanted = min(length, size)
        data = b""
        while len(data) < wanted:
            piece = files[0].read_buffer(wanted - len(data))
            if not piece:
                raise IOError("ends early")
            data += piece
        with open(out, "wb") as written:
            written.write(data)
        print(json.dumps(size), flush=True)
    except Exception as problem:
        print(json.dumps(str(problem)), flush=True)
"""


def by_qemu(path: Path, options: str, mebibytes: int) -> bytes | None:
    """The first MiB of a disk as qemu-img reads it; None where it refuses. `options` are those of --image-opts."""
    out = path.with_name("qemu.out")
    out.unlink(missing_ok=True)
    name = str(path).replace(",", ",,")
    command = ["qemu-img", "dd", "--image-opts", "-O", "raw", "bs=1M", f"count={mebibytes}"]
    done = subprocess.run(
        [*command, f"if={options},file.driver=file,file.filename={name}", f"of={out}"],
        capture_output=True,
        check=False,
        timeout=_SECONDS,
    )
    return out.read_bytes() if done.returncode == 0 else None


def mended_by_qemu(path: Path) -> Path | None:
    """A copy of a VHDX whose log qemu-img has written back; None where it cannot."""
    copy = path.with_name(f"mended-{path.name}")
    shutil.copyfile(path, copy)
    done = subprocess.run(
        ["qemu-img", "check", "-q", "-r", "all", "-f", "vhdx", copy], capture_output=True, check=False, timeout=_SECONDS
    )
    return copy if done.returncode == 0 else None


class Libvhdi:
    """Debian's libvhdi in a process of its own, which is begun again where it dies of an image."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Libvhdi":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def read(self, chain: Sequence[Path], length: int) -> tuple[int, bytes] | None:
        """(size, first bytes) of the disk `chain[0]` on top of the rest; None where libvhdi refuses, hangs or dies."""
        out = chain[0].with_name("libvhdi.out")
        if self._process is None:
            self._process = subprocess.Popen(
                ["/usr/bin/python3", "-c", _WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps([[str(path) for path in chain], str(out), length]) + "\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], _SECONDS)
            line = process.stdout.readline() if ready else ""
        except OSError:
            line = ""
        if not line:
            self._end()
            return None
        said = json.loads(line)
        return (said, out.read_bytes()) if isinstance(said, int) else None

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()


def unsafe_by_oslo(path: Path, form: str) -> str:
    """Why oslo.utils' inspector calls the file unsafe, or no image of the format; empty where it does not."""
    kind = format_inspector.get_inspector(form)
    assert kind is not None
    try:
        kind.from_file(str(path)).safety_check()
    except format_inspector.SafetyCheckFailed as problem:
        reasons = dict(problem.failures)
        for known in KNOWN_BETTER:
            if known(path, reasons):
                return ""
        return "; ".join(f"{name}: {why}" for name, why in reasons.items())
    except format_inspector.ImageFormatError as problem:
        # No verdict where it looks at less than the format allows: it knows neither a fixed VHD, which has no copy of
        # its footer at the beginning, nor the second region table of a VHDX, for where the first is damaged.
        return str(problem) if form in {"vmdk", "qcow2"} else ""
    return ""


def _features(path: Path) -> tuple[int, int]:
    """(version, incompatible features) of a QCOW2 image."""
    with path.open("rb") as file:
        head = file.read(80).ljust(80, b"\0")
    return int.from_bytes(head[4:8], "big"), int.from_bytes(head[72:80], "big")


def _version_2(path: Path, reasons: dict[str, object]) -> bool:
    """The header of version 2 ends at byte 72: what follows is an extension, and no list of features."""
    return set(reasons) == {"data_file"} and path.suffix == ".qcow2" and _features(path)[0] == 2


def _extended_tables(path: Path, reasons: dict[str, object]) -> bool:
    """Bit 4, the last one that the specification knows (qemu 5.2): subclusters, which name nothing outside."""
    return set(reasons) == {"unknown_features"} and path.suffix == ".qcow2" and _features(path)[1] & ~0x1F == 0


KNOWN_BETTER: tuple[Callable[[Path, dict[str, object]], bool], ...] = (_version_2, _extended_tables)
"""Where oslo.utils refuses what the format's facts allow."""
