"""Signed heads of a journal: taken every hour, kept in a file beside it and by all agents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from controller.errors import JournalError
from controller.live.audit import AuditHead, head_now, head_of
from controller.live.journal_writer import JournalWriter
from controller.live.telling import Tell
from hw.adapters.dial import AgentError, Dial
from hw.adapters.operator import HeadKeeper
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
    with path.open("ab") as file:
        file.write(signed.to_line())


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
        return Signed.from_line(line)
    except ValueError as error:
        raise JournalError(f"{where}: no signed head; the line is damaged") from error


async def keep_heads(
    writer: JournalWriter,
    path: Path,
    files: TlsFiles,
    clock: HostClock,
    tell: Tell,
    dials: Sequence[Dial],
) -> None:
    """Sign a head now and every hour, write it down and give it to all agents, until cancelled."""
    while True:
        try:
            last = await writer.last()
            if last is not None:
                signed = sign(files, head_now(last, files.name, clock.unix_us()).content())
                add_head(path, signed)
                await _hand(signed, dials, tell)
        except (OSError, JournalError, SecurityError) as error:
            tell("head_not_kept", cause=str(error))
        await asyncio.sleep(HEAD_EVERY_S)


async def _hand(signed: Signed, dials: Sequence[Dial], tell: Tell) -> None:
    async def give(dial: Dial) -> str:
        try:
            async with HeadKeeper(dial) as keeper:
                await keeper.keep(signed)
        except AgentError as error:
            return str(error)
        return ""

    missing = [cause for cause in await asyncio.gather(*map(give, dials)) if cause]
    if missing:
        tell("head_not_kept", agents=len(missing), of=len(dials), cause=missing[0])


async def heads_of(dials: Sequence[Dial]) -> tuple[list[Signed], list[str]]:
    """The heads that agents keep, and why some agents gave none."""

    async def ask(dial: Dial) -> list[Signed] | str:
        try:
            async with HeadKeeper(dial) as keeper:
                return await keeper.heads()
        except AgentError as error:
            return str(error)

    found = await asyncio.gather(*map(ask, dials))
    lists = [one for one in found if isinstance(one, list)]
    return [head for one in lists for head in one], [one for one in found if isinstance(one, str)]
