"""A made-up fleet of radio agents and what a live controller records of it, second by second."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from controller.live.events import (
    Answered,
    Connected,
    Decided,
    GuardTick,
    PlanTick,
    Record,
    Renewed,
    Reported,
    Taken,
    Woken,
)
from hw.adapters.radio import Answers, Inventory, Outcome, RenewalAnswer, Report
from hw.ports import RadioAbilities

BEGAN_US = 1_741_000_000_000_000


def inventory(agent: str, n: int) -> Inventory:
    """An agent with n cells, every other one a capacity cell."""
    capacity = np.arange(n) % 2 == 1
    allowed = np.ones((n, 5), np.bool_)
    allowed[~capacity, 3:] = False
    names = ("full", "symbol", "rf_channel_32", "carrier_shutdown", "deep_dormancy")
    abilities = RadioAbilities(
        tuple(f"{agent}-{i}" for i in range(n)),
        (agent,) * n,
        ("",) * n,
        capacity,
        names,
        np.array([0, 0, 1000, 5000, 60000]),
        np.array([False, False, False, True, True]),
        allowed,
        np.ones(n, np.bool_),
        1,
        is_simulated=True,
    )
    return Inventory(agent, _boot(agent), abilities, 60_000, 1_800_000, 1)


def _boot(agent: str) -> bytes:
    return hashlib.sha256(agent.encode()).digest()[:16]


class MadeAgent:
    """An agent whose cells take levels now and then."""

    def __init__(self, number: int, n: int, seed: int = 0) -> None:
        self.agent_id, self.n = f"agent-{number:03}", n
        self.cell = np.arange(number * n, (number + 1) * n, dtype=np.int32)
        self.rng = np.random.default_rng((seed, number))
        self.level = np.ones(n, np.uint8)
        self.revision = np.zeros(n, np.uint64)
        self.sequence = 0
        self.offset_us = int(self.rng.integers(0, 20_000_000))

    def report(self, unix_us: int, samples: int) -> Reported:
        """A report with so many samples of a minute."""
        self.sequence += 1
        now_us = unix_us - BEGAN_US + self.offset_us + int(self.rng.integers(0, 3000))
        carried = self.rng.gamma(2, 0.08, (self.n, samples)).clip(0, 1).astype(np.float32)
        carried[self.level > 2] = 0
        left = np.where(self.level > 1, 40_000 + int(self.rng.integers(0, 50)), 0)
        return Reported(
            Report(
                self.agent_id,
                _boot(self.agent_id),
                now_us,
                self.sequence,
                unix_us // 60_000_000 * 60_000_000,
                60_000,
                carried,
                self.level.copy(),
                self.level.copy(),
                self.revision.copy(),
                left.astype(np.int64),
                np.zeros(self.n, np.bool_),
                self.digest(),
                False,
                1,
            )
        )

    def renewed(self, unix_us: int) -> Renewed:
        """The answer to a renewal."""
        return Renewed(
            self.agent_id,
            RenewalAnswer(unix_us - BEGAN_US + self.offset_us, Outcome.APPLIED, 0, self.digest()),
        )

    def digest(self) -> bytes:
        """Stands for that of the active set."""
        return hashlib.sha256(self.level.tobytes() + self.revision.tobytes()).digest()

    def change(self, unix_us: int, share: float) -> tuple[Decided | Woken | None, Answered | None]:
        """Some cells change their level: what was decided of it, and the agent's answer."""
        places = np.flatnonzero(self.rng.random(self.n) < share)
        if not len(places):
            return None, None
        wake = bool(self.level[places[0]] > 1)
        before = self.level[places].copy()
        self.level[places] = 1 if wake else self.rng.integers(2, 5, len(places)).astype(np.uint8)
        self.revision[places] += np.uint64(1)
        revision, level = self.revision[places], self.level[places]
        reason = np.full(len(places), 3, np.uint8)
        made: Decided | Woken = Decided(
            unix_us, f"plan-{unix_us}", self.cell[places], revision, level, before, reason
        )
        if wake:
            made = Woken(unix_us, self.cell[places], revision, reason)
        applied = np.full(len(places), Outcome.APPLIED, np.uint8)
        answers = Answers(places.astype(np.int64), revision, applied, np.zeros(len(places), np.uint8), level)
        return made, Answered(self.agent_id, answers)


def fleet_seconds(
    agents: int, n: int, seconds: int, *, changes_a_day: float = 12, seed: int = 0, begin_s: int = 0
) -> Iterator[list[Record]]:
    """What each second of a fleet's life records: a report each 20 s, a sample each 60 s, plan ticks each 15 min."""
    fleet = [MadeAgent(a, n, seed) for a in range(agents)]
    yield [Taken(BEGAN_US + begin_s * 1_000_000, Connected(inventory(a.agent_id, n))) for a in fleet]
    for second in range(begin_s, begin_s + seconds):
        unix_us = BEGAN_US + second * 1_000_000
        records: list[Record] = []
        for number, agent in enumerate(fleet):
            if second % 20 == number % 20:
                records.append(Taken(unix_us, agent.report(unix_us, int(second % 60 == number % 60))))
        if second % 20 == 0:
            records.append(Taken(unix_us, GuardTick(unix_us)))
            records += [Taken(unix_us, agent.renewed(unix_us)) for agent in fleet]
        if second % 900 == 0:
            records.append(Taken(unix_us, PlanTick(unix_us)))
            for agent in fleet:
                made, answered = agent.change(unix_us, changes_a_day / 96)
                records += [made] if made is not None else []
                records += [Taken(unix_us, answered)] if answered is not None else []
        if records:
            yield records
