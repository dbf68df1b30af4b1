# SPDX-License-Identifier: Apache-2.0
"""A client made of the standard library alone, so that the simulated pool is not checked with itself."""

import contextlib
import http.client
import socket
import ssl
import struct
import time
import uuid
import xmlrpc.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from v2x.simulators.xapi import Pool

NULL = "OpaqueRef:NULL"
MIB = 1024 * 1024


class Refused(Exception):
    """The ErrorDescription of a failed call."""

    @property
    def code(self) -> str:
        return self.args[0]


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass
class Client:
    """Calls over XML-RPC with one session; `rpc("VM.get_all")` returns the value or raises Refused."""

    address: str
    user: str
    password: str
    session: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self.proxy = xmlrpc.client.ServerProxy(f"https://{self.address}", context=unverified(), allow_none=True)
        if not self.session:
            self.session = self.plain("session.login_with_password", self.user, self.password, "1.1", "tests")

    def answer(self, method: str, *args: Any) -> dict[str, Any]:
        return getattr(self.proxy, method)(*args)  # type: ignore[return-value]

    def plain(self, method: str, *args: Any) -> Any:
        """A call without a session."""
        told = self.answer(method, *args)
        if told["Status"] == "Success":
            return told["Value"]
        raise Refused(*told["ErrorDescription"])

    def rpc(self, method: str, *args: Any) -> Any:
        return self.plain(method, self.session, *args)

    # disks

    def sr(self, name: str = "Local storage") -> str:
        return self.rpc("SR.get_by_name_label", name)[0]

    def vdi(self, size: int, sr: str | None = None, **more: Any) -> str:
        values = {
            "SR": sr or self.sr(),
            "virtual_size": str(size),
            "type": "user",
            "sharable": False,
            "read_only": False,
            "other_config": {},
            "name_label": "disk",
        }
        return self.rpc("VDI.create", values | more)

    def task(self) -> str:
        return self.rpc("task.create", "upload", "")

    def put(
        self,
        path: str,
        body: bytes,
        *,
        headers: dict[str, str] | None = None,
        address: str | None = None,
        length: bool = True,
        **query: str,
    ) -> http.client.HTTPResponse:
        """A PUT with the session in the query; the connection is closed by whoever drops the response."""
        connection = http.client.HTTPSConnection(address or self.address, context=unverified(), timeout=30)
        asked = "&".join(f"{k}={v}" if v else k for k, v in ({"session_id": self.session} | query).items())
        connection.putrequest("PUT", f"{path}?{asked}", skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if length:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        sock = connection.sock
        with contextlib.suppress(OSError):  # the server may close without reading; its answer is what matters
            connection.send(body)
        answer = connection.getresponse()
        if not length:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_WR)
        return answer

    def upload(self, vdi: str, body: bytes, *, format: str = "raw", **more: Any) -> dict[str, Any]:
        """Uploads and returns the finished task's record."""
        task = self.task()
        with contextlib.suppress(OSError, http.client.HTTPException):  # a reset after an early failure
            self.put("/import_raw_vdi", body, task_id=task, vdi=vdi, format=format, **more)
        return self.finished(task)

    def finished(self, task: str, seconds: float = 20) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            record = self.rpc("task.get_record", task)
            if record["status"] != "pending":
                return record
            time.sleep(0.01)
        raise AssertionError("the task did not finish")

    def export(self, vdi: str, format: str = "raw") -> bytes:
        connection = http.client.HTTPSConnection(self.address, context=unverified(), timeout=30)
        connection.request("GET", f"/export_raw_vdi?session_id={self.session}&vdi={vdi}&format={format}")
        return connection.getresponse().read()

    # machines

    def vm_record(self, **more: Any) -> dict[str, Any]:
        record: dict[str, Any] = dict.fromkeys(
            (
                *("PV_bootloader", "PV_kernel", "PV_ramdisk", "PV_args", "PV_bootloader_args", "PV_legacy_args"),
                *("PCI_bus", "recommendations"),
            ),
            "",
        )
        record |= {name: {} for name in ("VCPUs_params", "platform", "other_config")}
        record |= dict.fromkeys(
            ("memory_static_max", "memory_dynamic_max", "memory_dynamic_min", "memory_static_min"), str(512 * MIB)
        )
        record |= {
            "name_label": "vm",
            "user_version": "1",
            "is_a_template": False,
            "affinity": NULL,
            "VCPUs_max": "2",
            "VCPUs_at_startup": "2",
            "actions_after_shutdown": "destroy",
            "actions_after_reboot": "restart",
            "actions_after_crash": "restart",
            "HVM_boot_policy": "BIOS order",
            "HVM_boot_params": {"firmware": "bios", "order": "cd"},
        }
        return record | more

    def vm(self, **more: Any) -> str:
        return self.rpc("VM.create", self.vm_record(**more))

    def vbd(self, vm: str, vdi: str, **more: Any) -> str:
        values: dict[str, Any] = {
            "VM": vm,
            "VDI": vdi,
            "userdevice": "autodetect",
            "bootable": True,
            "mode": "RW",
            "type": "Disk",
            "empty": False,
            "other_config": {},
            "qos_algorithm_type": "",
            "qos_algorithm_params": {},
        }
        return self.rpc("VBD.create", values | more)

    def vif(self, vm: str, network: str, device: str = "0", mac: str = "", **more: Any) -> str:
        values: dict[str, Any] = {
            "VM": vm,
            "network": network,
            "device": device,
            "MAC": mac,
            "MTU": "1500",
            "other_config": {},
            "qos_algorithm_type": "",
            "qos_algorithm_params": {},
        }
        return self.rpc("VIF.create", values | more)


