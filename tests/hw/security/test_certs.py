"""The lab CA: what it issues, what it refuses, and where keys may stand."""

from __future__ import annotations

import datetime as dt
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from hw.errors import SecurityError
from hw.security import certs
from hw.security.credentials import TlsFiles, client_credentials, server_credentials
from hw.security.identity import Identity, Role, identity_in, make_identity, server_is
from hw.security.validity import State, look_at
from tests.hw.security.stand_in import AGENT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    certs.init_ca(tmp_path)
    return tmp_path


@pytest.mark.parametrize("role", list(Role))
def test_a_certificate_names_its_holder_and_serves_its_purpose_only(folder: Path, role: Role) -> None:
    certificate = certs.issue(folder, make_identity(role, "x-1"))
    assert identity_in(certificate) == Identity(role, "x-1")
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    uses = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert (ExtendedKeyUsageOID.SERVER_AUTH in uses) == (role in (Role.AGENT, Role.CONTROLLER))
    assert (ExtendedKeyUsageOID.CLIENT_AUTH in uses) == (role is not Role.AGENT)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_an_independent_verifier_accepts_an_agent_for_its_names_only(folder: Path) -> None:
    certificate = certs.issue(folder, make_identity(Role.AGENT, AGENT), ["127.0.0.1", "Edge.example"])
    store = Store([certs.read_certificate(folder / "ca.pem")])
    names: list[x509.DNSName | x509.IPAddress] = [
        x509.DNSName(server_is(AGENT)),
        x509.DNSName("edge.example"),
    ]
    for name in names:
        PolicyBuilder().store(store).build_server_verifier(name).verify(certificate, [])
    for other in (x509.DNSName(server_is("site-002")), x509.DNSName("other.example")):
        with pytest.raises(VerificationError):
            PolicyBuilder().store(store).build_server_verifier(other).verify(certificate, [])


def test_keys_are_for_their_owner_and_no_scraps_are_left(folder: Path) -> None:
    certs.issue(folder, make_identity(Role.OPERATOR, "anna"))
    assert {path.name for path in folder.iterdir()} == {"ca.pem", "ca.key", "anna.pem", "anna.key"}
    for path in folder.glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_renewal_has_a_new_key_and_keeps_its_hosts(folder: Path) -> None:
    agent = make_identity(Role.AGENT, AGENT)
    first = certs.issue(folder, agent, ["127.0.0.1", "edge.example"])
    again = certs.issue(folder, agent)
    assert certs.hosts_in(again) == certs.hosts_in(first) == ("edge.example", "127.0.0.1")
    assert again.public_key() != first.public_key()
    assert certs.hosts_in(certs.issue(folder, agent, ["::1"])) == ("::1",)


def test_a_certificate_ends_with_its_ca(tmp_path: Path) -> None:
    ca = certs.init_ca(tmp_path, days=5)
    assert (
        certs.issue(tmp_path, make_identity(Role.ADMIN, "chief"), days=30).not_valid_after_utc
        == ca.not_valid_after_utc
    )


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "A", "a.b", "a/b", "../ca", "a b", "x" * 64, "é", "a\n", "*"]
)
def test_a_name_is_one_label(name: str) -> None:
    with pytest.raises(SecurityError, match="cannot name an agent"):
        make_identity(Role.AGENT, name)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("site-002.agent.quietcell", "would pass for an agent"),
        ("SITE-002.Agent.Quietcell", "would pass for an agent"),
        ("agent.quietcell", "would pass for an agent"),
        ("*.agent.quietcell", "no host name"),
        ("*", "no host name"),
        ("127.0.0.1:50051", "no host name"),
        ("https://edge", "no host name"),
        ("edge.example\n", "no host name"),
        ("", "no host name"),
    ],
)
def test_a_host_cannot_pass_for_an_agent(folder: Path, host: str, words: str) -> None:
    for role in (Role.AGENT, Role.CONTROLLER):
        with pytest.raises(SecurityError, match=words):
            certs.issue(folder, make_identity(role, "x"), [host])
    assert not (folder / "x.pem").exists()


