"""What systemd is told by its notification socket: ready, alive, stopping. Without the socket nobody is told."""

from __future__ import annotations

import os
import socket

READY, ALIVE, STOPPING = b"READY=1", b"WATCHDOG=1", b"STOPPING=1"


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
