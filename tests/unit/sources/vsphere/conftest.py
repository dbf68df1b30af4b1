# SPDX-License-Identifier: Apache-2.0
"""Two servers to talk to: our stand-in, and VMware's own simulator as the second opinion."""

import importlib.util
import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from v2x.model.address import parse_address
from v2x.secrets import Secret
from v2x.simulators.certificate import certificate_of, certificate_pem, fingerprint, server_context
from v2x.sources.vsphere.options import VsphereOptions
from v2x.sources.vsphere.session import VsphereSession
from v2x.sources.vsphere.source import VsphereSource
from v2x.tls import Trust

_VCSIM = Path(__file__).parents[3] / "vcsim" / "server.py"


@pytest.fixture(scope="session")
def vcsim():
    """tests/vcsim/server.py: runs VMware's simulator."""
    spec = importlib.util.spec_from_file_location("vcsim_server", _VCSIM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Server:
    """What there is to know to log in. `inside` is the stand-in, or VMware's simulator as tests/vcsim runs it."""

    port: int
    user: str
    password: str
    fingerprint: str
    inside: Any
    host: str = "127.1"

    def session(self, host: str = "", *, password: str = "", pin: str | None = None, **options: Any) -> VsphereSession:
        trust = Trust(fingerprint=self.fingerprint if pin is None else pin, option="source")
        secret = Secret(password or self.password)
        return VsphereSession(host or self.host, self.port, self.user, secret, trust, **options)

    def source(self, datacenter: str = "", **options: Any) -> VsphereSource:
        address = parse_address(f"vsphere://{self.user}@{self.host}:{self.port}/{datacenter}")
        return VsphereSource.open(
            address,
            password=Secret(self.password),
            trust=Trust(fingerprint=self.fingerprint, option="source"),
            options=VsphereOptions(**options),
        )


def of_stand_in(simulator: Any) -> Server:
    return Server(simulator.port, simulator.user, simulator.password, simulator.fingerprint, simulator)


@pytest.fixture
def stand_in(simulated_vsphere):
    """A factory of our stand-ins: stand_in(profile=…, estate=…)."""
    return lambda **options: of_stand_in(simulated_vsphere(**options))


@pytest.fixture(params=["stand-in", "vmware"])
def server(request, tmp_path):
    """Each of the two with a few machines."""
    if request.param == "stand-in":
        yield of_stand_in(request.getfixturevalue("simulated_vsphere")())
        return
    module = request.getfixturevalue("vcsim")
    with module.running(tmp_path / "vcsim") as running:
        yield Server(running.port, module.USER, module.PASSWORD, running.fingerprint, running)


@pytest.fixture
def web_server(tmp_path):
    """A factory of HTTPS servers that know no vSphere: answers by path, as (status, body)."""
    running = []

    def make(answers: dict[str, tuple[int, bytes]]) -> Server:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, body = answers.get(self.path, (404, b"not here"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                self.do_GET()

            def log_message(self, *_):
                pass

        path = certificate_of(tmp_path, f"web{len(running)}")
        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.socket = server_context(path).wrap_socket(http.socket, server_side=True)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        running.append(http)
        return Server(http.server_address[1], "root", "secret", fingerprint(certificate_pem(path)), answers)

    yield make
    for http in running:
        http.shutdown()
        http.server_close()


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
