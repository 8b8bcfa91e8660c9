"""What can be wrong with a trace.

TraceError              the trace cannot be used; the message names file, place, field and remedy
  UnknownLayoutError    no reader knows this file or folder
"""

from __future__ import annotations

from dataclasses import dataclass


class TraceError(ValueError):
    """A trace that cannot be used. The message names the file, the place, the field and a remedy."""


class UnknownLayoutError(TraceError):
    """No reader recognises the file or folder."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One row, or one field of a row, that was set aside instead of being read."""

    file: str
    place: str  # "row 17", "line 203", "measInfo X, p=3"
    field: str
    reason: str  # short and countable: "negative utilisation", "duplicate time"
    value: str = ""


class Quarantine:
    """Rows that were set aside: each is counted, the first of every kind are kept as examples."""

    def __init__(self, examples_per_reason: int = 5) -> None:
        self.counts: dict[str, int] = {}
        self.examples: list[Problem] = []
        self._examples_per_reason = examples_per_reason

    def add(self, problem: Problem, count: int = 1) -> None:
        """Count ``count`` rows with the same reason as ``problem`` and keep it as an example if there is room."""
        seen = self.counts.get(problem.reason, 0)
        self.counts[problem.reason] = seen + count
        if sum(p.reason == problem.reason for p in self.examples) < self._examples_per_reason:
            self.examples.append(problem)

    @property
    def total(self) -> int:
        """Number of rows set aside."""
        return sum(self.counts.values())
