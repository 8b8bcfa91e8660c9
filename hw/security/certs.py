"""A small certificate authority for a laboratory: one folder, one CA, one certificate for each identity.

::

    FOLDER/ca.pem      the CA's certificate; everybody needs it
    FOLDER/ca.key      the CA's key; stays where certificates are issued
    FOLDER/NAME.pem    certificate of NAME
    FOLDER/NAME.key    its key

A holder gets ``ca.pem``, ``NAME.pem`` and ``NAME.key``. Keys are readable by their owner only and never leave their
file. A certificate is renewed by issuing it again; who uses it picks it up with the next connection.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hw.errors import SecurityError
from hw.security.identity import AGENT_DOMAIN, Identity, Role, identity_in

CA = "ca"
CA_DAYS = 3650
DAYS = 30
CLOCK_SLACK = dt.timedelta(hours=1)  # clocks of sites are not exact
HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")

_USES = {
    Role.AGENT: [ExtendedKeyUsageOID.SERVER_AUTH],
    Role.CONTROLLER: [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH],
    Role.OPERATOR: [ExtendedKeyUsageOID.CLIENT_AUTH],
    Role.ADMIN: [ExtendedKeyUsageOID.CLIENT_AUTH],
}


def certificate_path(folder: Path, name: str) -> Path:
    """Where the certificate of a name stands."""
    return folder / f"{name}.pem"


def key_path(folder: Path, name: str) -> Path:
    """Where the key of a name stands."""
    return folder / f"{name}.key"


def now_utc() -> dt.datetime:
    """Wall clock; certificates end by it."""
    return dt.datetime.now(dt.UTC)


def init_ca(folder: Path, days: int = CA_DAYS) -> x509.Certificate:
    """Make the CA of a folder. Raises SecurityError where there is one: replacing it would cut off everybody."""
    for path in (certificate_path(folder, CA), key_path(folder, CA)):
        if path.exists():
            raise SecurityError(
                f"{path} exists; name a new folder, or move the old CA away if nothing trusts it"
            )
    _check_days(days)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "quietcell lab CA")])
    builder = (
        _builder(name, name, key, now_utc() + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=False, issues=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    folder.mkdir(parents=True, exist_ok=True)
    _write_pair(folder, CA, certificate, key)
    return certificate


def issue(folder: Path, identity: Identity, hosts: Sequence[str] = (), days: int = DAYS) -> x509.Certificate:
    """Issue a certificate with a new key, or renew one; without ``hosts`` a renewal keeps those it has.

    It ends with the CA at the latest. Raises SecurityError.
    """
    _check_days(days)
    ca, ca_key = read_certificate(certificate_path(folder, CA)), _read_ca_key(folder)
    if identity.name == CA:
        raise SecurityError(f"{CA!r} is the name of the CA's own files; use another")
    hosts = hosts or _hosts_before(folder, identity)
    until = min(now_utc() + dt.timedelta(days=days), ca.not_valid_after_utc)
    if until <= now_utc():
        raise SecurityError(f"{certificate_path(folder, CA)} has expired; make a new CA in a new folder")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(identity)[:64])])
    builder = (
        _builder(name, ca.subject, key, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=True, issues=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USES[identity.role]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names(identity, hosts)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
    )
    certificate = builder.sign(ca_key, hashes.SHA256())
    _write_pair(folder, identity.name, certificate, key)
    return certificate


def hosts_in(certificate: x509.Certificate) -> tuple[str, ...]:
    """Host names and addresses that it serves, without the name that only agents have."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    dns = [name for name in names.get_values_for_type(x509.DNSName) if not name.endswith(f".{AGENT_DOMAIN}")]
    return (*dns, *(str(address) for address in names.get_values_for_type(x509.IPAddress)))


def read_certificate(path: Path) -> x509.Certificate:
    """The first certificate of a PEM file. Raises SecurityError."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError as error:
        raise SecurityError(
            f"{path} does not exist; make a CA with `quietcell certs init`, then issue"
        ) from error
    except ValueError as error:
        raise SecurityError(f"{path} is no certificate in PEM; issue it anew") from error


def _names(identity: Identity, hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity.uri)]
    if identity.server_name is not None:
        names.append(x509.DNSName(identity.server_name))
    if hosts and ExtendedKeyUsageOID.SERVER_AUTH not in _USES[identity.role]:
        raise SecurityError(f"an {identity.role} serves nothing; leave --host away")
    return names + [_host_name(host) for host in dict.fromkeys(hosts)]


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        name = host.lower()
    if not HOST.fullmatch(name):
        raise SecurityError(
            f"{host!r} is no host name or IP address; give it without port, scheme or wildcard"
        )
    if f".{name}".endswith(f".{AGENT_DOMAIN}"):
        raise SecurityError(
            f"{host!r} would pass for an agent; names in {AGENT_DOMAIN} come from --agent only"
        )
    return x509.DNSName(name)


def _hosts_before(folder: Path, identity: Identity) -> tuple[str, ...]:
    path = certificate_path(folder, identity.name)
    if not path.exists():
        return ()
    before = read_certificate(path)
    if (holder := identity_in(before)) != identity:
        raise SecurityError(f"{path} is that of {holder}; use another name for {identity}")
    return hosts_in(before)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, until: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now_utc() - CLOCK_SLACK)
        .not_valid_after(until)
    )


def _key_usage(*, signs: bool, issues: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        key_cert_sign=issues,
        crl_sign=issues,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _check_days(days: int) -> None:
    if not 1 <= days <= CA_DAYS:
        raise SecurityError(f"--days must be 1 to {CA_DAYS}, not {days}")


def _read_ca_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    path = key_path(folder, CA)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError as error:
        raise SecurityError(f"{path} does not exist; issue certificates where the CA was made") from error
    except (ValueError, TypeError) as error:
        raise SecurityError(f"{path} is no key in PEM without a password; restore it from a copy") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SecurityError(f"{path} is no elliptic-curve key; restore it from a copy")
    return key


def _write_pair(
    folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    """The key first: who reads between the two writes finds that they do not match, and keeps what it has."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _replace(key_path(folder, name), pem, 0o600)
    _replace(certificate_path(folder, name), certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _replace(path: Path, content: bytes, mode: int) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