def test_what_cannot_be_issued_says_why(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    certs.issue(folder, make_identity(Role.OPERATOR, "anna"))
    with pytest.raises(SecurityError, match="is that of operator/anna; use another name for admin/anna"):
        certs.issue(folder, make_identity(Role.ADMIN, "anna"))
    with pytest.raises(SecurityError, match="CA's own files"):
        certs.issue(folder, make_identity(Role.ADMIN, "ca"))
    with pytest.raises(SecurityError, match="serves nothing; leave --host away"):
        certs.issue(folder, make_identity(Role.OPERATOR, "bert"), ["127.0.0.1"])
    with pytest.raises(SecurityError, match="--days must be 1 to 3650, not 0"):
        certs.issue(folder, make_identity(Role.OPERATOR, "bert"), days=0)
    with pytest.raises(SecurityError, match="exists; name a new folder"):
        certs.init_ca(folder)
    with pytest.raises(SecurityError, match="make a CA with `quietcell certs init`"):
        certs.issue(tmp_path_factory.mktemp("empty"), make_identity(Role.OPERATOR, "bert"))
    (folder / "ca.key").unlink()
    with pytest.raises(SecurityError, match="issue certificates where the CA was made"):
        certs.issue(folder, make_identity(Role.OPERATOR, "bert"))


def test_files_that_do_not_fit_are_refused_at_start(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = TlsFiles(folder, AGENT)
    with pytest.raises(SecurityError, match=r"site-001\.pem does not exist"):
        server_credentials(files)
    certs.issue(folder, make_identity(Role.AGENT, AGENT))
    good = files.paths[2].read_bytes()
    files.paths[2].chmod(0o644)
    with pytest.raises(SecurityError, match="open to everybody on this host; close it: chmod 600"):
        client_credentials(files)
    files.paths[2].chmod(0o600)
    files.paths[2].write_bytes((folder / "ca.key").read_bytes())
    with pytest.raises(SecurityError, match="does not belong to"):
        client_credentials(files)
    files.paths[2].write_bytes(b"no key")
    with pytest.raises(SecurityError, match="is no key in PEM"):
        client_credentials(files)
    files.paths[2].write_bytes(good)
    other = tmp_path_factory.mktemp("other")
    certs.init_ca(other)
    files.paths[0].write_bytes((other / "ca.pem").read_bytes())
    with pytest.raises(SecurityError, match="is not of the CA in"):
        client_credentials(files)
    files.paths[0].write_bytes(b"no certificate")
    with pytest.raises(SecurityError, match="is no certificate in PEM"):
        client_credentials(files)


def test_a_look_at_a_folder_says_what_to_do(folder: Path) -> None:
    certs.issue(folder, make_identity(Role.AGENT, AGENT), ["127.0.0.1"])
    certs.issue(folder, make_identity(Role.OPERATOR, "anna"), days=3)
    certs.issue(folder, make_identity(Role.ADMIN, "chief"))
    (folder / "chief.key").unlink()
    (folder / "scrap.pem").write_text("nothing")
    seen = {one.file.stem: one for one in look_at(folder)}
    assert {name: one.state for name, one in seen.items()} == {
        "ca": State.GOOD,
        AGENT: State.GOOD,
        "anna": State.ENDS_SOON,
        "chief": State.UNUSABLE,
        "scrap": State.UNUSABLE,
    }
    assert seen[AGENT].holder == "agent/site-001"
    assert seen[AGENT].hosts == ("127.0.0.1",)
    assert seen["anna"].remedy == f"renew it: quietcell certs issue {folder} --operator anna"
    assert "chief.key does not exist" in seen["chief"].remedy


def test_an_expired_certificate_is_seen(
    tmp_path: Path, issue_expired: Callable[[Identity, Path], TlsFiles]
) -> None:
    issue_expired(make_identity(Role.ADMIN, "late"), tmp_path)
    late = look_at(tmp_path)[1]
    assert late.state is State.EXPIRED
    assert late.until is not None
    assert late.until < certs.now_utc() < late.until + dt.timedelta(days=2)
