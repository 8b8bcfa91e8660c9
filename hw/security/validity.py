"""What certificates a folder holds, until when, and what to do about those that are wrong or end soon."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hw.errors import SecurityError
from hw.security.certs import CA, certificate_path, hosts_in, now_utc, read_certificate
from hw.security.credentials import TlsFiles
from hw.security.identity import identity_in

SOON_DAYS = 7.0


class State(StrEnum):
    """How a certificate stands."""

    GOOD = "good"
    ENDS_SOON = "ends soon"
    EXPIRED = "expired"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class Seen:
    """One certificate of a folder."""

    file: Path
    holder: str  # role and name, or what can be said
    hosts: tuple[str, ...]
    until: dt.datetime | None  # UTC
    left_days: float | None  # below 0: expired
    state: State
    remedy: str  # empty where nothing is to be done


def look_at(folder: Path) -> list[Seen]:
    """All certificates of a folder, the CA first. Raises SecurityError where there is no CA."""
    ca = certificate_path(folder, CA)
    ca_until = read_certificate(ca).not_valid_after_utc
    remedy = f"make a new CA with `quietcell certs init` in a new folder, and let {ca} hold both while holders change"
    first = _judged(ca, "the CA", (), ca_until, remedy)
    others = (path for path in sorted(folder.glob("*.pem")) if path != ca)
    return [first, *(_look_at_one(folder, path) for path in others)]


def _look_at_one(folder: Path, path: Path) -> Seen:
    try:
        certificate = read_certificate(path)
        holder = identity_in(certificate)
    except SecurityError as error:
        return Seen(path, "nobody", (), None, None, State.UNUSABLE, str(error))
    hosts, until = hosts_in(certificate), certificate.not_valid_after_utc
    remedy = f"quietcell certs issue {folder} --{holder.role} {holder.name}"
    seen = _judged(path, str(holder), hosts, until, f"renew it: {remedy}")
    try:
        TlsFiles(folder, path.stem).read()
    except (SecurityError, OSError) as error:
        return Seen(path, str(holder), hosts, until, seen.left_days, State.UNUSABLE, str(error))
    return seen


def _judged(path: Path, holder: str, hosts: tuple[str, ...], until: dt.datetime, remedy: str) -> Seen:
    left_days = (until - now_utc()) / dt.timedelta(days=1)
    if left_days <= 0:
        return Seen(path, holder, hosts, until, left_days, State.EXPIRED, remedy)
    if left_days < SOON_DAYS:
        return Seen(path, holder, hosts, until, left_days, State.ENDS_SOON, remedy)
    return Seen(path, holder, hosts, until, left_days, State.GOOD, "")
