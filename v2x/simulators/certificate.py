# SPDX-License-Identifier: Apache-2.0
"""The self-signed certificate of a simulated host, kept in its state folder so that its fingerprint lasts."""

import hashlib
import os
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from v2x.errors import UsageError


def certificate_of(folder: Path, name: str) -> Path:
    """The PEM file (key and certificate, mode 0600) of host `name` in `folder`; made when it is not there."""
    path = folder / f"{name}.pem"
    if not path.exists():
        data = _make(name)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
    return path


def _make(name: str) -> bytes:
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise UsageError(
            "a simulated server makes itself a certificate and lacks the package cryptography",
            code="MISSING-TOOL",
            hint="pip install 'v2x[simulate]'",
        ) from None

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(IPv4Address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded + made.public_bytes(serialization.Encoding.PEM)


def certificate_pem(path: Path) -> str:
    """The certificate of the file, without the key."""
    text = path.read_text(encoding="ascii")
    return text[text.index("-----BEGIN CERTIFICATE") :]


def fingerprint(pem: str) -> str:
    """`sha256:` and the lower-case hex digest of the certificate in DER."""
    return "sha256:" + hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def server_context(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(path)
    return context


def sha1_thumbprint(pem: str) -> str:
    """The SHA-1 digest of the certificate in DER as VMware writes it: `AA:BB:…`."""
    digest = hashlib.sha1(ssl.PEM_cert_to_DER_cert(pem), usedforsecurity=False).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, 40, 2))
