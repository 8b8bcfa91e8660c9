"""Standing by with the journal of the leader: fetched once a second, for as long as nobody leads here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from controller.errors import JournalError
from controller.live.replica import Replica
from controller.live.telling import Tell
from hw.adapters.replica import Fetched
from hw.ports import HostClock

EVERY_S = 1.0
R = TypeVar("R")


class Peer(Protocol):
    """The other controller."""

    async def fetch(self, after: int, chain: bytes, *, cuts: bool) -> Fetched:
        """What follows append ``after`` of this SHA-256; ``cuts``: more would be cut. Raises ConnectionError."""
        ...


async def follow(path: Path, peer: Peer, clock: HostClock, retention_us: int, tell: Tell) -> None:
    """Follow the journal of the leader until cancelled; tells whenever that begins or ceases to work."""
    replica: Replica | None = None
    told: str | None = None
    try:
        while True:
            cause, is_more = "", False
            try:
                if replica is None or not replica.is_open:
                    replica = await _opened(path, replica, clock.unix_us(), tell)
                is_more = await _step(replica, peer, clock.unix_us(), retention_us)
            except (JournalError, OSError) as error:
                cause = str(error)
            if cause != told:
                tell("replica", follows=not cause, cause=cause)
                told = cause
            if not is_more:
                await asyncio.sleep(EVERY_S)
    finally:
        if replica is not None:
            replica.close()


async def _opened(path: Path, before: Replica | None, unix_us: int, tell: Tell) -> Replica:
    """Open a journal, also after a failure that closed it. Who is cancelled meanwhile leaves nothing open."""
    if before is not None:
        before.close()
    opening = asyncio.ensure_future(asyncio.to_thread(Replica.open, path, unix_us))
    try:
        replica = await asyncio.shield(opening)
    except asyncio.CancelledError:
        for left in await asyncio.gather(opening, return_exceptions=True):
            if isinstance(left, Replica):
                left.close()
        raise
    if replica.damage is not None:
        tell("journal_damaged", text=str(replica.damage))
    return replica


async def _step(replica: Replica, peer: Peer, unix_us: int, retention_us: int) -> bool:
    """Fetch once; whether there is more."""
    after, chain, cuts = replica.asks
    found = await peer.fetch(after, chain, cuts=cuts)
    is_more = await _to_its_end(lambda: replica.take(found, unix_us))
    if not is_more:
        await _to_its_end(lambda: replica.prune(unix_us - retention_us))
    return is_more


async def _to_its_end(call: Callable[[], R]) -> R:
    """Run in a thread; who is cancelled meanwhile waits for its end first, as the file is closed then."""
    running = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.gather(running, return_exceptions=True)
        raise
