# SPDX-License-Identifier: Apache-2.0
"""Disks as VHD streams to a TCP sink: against nbdcopy, Xen Orchestra, staging with qemu-img, and sendall alone."""

import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.bench.contest import Contender, Contest, python
from tests.bench.goals import reached
from tests.bench.inputs import Kind, Shape, data_bytes, discard, files, image
from tests.bench.servers import NbdServer, qemu_nbd

V2X_FORMATS = {Kind.RAW: "raw", Kind.VHDX: "vhdx", Kind.CHAIN: "vhdx", Kind.VHD: "vhd", Kind.QCOW2: "qcow2"}


def v2x_send(place: object, kind: Kind, *images: Path, by_nbd: bool = False) -> tuple[str, ...]:
    return python("v2x_send.py", place, "nbd:" * by_nbd + V2X_FORMATS.get(kind, "vmdk"), *images)


def nbdcopy(path: Path, kind: Kind, nbd_null: NbdServer) -> Contender:
    """From a qemu-nbd of its own into a server that throws everything away."""
    served = ("[", "qemu-nbd", "-r", "-f", kind.qemu, str(path), "]")
    return Contender(
        name="nbdcopy",
        steps=(("nbdcopy", "--destination-is-zero", "--", *served, f"nbd://127.0.0.1:{nbd_null.port}"),),
        receiver=nbd_null.pid,
    )


def staged(path: Path, kind: Kind, place: object, folder: Path) -> Contender:
    """qemu-img to a VHD file, then that file."""
    file = folder / "staged.vhd"
    convert = ("qemu-img", "convert", "-f", kind.qemu, "-O", "vpc", "-o", "subformat=dynamic,force_size=on")
    return Contender(
        name="qemu-img, then send",
        steps=((*convert, str(path), str(file)), python("file_send.py", place, file)),
        before=lambda: file.unlink(missing_ok=True),
    )


@contextmanager
def xen_orchestra(path: Path, kind: Kind, sink: int, peers: Path | None):
    """None where its packages are not there."""
    if peers is None or not shutil.which("node"):
        yield None
        return
    with qemu_nbd(path, kind.qemu) as server:
        script = str(Path(__file__).parent / "peers" / "nbd_disk.mjs")
        yield Contender(name="Xen Orchestra", steps=(("node", script, str(sink), str(server.port)),))


def contest(
    shape: Shape,
    kind: Kind,
    sink: int,
    nbd_null: NbdServer,
    peers: Path | None,
    folder: Path,
    *,
    all_peers: bool,
    by_nbd: bool = False,
):
    path, base_bytes = image(shape, kind), data_bytes(shape)
    contenders = [
        Contender(name="v2x", steps=(v2x_send(sink, kind, path, by_nbd=by_nbd),)),
        Contender(name="sendall", steps=(python("floor_send.py", sink, base_bytes),)),
    ]
    with ExitStack() as stack:
        if kind is not Kind.CHAIN:  # qemu reads no VHDX on another
            contenders.append(nbdcopy(path, kind, nbd_null))
        if all_peers:
            contenders.append(staged(path, kind, sink, folder))
            found = stack.enter_context(xen_orchestra(path, kind, sink, peers))
            contenders += [found] if found else []
        held = Contest(
            name=f"{shape}-{'nbd' if by_nbd else kind}-to-tcp",
            base_bytes=base_bytes,
            sources=files(shape, kind),
            contenders=contenders,
            folder=folder,
            environment={"PEERS": str(peers or "")},
        ).held()
    (folder / "staged.vhd").unlink(missing_ok=True)
    for name, runs in held.runs.items():
        assert all(run.told.get("bytes", base_bytes) >= base_bytes for run in runs), f"{name} moved too little"
    return held


@pytest.mark.parametrize("kind", [Kind.MONOLITHIC, Kind.FLAT])
def test_vmdk(kind, sink, nbd_null, peers, folder):
    held = contest(Shape.FILLED, kind, sink, nbd_null, peers, folder, all_peers=True)
    held.goal("vmdk-nbdcopy")
    held.goal("vmdk-floor")
    held.goal("vmdk-xo")
    shares = [
        own.cpu_s / (other.cpu_s + other.receiver_cpu_s)
        for own, other in zip(held.runs["v2x"], held.runs["nbdcopy"], strict=True)
    ]
    held.note(reached("vmdk-cpu", held.name, shares))


@pytest.mark.parametrize("kind", [Kind.VHDX, Kind.CHAIN])
def test_vhdx(kind, sink, nbd_null, peers, folder):
    held = contest(Shape.FILLED, kind, sink, nbd_null, peers, folder, all_peers=kind is Kind.VHDX)
    held.goal("vhdx-nbdcopy")
    held.goal("vhdx-floor")
    held.goal("vhdx-xo")


def test_nbd_source(sink, nbd_null, peers, folder):
    """A QCOW2 behind a qemu-nbd, for all of them."""
    held = contest(Shape.FILLED, Kind.QCOW2, sink, nbd_null, peers, folder, all_peers=True, by_nbd=True)
    held.goal("nbd-nbdcopy")


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.RAW])
@pytest.mark.parametrize("shape", [Shape.THIN, Shape.RANDOM])
def test_other_disks(shape, kind, sink, nbd_null, folder):
    """Beside the goals: whether anything about them hangs on the one disk they are measured with."""
    contest(shape, kind, sink, nbd_null, None, folder, all_peers=False)
    if shape is Shape.RANDOM:
        discard(shape, kind)


@pytest.mark.parametrize("kind", [Kind.VHD, Kind.QCOW2])
def test_filled_disks_without_a_goal(kind, sink, nbd_null, folder):
    contest(Shape.FILLED, kind, sink, nbd_null, None, folder, all_peers=False)
