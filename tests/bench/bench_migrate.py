# SPDX-License-Identifier: Apache-2.0
"""`v2x migrate` of an OVA to a simulated pool in another process, against staging with qemu-img and against TLS alone.

The floor sends as many bytes to the same pool, from one buffer. Nobody verifies. The pool itself uses one of the CPUs.
"""

import json
import ssl
import tarfile
import xmlrpc.client

from tests.bench.contest import Contender, Contest, python
from tests.bench.inputs import Kind, Shape, data_bytes, image, ova


def emptied(pool) -> None:
    """Removes all machines and disks that a run left on the pool."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    server = xmlrpc.client.ServerProxy(f"https://{pool.address}/", context=context, allow_none=True)
    session = server.session.login_with_password(pool.user, pool.password, "1.0", "bench")["Value"]
    for reference, record in server.VM.get_all_records(session)["Value"].items():
        if record["name_label"] == "bench":
            server.VM.set_blocked_operations(session, reference, {})
            answer = server.VM.destroy(session, reference)
            assert answer["Status"] == "Success", answer
    for reference, record in server.VDI.get_all_records(session)["Value"].items():
        if record["type"] == "user" and not record["read_only"]:
            answer = server.VDI.destroy(session, reference)
            assert answer["Status"] == "Success", answer


def member_of(path) -> str:
    """The disk inside the appliance as qemu-img names it."""
    with tarfile.open(path) as archive:
        found = next(one for one in archive.getmembers() if one.name.endswith(".vmdk"))
    inner = {"driver": "file", "filename": str(path)}
    window = {"driver": "raw", "offset": found.offset_data, "size": found.size, "file": inner}
    return "json:" + json.dumps({"driver": "vmdk", "file": window})


def test_migrate_an_ova(pool, folder):
    appliance, staged, base_bytes = ova(), folder / "staged.vhd", data_bytes(Shape.FILLED)
    size = image(Shape.FILLED, Kind.RAW).stat().st_size
    migrate = (
        *python("v2x_migrate.py", folder / "report.json", appliance),
        *("--target", f"xapi://{pool.user}@{pool.address}", "--target-fingerprint", pool.fingerprint),
        *("--verify", "none"),
    )
    convert = (
        "qemu-img",
        "convert",
        "-O",
        "vpc",
        "-o",
        "subformat=dynamic,force_size=on",
        member_of(appliance),
        str(staged),
    )

    def before() -> None:
        emptied(pool)
        staged.unlink(missing_ok=True)

    def upload(form: str, vdi_bytes: int, content: object) -> tuple[str, ...]:
        return python("tls_upload.py", pool.address, pool.user, form, vdi_bytes, content)

    held = Contest(
        name="migrate-ova",
        base_bytes=base_bytes,
        sources=[appliance],
        contenders=[
            Contender(name="v2x migrate", steps=(migrate,), before=before),
            Contender(name="TLS sendall", steps=(upload("raw", base_bytes, base_bytes),), before=before),
            Contender(
                name="qemu-img, then upload",
                steps=(convert, upload("vhd", size, staged)),
                before=before,
            ),
        ],
        folder=folder,
        environment={"V2X_TARGET_PASSWORD": pool.password},
        facts={"file_bytes": appliance.stat().st_size},
    ).held()
    before()
    sent_bytes = held.runs["v2x migrate"][0].told["bytes"]
    assert base_bytes * 0.99 < sent_bytes < base_bytes * 1.01
    held.goal("ova-stage", "v2x migrate", "qemu-img, then upload")
    staged.unlink(missing_ok=True)
