"""A radio agent written apart, over a plant that does everything at once: plain rules, one cell after the other."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import Any

from tests.hw.agents.plants import FULL

LONGEST_TERM_US = 60_000_000
LONGEST_PLAN_US = 90_000_000
Answer = tuple[int, int, str]


@dataclass
class NaiveCell:
    seen: int = 0  # highest revision
    wanted: int | None = None  # level of that revision
    answer: str = ""  # to that revision
    level: int = FULL
    until_us: int = 0
    plan_us: int = 0
    woken_us: int = -1
    locked: bool = False

    def end(self, why: str) -> None:
        self.level, self.until_us = FULL, 0
        if self.answer == "APPLIED":
            self.answer = why


@dataclass
class NaiveAgent:
    boot: bytes
    cells: list[NaiveCell]
    deepest: list[int]
    timers: list[bool]
    epoch: int = 0
    stopped: bool = False
    applied: list[tuple[int, int]] = field(default_factory=list)

    def pass_time(self, now_us: int) -> None:
        for cell in self.cells:
            if cell.until_us and now_us >= cell.until_us:
                cell.end("EXPIRED")

    def _stranger(self, origin: Any, now_us: int) -> str | None:
        lower = origin.leader_epoch < self.epoch
        self.epoch = max(self.epoch, origin.leader_epoch)
        if lower:
            return "LOWER_EPOCH"
        if origin.boot_id != self.boot:
            return "OTHER_BOOT"
        return "UNKNOWN_REPORT" if origin.monotonic_us > now_us else None

    def command(self, origin: Any, term_us: int, rows: Any, now_us: int) -> list[Answer]:
        stranger = self._stranger(origin, now_us)
        return [(c, r, stranger or self._one(origin, term_us, c, r, le, ex, now_us)) for c, r, le, ex in rows]

    def _one(
        self, origin: Any, term_us: int, c: int, revision: int, level: int, expected: int, now_us: int
    ) -> str:
        cell = self.cells[c]
        if revision < cell.seen:
            return "LOWER_REVISION"
        if revision == cell.seen:
            return cell.answer if level == cell.wanted else "REVISION_REUSED"
        cell.seen, cell.wanted = revision, level
        end_us = origin.monotonic_us + min(term_us, LONGEST_TERM_US, LONGEST_PLAN_US)
        if level > self.deepest[c]:
            cell.answer = "INVALID"
        elif cell.locked:
            cell.answer = "LOCAL_CONTROL"
        elif level <= FULL:
            cell.level, cell.until_us, cell.answer = level, 0, "APPLIED"
        elif self.stopped:
            cell.answer = "STOPPED"
        elif now_us >= end_us:
            cell.answer = "EXPIRED"
        elif origin.monotonic_us <= cell.woken_us:
            cell.answer = "SUPERSEDED"
        elif level > cell.level and cell.level != expected:
            cell.answer = "UNEXPECTED_STATE"
        elif not self.timers[c]:
            cell.answer = "NO_DEAD_MAN"
        else:
            cell.level, cell.until_us, cell.answer = level, end_us, "APPLIED"
            cell.plan_us = origin.monotonic_us + LONGEST_PLAN_US
            self.applied.append((c, revision))
        return cell.answer

    def wake(self, c: int, revision: int, now_us: int) -> str:
        cell = self.cells[c]
        if revision > cell.seen:
            cell.seen, cell.wanted = revision, None
        cell.woken_us = now_us
        cell.end("SUPERSEDED")
        return "LOCAL_CONTROL" if cell.locked else "APPLIED"

    def renew(self, origin: Any, term_us: int, digest: bytes, now_us: int) -> str:
        stranger = self._stranger(origin, now_us)
        if stranger:
            return stranger
        end_us = origin.monotonic_us + min(term_us, LONGEST_TERM_US, LONGEST_PLAN_US)
        if now_us >= end_us:
            return "EXPIRED"
        if digest != self.digest():
            return "DIGEST_MISMATCH"
        for cell in self.cells:
            if cell.until_us:
                cell.until_us = max(cell.until_us, min(end_us, cell.plan_us))
        return "APPLIED"

    def stop(self, now_us: int) -> None:
        self.stopped = True
        for c, cell in enumerate(self.cells):
            self.wake(c, cell.seen + 1, now_us)

    def digest(self) -> bytes:
        leased = [(c, cell) for c, cell in enumerate(self.cells) if cell.until_us]
        records = (struct.pack("<IQI", c, cell.seen, cell.level) for c, cell in leased)
        return hashlib.sha256(b"".join(records)).digest()
