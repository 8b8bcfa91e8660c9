"""Signatures by the key of a certificate, which stand for who signed when the certificate itself has long ended."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hw.errors import SecurityError
from hw.security.certs import CA, certificate_path
from hw.security.credentials import TlsFiles
from hw.security.identity import Identity, identity_in

_HASH = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True, slots=True)
class Signed:
    """A content with its signature."""

    content: bytes
    certificate: bytes  # of who signed, DER
    signature: bytes

    def to_line(self) -> bytes:
        """As a line of a file."""
        parts = {name: base64.b64encode(part).decode() for name, part in asdict(self).items()}
        return json.dumps(parts).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Signed:
        """From ``to_line``. Raises ValueError."""
        try:
            parts = json.loads(line)
            names = ("content", "certificate", "signature")
            return cls(*(base64.b64decode(parts[name], validate=True) for name in names))
        except (TypeError, KeyError, RecursionError) as error:
            raise ValueError("no signed content") from error


def sign(files: TlsFiles, content: bytes) -> Signed:
    """Sign with the key of a certificate. Raises SecurityError."""
    material = files.read()
    key = serialization.load_pem_private_key(material.key, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SecurityError(f"{files.name}: only keys on elliptic curves sign; issue the certificate anew")
    certificate = x509.load_pem_x509_certificate(material.certificate)
    return Signed(content, certificate.public_bytes(serialization.Encoding.DER), key.sign(content, _HASH))


def signer_of(signed: Signed, folder: Path) -> Identity:
    """Who signed, by a certificate of the CA in a folder. Raises SecurityError where nobody did."""
    try:
        certificate = x509.load_der_x509_certificate(signed.certificate)
        issuers = x509.load_pem_x509_certificates(certificate_path(folder, CA).read_bytes())
    except (ValueError, OSError) as error:
        raise SecurityError(f"a signature cannot be checked: {error}") from error
    if not any(_issued(certificate, issuer) for issuer in issuers):
        raise SecurityError("a signature is by a certificate of another CA")
    public = certificate.public_key()
    try:
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise InvalidSignature
        public.verify(signed.signature, signed.content, _HASH)
    except InvalidSignature as error:
        raise SecurityError("a signature does not belong to what it stands under") from error
    return identity_in(certificate)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
