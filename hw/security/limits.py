"""How much one peer may ask of a server. Waking, safe charging and stop are never held to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

MAX_MESSAGE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a server. A controller sends an agent one renewal each guard tick and a few batches each plan."""

    messages_per_s: float = 200.0  # of one peer, over all of its calls
    burst: int = 400  # messages at once
    open_streams: int = 16  # of one peer, over all of its connections
    streams_per_connection: int = 64
    message_bytes: int = MAX_MESSAGE_BYTES
    handshake_ms: int = 10_000  # a connection that has not proved itself by then is closed
    least_ping_ms: int = 5_000  # clients look after idle streams; more often than this is an attack

    def __post_init__(self) -> None:
        if not (0 < self.messages_per_s < float("inf") and self.burst >= 1 and self.open_streams >= 1):
            raise ValueError(f"limits must be above 0: {self}")

    def server_options(self) -> list[tuple[str, int]]:
        """Options for ``grpc.aio.server``."""
        return [
            ("grpc.max_receive_message_length", self.message_bytes),
            ("grpc.max_send_message_length", self.message_bytes),
            ("grpc.max_concurrent_streams", self.streams_per_connection),
            ("grpc.server_handshake_timeout_ms", self.handshake_ms),
            ("grpc.http2.min_ping_interval_without_data_ms", self.least_ping_ms),
        ]


class TokenBucket:
    """Lets ``rate_per_s`` pass on average and ``burst`` at once."""

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._rate_per_s, self._burst = rate_per_s, float(burst)
        self._left, self._at_s = float(burst), float("-inf")

    def take(self, now_s: float) -> bool:
        """Whether one more may pass at this monotonic time [s]. Time that runs backwards gives nothing."""
        if now_s > self._at_s:
            gained = (now_s - self._at_s) * self._rate_per_s
            self._left, self._at_s = min(self._burst, self._left + gained), now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class PeerLimits:
    """The limits of each peer. A peer is whatever its certificate names, so there are no more than were issued."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buckets: dict[Hashable, TokenBucket] = {}
        self._open: Counter[Hashable] = Counter()

    def message(self, peer: Hashable, now_s: float) -> bool:
        """Whether it may send one more message now."""
        if peer not in self._buckets:
            self._buckets[peer] = TokenBucket(self._limits.messages_per_s, self._limits.burst)
        return self._buckets[peer].take(now_s)

    def opened(self, peer: Hashable) -> bool:
        """Whether it may have one more stream; if so it has, until ``closed``."""
        if self._open[peer] >= self._limits.open_streams:
            return False
        self._open[peer] += 1
        return True

    def closed(self, peer: Hashable) -> None:
        """A stream that was opened has ended."""
        self._open[peer] -= 1
        if self._open[peer] <= 0:
            del self._open[peer]
