"""Pauses between attempts: they double from one to the next, up to a limit, and a random part spreads many clients."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(slots=True)
class Backoff:
    """Exponential back-off with jitter.

    Owns no clock: it only says how long to wait. Pause k lies between half of and all of ``first_s * 2**k``, at most
    ``longest_s``: the lower half keeps a failing agent from being hammered, the upper half keeps a thousand agents
    that failed at once from coming back at once.
    """

    random: Random
    first_s: float = 0.2
    longest_s: float = 5.0
    attempts: int = 0  # since the last success

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.longest_s:
            raise ValueError(f"first_s {self.first_s} must be above 0 and at most longest_s {self.longest_s}")

    def next_s(self) -> float:
        """Time to wait before the next attempt. [s]"""
        ceiling_s = self.longest_s
        if self.attempts < 32:  # beyond it the power of two is past any limit
            ceiling_s = min(self.longest_s, self.first_s * 2**self.attempts)
        self.attempts += 1
        return ceiling_s * (0.5 + 0.5 * self.random.random())

    def reset(self) -> None:
        """Begin anew, after a success."""
        self.attempts = 0
