"""Mutual TLS for servers and clients from a folder of certificates, and the one way around it: loopback, by request.

A server reads its files anew when they have changed, at the next connection that comes in; streams that are open live
on. A client takes what the files hold when it opens its channel.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from hw.errors import SecurityError
from hw.security.certs import CA, certificate_path, key_path, read_certificate
from hw.security.identity import Identity, identity_in, server_is

_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class _Material:
    ca: bytes
    certificate: bytes
    key: bytes = field(repr=False)  # a log of it must not show it
    identity: Identity


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """``ca.pem``, ``NAME.pem`` and ``NAME.key`` in a folder; see hw/security/certs.py."""

    folder: Path
    name: str

    @property
    def paths(self) -> tuple[Path, Path, Path]:
        """CA, certificate and key."""
        return (
            certificate_path(self.folder, CA),
            certificate_path(self.folder, self.name),
            key_path(self.folder, self.name),
        )

    def stamp(self) -> Stamp:
        """Changes when a file does, comes or goes, or its permissions change."""
        states = [path.stat() if path.exists() else None for path in self.paths]
        return tuple(state and (state.st_ino, state.st_ctime_ns, state.st_size) for state in states)

    def identity(self) -> Identity:
        """Who the certificate names. Raises SecurityError."""
        return self.read().identity

    def read(self) -> _Material:
        """Read all three and check that they fit. Raises SecurityError; its message never holds a key."""
        ca, certificate, key = self.paths
        for path in self.paths:
            if not path.is_file():
                raise SecurityError(f"{path} does not exist; issue it with `quietcell certs issue`")
        if key.stat().st_mode & 0o007:
            raise SecurityError(f"{key} is open to everybody on this host; close it: chmod 600 {key}")
        own = read_certificate(certificate)
        _check_signed(own, certificate, ca)
        try:
            public = serialization.load_pem_private_key(key.read_bytes(), password=None).public_key()
        except (ValueError, TypeError) as error:
            raise SecurityError(f"{key} is no key in PEM without a password; issue it anew") from error
        if _encoded(public) != _encoded(own.public_key()):
            raise SecurityError(f"{key} does not belong to {certificate}; copy both anew")
        return _Material(ca.read_bytes(), certificate.read_bytes(), key.read_bytes(), identity_in(own))


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials of a server that demands a certificate of its CA from each client. Raises SecurityError at start.

    Files that change later and cannot be used are named in the log, and the server keeps what it has.
    """
    seen = [files.stamp()]

    def configuration() -> grpc.ServerCertificateConfiguration:
        material = files.read()
        return grpc.ssl_server_certificate_configuration([(material.key, material.certificate)], material.ca)

    def changed() -> grpc.ServerCertificateConfiguration | None:
        try:
            now = files.stamp()
            if now == seen[0]:
                return None
            seen[0] = now
            renewed = configuration()
        except (SecurityError, OSError) as error:
            _log.warning("certificate of %s not reloaded: %s", files.name, error)
            return None
        _log.info("certificate of %s reloaded", files.name)
        return renewed

    return grpc.dynamic_ssl_server_credentials(configuration(), changed, require_client_authentication=True)  # type: ignore[arg-type]  # its stub forgets None


def client_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """Credentials of a client as its files are now; a new channel with new ones follows a renewal."""
    material = files.read()
    return grpc.ssl_channel_credentials(material.ca, material.key, material.certificate)


def agent_channel_options(agent_id: str) -> list[tuple[str, str]]:
    """Options of a channel that refuses a server which is not this agent, whatever its address says."""
    return [("grpc.ssl_target_name_override", server_is(agent_id))]


def check_reporter(agent_id: str, reported_id: str) -> None:
    """Refuse a report that speaks for another agent than the one dialled. Raises SecurityError."""
    if reported_id != agent_id:
        raise SecurityError(
            f"the agent {agent_id} reports as {reported_id!r}; an agent may report for itself only"
        )


def is_loopback(address: str) -> bool:
    """Whether an address for listening or dialling can only be reached on this host."""
    if address.startswith("unix:"):
        return True
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        return False
    try:
        ip = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return any(ip in network for network in _LOOPBACK)


def check_insecure(address: str) -> None:
    """Refuse to go without TLS anywhere but on this host. Raises SecurityError."""
    if not is_loopback(address):
        raise SecurityError(
            f"{address} may be reached from other hosts, so it needs TLS: give --tls FOLDER with certificates from"
            " `quietcell certs`; --insecure is for 127.0.0.0/8, [::1] and unix: only"
        )


def choose_files(folder: Path | None, name: str, insecure: bool, addresses: Sequence[str]) -> TlsFiles | None:
    """What a command was told: TLS from a folder, or None for an insecure start on loopback. Raises SecurityError."""
    if (folder is None) != insecure:
        raise SecurityError(
            "give either --tls FOLDER, see `quietcell certs`, or --insecure on loopback, not both"
        )
    if folder is not None:
        return TlsFiles(folder, name)
    for address in addresses:
        check_insecure(address)
    return None


def bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    """Let a server listen, without TLS on loopback only. Returns the port. Raises SecurityError, RuntimeError."""
    if credentials is not None:
        return server.add_secure_port(address, credentials)
    check_insecure(address)
    return server.add_insecure_port(address)


def _check_signed(own: x509.Certificate, certificate: Path, ca: Path) -> None:
    """A CA file may hold several certificates, while one CA takes over from another."""
    try:
        issuers = x509.load_pem_x509_certificates(ca.read_bytes())
    except ValueError as error:
        raise SecurityError(f"{ca} is no certificate in PEM; copy it anew") from error
    for issuer in issuers:
        try:
            own.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return
    raise SecurityError(f"{certificate} is not of the CA in {ca}; issue it there")


def _encoded(public: PublicKeyTypes) -> bytes:
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
