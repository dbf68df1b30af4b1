# SPDX-License-Identifier: Apache-2.0
"""VM.import: the pool fetches an XVA from a web server by itself."""

import functools
import http.server
import os
import ssl
import threading
import urllib.request

import pytest

MIB = 1024 * 1024
NULL = "OpaqueRef:NULL"


class _Page(http.server.SimpleHTTPRequestHandler):
    """`/again/N/name` is sent on N times, then to the file; `/half/name` breaks off in the middle."""

    def do_GET(self) -> None:
        parts = self.path.split("/")
        if parts[1] == "again":
            left = int(parts[2])
            self.send_response(302)
            self.send_header("location", f"/again/{left - 1}/{parts[3]}" if left > 1 else f"/{parts[3]}")
            self.end_headers()
        elif parts[1] == "half":
            with open(self.translate_path(parts[2]), "rb") as file:
                body = file.read()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
        else:
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """The test tells enough."""


@pytest.fixture
def web(tmp_path):
    folder = tmp_path / "web"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Page, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def exported(client, web):
    """The URL of the XVA of a VM with one disk, the VM, its MAC address, and the content of the disk."""
    content = os.urandom(MIB) + bytes(2 * MIB) + os.urandom(MIB)
    vm, vdi = client.vm(name_label="fetched"), client.vdi(4 * MIB)
    client.upload(vdi, content)
    client.vbd(vm, vdi)
    network = client.rpc("network.get_by_name_label", "Pool-wide network associated with eth0")[0]
    client.vif(vm, network, mac="00:50:56:01:02:03")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    url = f"https://{client.address}/export?session_id={client.session}&ref={vm}"
    with urllib.request.urlopen(url, context=context, timeout=30) as answer:
        (web[0] / "vm.xva").write_bytes(answer.read())
    return web[1], vm, content


def macs(client, vm):
    return [client.rpc("VIF.get_MAC", v) for v in client.rpc("VM.get_VIFs", vm)]


@pytest.mark.parametrize("path", ["/vm.xva", "/again/3/vm.xva"])
def test_the_pool_fetches_an_xva(client, exported, content_of, path):
    url, vm, content = exported
    (made,) = client.rpc("VM.import", url + path, client.sr("NFS storage"), False, False)
    record = client.rpc("VM.get_record", made)
    assert (record["name_label"], record["power_state"]) == ("fetched", "Halted")
    assert record["uuid"] != client.rpc("VM.get_uuid", vm)
    assert macs(client, made) != ["00:50:56:01:02:03"]
    (vbd,) = record["VBDs"]
    vdi = client.rpc("VBD.get_VDI", vbd)
    assert client.rpc("VDI.get_SR", vdi) == client.sr("NFS storage")
    assert content_of(vdi) == content
    assert "import_task" not in record["other_config"]
    assert record["current_operations"] == {}


def test_a_full_restore_keeps_the_identity(client, exported):
    url, vm, _content = exported
    uuid = client.rpc("VM.get_uuid", vm)
    client.rpc("VM.destroy", vm)
    task = client.rpc("Async.VM.import", f"{url}/vm.xva", NULL, True, False)
    record = client.finished(task)
    assert record["status"] == "success", record["error_info"]
    made = client.rpc("VM.get_by_uuid", uuid)
    assert made in record["result"]
    assert macs(client, made) == ["00:50:56:01:02:03"]
    vdi = client.rpc("VBD.get_VDI", client.rpc("VM.get_VBDs", made)[0])
    assert client.rpc("VDI.get_SR", vdi) == client.sr()  # NULL is the default SR


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/nothing.xva", "IMPORT_ERROR"),
        ("/again/9/vm.xva", "IMPORT_ERROR"),
        ("/half/vm.xva", "IMPORT_ERROR_PREMATURE_EOF"),
    ],
)
def test_what_cannot_be_fetched_leaves_nothing(client, exported, refused, path, error):
    url, _vm, _content = exported
    before = (client.rpc("VM.get_all"), client.rpc("VDI.get_all"))
    with pytest.raises(refused) as failed:
        client.rpc("VM.import", url + path, NULL, False, False)
    assert failed.value.code == error
    assert (client.rpc("VM.get_all"), client.rpc("VDI.get_all")) == before


def test_only_the_web_is_fetched_from(client, refused):
    for url, error in (("file:///etc/passwd", "INVALID_VALUE"), ("http://127.0.0.1:1/x", "IMPORT_ERROR")):
        with pytest.raises(refused) as failed:
            client.rpc("VM.import", url, NULL, False, False)
        assert failed.value.code == error
    with pytest.raises(refused) as failed:
        client.rpc("VM.import", "http://127.0.0.1:1/x", client.sr("ISO library"), False, False)
    assert failed.value.code == "SR_OPERATION_NOT_SUPPORTED"
