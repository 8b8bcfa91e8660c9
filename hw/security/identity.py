"""Who is at the other end, from its certificate, and what it may call.

A certificate of this project names its holder once, as a URI among its alternative names::

    quietcell:agent/site-001        the server of a site; serves, never calls
    quietcell:controller/edge-1     plans and commands; also serves its own health
    quietcell:operator/anna         watches, wakes, charges, stops
    quietcell:admin/root            everything, and alone clears a stop

Agents are servers, so a controller checks the name it dialled: the certificate of an agent carries the DNS name
``site-001.agent.quietcell`` and no other certificate can.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from hw.errors import SecurityError

URI_SCHEME = "quietcell:"
AGENT_DOMAIN = "agent.quietcell"
NAME = re.compile(
    r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)  # one DNS label, so that an agent's id can be a host name

RAN = "/quietcell.ran.v1.RanAgentService/"
LADDER = "/quietcell.control.v1.LadderService/"
POWER = "/quietcell.power.v1.PowerAgentService/"
LEADER = "/quietcell.leader.v1.LeaderService/"
CONTROL = "/quietcell.control.v1.ControlService/"
FOR_ALL = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")


class Role(StrEnum):
    """What the holder of a certificate is."""

    AGENT = "agent"
    CONTROLLER = "controller"
    OPERATOR = "operator"
    ADMIN = "admin"


_READING = (
    frozenset(service + method for service in (RAN, POWER) for method in ("GetInventory", "WatchState"))
    | frozenset({LEADER + "GetLeader"})
    | frozenset(
        CONTROL + method
        for method in (
            "GetStatus",
            "WatchStatus",
            "ListCells",
            "ExplainCell",
            "ListSites",
            "ListAlarms",
            "GetSavings",
        )
    )
)
_ACKNOWLEDGING = frozenset({CONTROL + "AcknowledgeAlarm"})
# Toward more service or more stored charge: no limit of rate may hold these up.
WAKING = frozenset({RAN + "WakeUp", POWER + "ChargeSafely", RAN + "Stop", POWER + "Stop", CONTROL + "Stop"})
_LEADING = frozenset({RAN + "Control", POWER + "Control", LEADER + "Grant", LEADER + "GiveUp"})
# Who among these may say what about which site is for the controller to decide: controller/live/roles.py.
_HEADS = "/quietcell.audit.v1.HeadService/"
_REPLICA = "/quietcell.replica.v1.ReplicaService/"
_SAYING = frozenset(
    LADDER + method for method in ("ListPending", "Approve", "Override", "LiftOverride", "ChangeStage")
)
_ADMINISTERING = frozenset({RAN + "ClearStop", POWER + "ClearStop", CONTROL + "ClearStop"})

ALLOWED: Mapping[Role, frozenset[str]] = {
    Role.AGENT: frozenset(),
    Role.OPERATOR: _READING | _ACKNOWLEDGING | WAKING | _SAYING | {_HEADS + "ListHeads"},
    Role.CONTROLLER: _READING
    | _ACKNOWLEDGING
    | WAKING
    | _LEADING
    | {LADDER + "ListPending", _HEADS + "KeepHead", _HEADS + "ListHeads", _REPLICA + "Fetch"},
    Role.ADMIN: _READING
    | _ACKNOWLEDGING
    | WAKING
    | _LEADING
    | _ADMINISTERING
    | _SAYING
    | {_HEADS + "ListHeads", _REPLICA + "Fetch"},
}


@dataclass(frozen=True, slots=True)
class Identity:
    """The holder of a certificate."""

    role: Role
    name: str

    def __str__(self) -> str:
        return f"{self.role}/{self.name}"

    @property
    def uri(self) -> str:
        """As it stands in a certificate."""
        return f"{URI_SCHEME}{self}"

    @property
    def server_name(self) -> str | None:
        """DNS name that proves an agent to who dials it; None for others."""
        return server_is(self.name) if self.role is Role.AGENT else None


def make_identity(role: Role, name: str) -> Identity:
    """Check a name. Raises SecurityError."""
    if not NAME.fullmatch(name):
        raise SecurityError(
            f"{name!r} cannot name an {role}; use 1 to 63 of a-z, 0-9 and -, with no - at either end"
        )
    return Identity(role, name)


def server_is(agent_id: str) -> str:
    """The DNS name to expect of the server of an agent, whatever its address."""
    return f"{agent_id}.{AGENT_DOMAIN}"


@dataclass(frozen=True, slots=True)
class Peer:
    """A verified peer."""

    identity: Identity
    until_unix_s: float  # end of its certificate
    serial: int = 0  # of its certificate


def identity_in(certificate: x509.Certificate) -> Identity:
    """The one identity that a certificate names. Raises SecurityError."""
    try:
        names = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise SecurityError("the certificate has no readable alternative names; issue it anew") from error
    if not isinstance(names, x509.SubjectAlternativeName):
        raise SecurityError("the certificate has no readable alternative names; issue it anew")
    uris = [
        uri for uri in names.get_values_for_type(x509.UniformResourceIdentifier) if uri.startswith(URI_SCHEME)
    ]
    if len(uris) != 1:
        raise SecurityError(f"the certificate names {len(uris)} identities instead of one; issue it anew")
    role, _, name = uris[0].removeprefix(URI_SCHEME).partition("/")
    if role not in set(Role):
        raise SecurityError(f"the certificate names the unknown role {role!r}; issue it anew")
    return make_identity(Role(role), name)


@lru_cache(maxsize=4096)
def _peer_in_pem(pem: bytes) -> Peer:
    certificate = x509.load_pem_x509_certificate(pem)
    until_unix_s = certificate.not_valid_after_utc.timestamp()
    return Peer(identity_in(certificate), until_unix_s, certificate.serial_number)


def peer_of(auth_context: Mapping[str, Iterable[bytes]]) -> Peer:
    """Who is at the other end of a call. Raises SecurityError where nobody has proved who it is.

    gRPC verifies the chain before any call; the names are read from the certificate itself, as gRPC's list of
    alternative names does not tell a URI from a DNS name that looks like one.
    """
    if set(auth_context.get("transport_security_type", ())) != {b"ssl"}:
        raise SecurityError("the connection is not secured; dial it with TLS and a certificate")
    pems = list(auth_context.get("x509_pem_cert", ()))
    if len(pems) != 1:
        raise SecurityError("the peer shows no certificate; dial with one")
    try:
        return _peer_in_pem(pems[0])
    except SecurityError:
        raise
    except ValueError as error:
        raise SecurityError("the certificate of the peer cannot be read; issue it anew") from error


def identity_of(auth_context: Mapping[str, Iterable[bytes]]) -> Identity:
    """Who is at the other end of a call. Raises SecurityError."""
    return peer_of(auth_context).identity


def authorize(identity: Identity, method: str) -> bool:
    """Whether it may call a method, named as gRPC does: ``/package.Service/Method``."""
    return method.startswith(FOR_ALL) or method in ALLOWED[identity.role]
