"""On-battery programs of an agent's sites. What a stage orders is computed by rules that the composition root gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from hw.adapters.power import OnBattery
from hw.agents.durable import Durable, Position


@dataclass(frozen=True, slots=True)
class StageOrder:
    """What a site does in a mains failure."""

    radio_ratio: float = 1.0  # radio power kept, over that of full service
    keeps_transport: bool = True


class ProgramRules(Protocol):
    """How a program runs."""

    def check(self, program: OnBattery) -> None:
        """Raise ValueError where the program is none that can run."""
        ...

    def run(
        self, program: OnBattery, position: Position, mains: bool, soc: float, elapsed_s: float
    ) -> tuple[Position, StageOrder]:
        """One step of a site."""
        ...


class Programs:
    """Where each site is in its program; the programs themselves are in what the agent keeps on disk."""

    def __init__(self, site_id: tuple[str, ...], rules: ProgramRules, durable: Durable) -> None:
        self._site_id = site_id
        self._rules = rules
        self._position = {name: durable.positions.get(name, Position()) for name in site_id}
        self._saved_unix_us = durable.saved_unix_us
        self._looked_us: int | None = None
        self.orders = [StageOrder() for _ in site_id]

    def stage(self, place: int) -> int:
        """Stage of a site; -1: with mains."""
        return self._position[self._site_id[place]].stage

    def revision(self, place: int, durable: Durable) -> int:
        """Revision of a site's program; 0: none."""
        program = durable.programs.get(self._site_id[place])
        return 0 if program is None else program.revision

    def take(self, program: OnBattery, durable: Durable) -> Durable:
        """What is to be on disk with a new program; the same where it is old or cannot run."""
        if program.revision <= self.revision(program.site, durable):
            return durable
        try:
            self._rules.check(program)
        except ValueError:
            return durable
        return replace(durable, programs=durable.programs | {self._site_id[program.site]: program})

    def elapsed_s(self, now_us: int, unix_us: int) -> float:
        """Time since the last look; at the first one, since the positions were saved. [s]"""
        looked_us, self._looked_us = self._looked_us, now_us
        if looked_us is not None:
            return (now_us - looked_us) / 1e6
        return max(0.0, (unix_us - self._saved_unix_us) / 1e6) if self._saved_unix_us else 0.0

    def run(
        self, place: int, mains: bool, soc: float, elapsed_s: float, durable: Durable
    ) -> tuple[bool, bool]:
        """One step of a site; whether its stage and whether its order have changed."""
        name = self._site_id[place]
        program, before = durable.programs.get(name), self._position[name]
        if program is None:
            return False, False
        after, order = self._rules.run(program, before, mains, soc, elapsed_s)
        self._position[name] = after
        is_new = order != self.orders[place]
        self.orders[place] = order
        return after.stage != before.stage, is_new

    def saved(self, durable: Durable, unix_us: int) -> Durable:
        """What is to be on disk with the positions of now."""
        return replace(durable, positions=dict(self._position), saved_unix_us=unix_us)
