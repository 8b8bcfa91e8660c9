"""Signed heads of a journal: taken every hour and kept in a file beside it, to be copied to whoever keeps them."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import asdict
from pathlib import Path

from controller.errors import JournalError
from controller.live.audit import AuditHead, head_now, head_of
from controller.live.journal_writer import JournalWriter
from controller.live.telling import Tell
from hw.errors import SecurityError
from hw.ports import HostClock
from hw.security.credentials import TlsFiles
from hw.security.identity import Role
from hw.security.signing import Signed, sign, signer_of

HEAD_EVERY_S = 3600.0


def heads_path(journal: Path) -> Path:
    """The file of a journal's heads."""
    return journal.with_name(f"{journal.name}.heads")


def add_head(path: Path, signed: Signed) -> None:
    """Write one more head to a file. Raises OSError."""
    parts = {name: base64.b64encode(part).decode() for name, part in asdict(signed).items()}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(parts) + "\n")


def read_heads(path: Path, tls: Path) -> list[AuditHead]:
    """The heads of a file, each signed by the controller that it names. Raises JournalError where one is not."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise JournalError(f"{path}: it cannot be read: {error}; name a file of heads") from error
    return [checked_head(_signed(line, f"{path}:{i}"), tls, f"{path}:{i}") for i, line in enumerate(lines, 1)]


def checked_head(signed: Signed, tls: Path, where: str) -> AuditHead:
    """A head whose signature is that of the controller that it names. Raises JournalError."""
    try:
        head, signer = head_of(signed.content), signer_of(signed, tls)
    except (ValueError, SecurityError) as error:
        raise JournalError(f"{where}: no head that can be trusted: {error}") from error
    if signer.role is not Role.CONTROLLER or signer.name != head.controller:
        raise JournalError(f"{where}: a head of controller/{head.controller} is signed by {signer}")
    return head


def _signed(line: bytes, where: str) -> Signed:
    try:
        parts = json.loads(line)
        return Signed(*(base64.b64decode(parts[name], validate=True) for name in Signed.__slots__))
    except (ValueError, TypeError, KeyError) as error:
        raise JournalError(f"{where}: no signed head; the line is damaged") from error


async def keep_heads(
    writer: JournalWriter, path: Path, files: TlsFiles, clock: HostClock, tell: Tell
) -> None:
    """Sign a head now and every hour and write it down, until cancelled."""
    while True:
        try:
            last = await writer.last()
            if last is not None:
                signed = sign(files, head_now(last, files.name, clock.unix_us()).content())
                add_head(path, signed)
        except (OSError, JournalError, SecurityError) as error:
            tell("head_not_kept", cause=str(error))
        await asyncio.sleep(HEAD_EVERY_S)
