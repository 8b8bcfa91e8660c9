"""What systemd is told by its notification socket: ready, alive, stopping. Without the socket nobody is told."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

READY, ALIVE, STOPPING = b"READY=1", b"WATCHDOG=1", b"STOPPING=1"
START_WITHIN_S = 900.0  # TimeoutStartSec of the unit, which counts for the first start only
TELL_EVERY_S = 10.0


class Notifier:
    """The socket that ``NOTIFY_SOCKET`` names, see sd_notify(3)."""

    def __init__(self, address: str | None = None) -> None:
        """``address``: None for that of the environment."""
        address = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self._socket is not None:
            self._socket.setblocking(False)  # nothing waits for who supervises

    def tell(self, what: bytes) -> None:
        """Send a message; one that nobody takes is left out, for the next one says the same."""
        if self._socket is not None:
            try:
                self._socket.sendto(what, self._address)
            except OSError:
                return

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()


@asynccontextmanager
async def starting() -> AsyncIterator[None]:
    """Tell that a start goes on which no tick can show yet, until it ends, but no longer than one may take.

    Who stood by was ready long ago, so that its watchdog runs while it takes over. What hangs for good is still found.
    """
    notifier = Notifier()
    telling = asyncio.ensure_future(_tell_alive(notifier))
    try:
        yield
        notifier.tell(ALIVE)  # from here on the first tick has the whole time of the watchdog
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        notifier.close()


async def _tell_alive(notifier: Notifier) -> None:
    time_s = asyncio.get_running_loop().time
    until_s = time_s() + START_WITHIN_S
    while time_s() < until_s:
        notifier.tell(ALIVE)
        await asyncio.sleep(TELL_EVERY_S)
