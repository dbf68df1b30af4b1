# SPDX-License-Identifier: Apache-2.0
"""TLS servers with something wrong with them, which note every byte that a client sends them once it trusts them."""

import contextlib
import datetime
import ipaddress
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from v2x.tls import fingerprint_of

DAY = datetime.timedelta(days=1)
NBD_GREETING = b"NBDMAGICIHAVEOPT\x00\x03"
NBD_ACK = struct.pack(">QIII", 0x0003E889045565A9, 5, 1, 0)
Speak = Callable[[ssl.SSLSocket], None]


class Authority:
    """A certificate authority in `folder`; `ca_file` is what a client trusts it by."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._count = 0
        made = self._signed(self._subject, self._key.public_key(), days=(-1000, 1000), ca=True)
        self.ca_file = folder / f"{name}.pem"
        self.ca_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def _signed(self, subject, key, *, days, ca=False, names=()):
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject).issuer_name(self._subject).public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + days[0] * DAY).not_valid_after(now + days[1] * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )  # fmt: skip
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def certificate(self, *, address: str = "127.0.0.1", days: tuple[int, int] = (-1, 30)) -> tuple[Path, str]:
        """A file with a certificate and its key, and the certificate's pin."""
        self._count += 1
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)])
        name = x509.IPAddress(ipaddress.ip_address(address))
        made = self._signed(subject, key.public_key(), days=days, names=[name])
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file = self.folder / f"server-{self._count}.pem"
        file.write_bytes(made.public_bytes(pem) + private)
        return file, fingerprint_of(made.public_bytes(serialization.Encoding.DER))


@dataclass
class TlsServer:
    """Shows the certificates in turn, one a connection and the last for ever, and lets `speak` answer on it.

    `newest` limits the version of TLS. With `nbd`, a connection begins in clear, as NBD does. `received` is what came
    in clear or under TLS that was not part of becoming secure, `handshakes` how many of those the client finished.
    """

    certificates: list[Path]
    newest: ssl.TLSVersion | None = None
    nbd: bool = False
    speak: Speak | None = None
    received: list[bytes] = field(default_factory=list)
    handshakes: int = 0
    connections: int = 0

    def __enter__(self) -> "TlsServer":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._contexts = [self._context(one) for one in self.certificates]
        self._busy: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _context(self, file: Path) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(file)
        if self.newest is not None:
            # Old versions sign by SHA-1, which OpenSSL allows at its lowest level only.
            made.set_ciphers("ALL:@SECLEVEL=0")
            made.minimum_version, made.maximum_version = ssl.TLSVersion.TLSv1, self.newest
        return made

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            context = self._contexts[min(self.connections, len(self._contexts) - 1)]
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(plain, context), daemon=True)
            self._busy.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket, context: ssl.SSLContext) -> None:
        plain.settimeout(10)
        with plain, contextlib.suppress(OSError):
            if self.nbd:
                plain.sendall(NBD_GREETING)
                asked = b""
                while len(asked) < 20 and (part := plain.recv(20 - len(asked))):
                    asked += part
                if asked[4:] != b"IHAVEOPT" + struct.pack(">II", 5, 0):
                    self.received.append(b"no STARTTLS: " + asked)
                    return
                plain.sendall(NBD_ACK)
            with context.wrap_socket(plain, server_side=True) as secured:
                self.handshakes += 1
                if self.speak is not None:
                    self.speak(secured)
                    return
                while part := secured.recv(65536):
                    self.received.append(part)

    @staticmethod
    def whole_request(secured: ssl.SSLSocket) -> bytes:
        """An HTTP request with its body; empty where the client left instead."""
        got = b""
        while b"\r\n\r\n" not in got and (part := secured.recv(65536)):
            got += part
        head, _, body = got.partition(b"\r\n\r\n")
        told = re.search(rb"(?i)content-length: (\d+)", head)
        while told and len(body) < int(told[1]) and (part := secured.recv(65536)):
            body += part
        return head + b"\r\n\r\n" + body if head else b""

    def settled(self) -> bytes:
        """What was received, once all connections are over."""
        for thread in self._busy:
            thread.join(10)
        return b"".join(self.received)
