# SPDX-License-Identifier: Apache-2.0
import datetime
import ipaddress
import socket
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from v2x.errors import ConnectError, TrustError, UsageError
from v2x.tls import Trust, connect, fingerprint_of, parse_fingerprint, seen_fingerprint

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def certificate(folder, name="127.0.0.1"):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(START).not_valid_after(START + datetime.timedelta(days=36500))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = folder / f"{name}.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(made.public_bytes(pem) + private)
    return file, fingerprint_of(made.public_bytes(serialization.Encoding.DER))


@pytest.fixture
def server(tmp_path):
    file, pin = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    listener = socket.create_server(("127.0.0.1", 0))
    received = []

    def serve():
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    received.append(connection.recv(100))
            except OSError:
                received.append(b"")

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], file, pin, received
    listener.close()


def test_a_self_signed_certificate_is_refused_with_its_pin(server):
    port, _, pin, _ = server
    with pytest.raises(TrustError) as caught:
        connect("127.0.0.1", port, Trust())
    assert f"--target-fingerprint {pin}" in caught.value.hint


def test_the_right_pin_and_the_right_ca_connect(server):
    port, file, pin, _ = server
    connect("127.0.0.1", port, Trust(fingerprint=pin)).close()
    connect("127.0.0.1", port, Trust(ca_file=str(file))).close()
    assert seen_fingerprint("127.0.0.1", port) == pin


def test_a_wrong_pin_sends_nothing(server):
    port, _, _, received = server
    with pytest.raises(TrustError, match="another certificate"):
        connect("127.0.0.1", port, Trust(fingerprint="sha256:" + "0" * 64))
    assert not any(received)


def test_a_ca_that_did_not_sign_is_refused(server, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(TrustError):
        connect("127.0.0.1", server[0], Trust(ca_file=str(certificate(other)[0])))


def test_the_name_must_match(tmp_path, server):
    port, file, _, _ = server
    with pytest.raises(TrustError):
        connect("localhost", port, Trust(ca_file=str(file)))


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectError, match="cannot connect"):
        connect("127.0.0.1", port, Trust())
    assert seen_fingerprint("127.0.0.1", port) == ""


def test_a_plain_server_is_named():
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        plain, _ = listener.accept()
        plain.recv(100)
        plain.sendall(b"HTTP/1.0 400 no\r\n\r\n")
        plain.close()

    threading.Thread(target=serve, daemon=True).start()
    with pytest.raises(ConnectError, match="no TLS"):
        connect("127.0.0.1", listener.getsockname()[1], Trust())
    listener.close()


def test_fingerprints_in_any_spelling():
    digits = "ab" * 32
    assert parse_fingerprint(f"SHA256:{digits.upper()}") == f"sha256:{digits}"
    assert parse_fingerprint(":".join(["AB"] * 32)) == f"sha256:{digits}"


@pytest.mark.parametrize("text", ["", "sha1:" + "ab" * 20, "ab" * 20, "sha256:" + "zz" * 32])
def test_only_sha256_is_a_pin(text):
    with pytest.raises(UsageError):
        parse_fingerprint(text)


def test_a_ca_file_that_is_none(tmp_path, server):
    file = tmp_path / "x.pem"
    file.write_text("nonsense")
    with pytest.raises(UsageError, match="CA file"):
        connect("127.0.0.1", server[0], Trust(ca_file=str(file)))