def checksum(raw: bytes, at: int) -> int:
    return ~(sum(raw) - sum(raw[at : at + 4])) & 0xFFFFFFFF


def vhd_stream(
    blocks: dict[int, bytes],
    size: int,
    *,
    bitmaps: dict[int, bytes] | None = None,
    disk_type: int = 3,
    order: list[int] | None = None,
    entries: int | None = None,
    block_size: int = 2 * MIB,
) -> bytes:
    """A dynamic VHD of `blocks`; written here by hand from the layout of xapi: vhd-tool impl.ml, vhd_format f.ml."""
    footer = bytearray(512)
    struct.pack_into(">8sIIQI4sI4s", footer, 0, b"conectix", 2, 0x00010000, 512, 0, b"win ", 0x000A0000, b"Wi2k")
    struct.pack_into(">QQII", footer, 40, size, size, 0, disk_type)
    footer[68:84] = uuid.uuid4().bytes
    struct.pack_into(">I", footer, 64, checksum(bytes(footer), 64))
    count = entries or -(-size // block_size)
    header = bytearray(1024)
    struct.pack_into(">8sQQIII", header, 0, b"cxsparse", 2**64 - 1, 1536, 0x00010000, count, block_size)
    struct.pack_into(">I", header, 36, checksum(bytes(header), 36))
    table = bytearray(b"\xff" * (-(-count * 4 // 512) * 512))
    bitmap_bytes = block_size // 512 // 8
    at = 1536 + len(table)
    body = bytearray()
    for number in order or sorted(blocks):
        struct.pack_into(">I", table, number * 4, at // 512)
        body += (bitmaps or {}).get(number, b"\xff" * bitmap_bytes)
        body += blocks[number].ljust(block_size, b"\0")
        body += bytes(-len(body) % 512)
        at = 1536 + len(table) + len(body)
    return bytes(footer + header + table + body + footer)


@pytest.fixture
def pool(simulated_pool: Callable[..., Pool]) -> Pool:
    return simulated_pool()


@pytest.fixture
def client_of() -> Callable[[Pool], Client]:
    return lambda pool: Client(pool.address, pool.user, pool.password)


@pytest.fixture
def client(pool: Pool) -> Client:
    return Client(pool.address, pool.user, pool.password)


@pytest.fixture
def make_vhd() -> Callable[..., bytes]:
    return vhd_stream


@pytest.fixture
def content_of(pool: Pool) -> Iterator[Callable[[str], bytes]]:
    """The bytes of a VDI by reference, read from its file."""

    def read(vdi: str) -> bytes:
        return Path(pool.vdi_path(pool.records("VDI")[vdi]["uuid"])).read_bytes()

    yield read


@pytest.fixture
def refused() -> type[Refused]:
    return Refused
