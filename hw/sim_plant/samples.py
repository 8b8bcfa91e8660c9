"""The latest samples of a plant, so many that a reader may be late."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

SAMPLES_KEPT = 60

S = TypeVar("S")


class Samples(Generic[S]):
    """The latest samples, each with its number, which counts up."""

    def __init__(self, last: int) -> None:
        """``last``: number of the sample before the first one kept."""
        self.last = last
        self._kept: deque[S] = deque(maxlen=SAMPLES_KEPT)

    def append(self, sample: S) -> None:
        """Add the next sample; the oldest one may go."""
        self._kept.append(sample)
        self.last += 1

    def after(self, number: int) -> list[S]:
        """Samples after one, oldest first, as far as they are kept; all, where that one is yet to come.

        A reader that knows a later sample has known another plant: this one was started anew.
        """
        wanted = len(self._kept) if number > self.last else min(self.last - number, len(self._kept))
        return list(self._kept)[len(self._kept) - wanted :]
