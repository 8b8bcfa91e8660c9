"""What agents granted in a run of benchmarks/split_brain.py, and what follows from it for who may send what.

1. An agent grants nobody else anything before the term that it granted is over or given up.
2. A sleep or a renewal is sent only while a majority of the agents has granted its epoch.
3. A new leader sends no sleep within one lease of its win.

Judged from what was asked, answered and sent alone: it knows no code of controllers and agents. When an agent granted
is known no closer than between the question and its answer, so that each doubt is decided in favour of who is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hw.adapters.wire import Candidate

SLACK_S = 0.1  # by which clocks drift in a lease


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant, from when it was asked for. [s]"""

    who: Candidate
    asked_s: float
    answered_s: float


class Votes:
    """All grants of a run. Times are those of nobody's clock. [s]"""

    def __init__(
        self, agent_ids: Sequence[str], term_s: float, lease_s: float, broken: Callable[[str], None]
    ) -> None:
        """``broken`` is told of each thing that must not happen, once for an epoch."""
        self._term_s, self._lease_s, self._broken = term_s, lease_s, broken
        self._of: dict[str, list[Granted]] = {agent_id: [] for agent_id in agent_ids}
        self._won_s: dict[tuple[str, int], float] = {}
        self._said: set[tuple[str, int]] = set()

    def granted(self, agent_id: str, who: Candidate, asked_s: float, answered_s: float) -> None:
        """An agent has granted leadership."""
        for other in self._of[agent_id]:
            came_first = other.who != who and other.answered_s < asked_s
            if came_first and answered_s < other.asked_s + self._term_s - SLACK_S:
                text = f"{agent_id} grants epoch {who.epoch} while its grant of epoch {other.who.epoch} runs"
                self._say_once("granted", who.epoch, text)
        self._of[agent_id].append(Granted(who, asked_s, answered_s))

    def gives_up(self, who: Candidate) -> None:
        """A controller is about to tell agents that it needs its grants no more."""
        for agent_id, grants in self._of.items():
            self._of[agent_id] = [one for one in grants if one.who != who]

    def won(self, controller_id: str, epoch: int, at_s: float) -> None:
        """A controller takes itself for the leader from now on."""
        self._won_s[controller_id, epoch] = at_s

    def sent(self, controller_id: str, epoch: int, at_s: float, *, is_sleep: bool) -> None:
        """A command toward less service or a renewal has left a controller."""
        leader = f"{controller_id}/{epoch}"
        running = sum(self._runs(grants, controller_id, epoch, at_s) for grants in self._of.values())
        if 2 * running <= len(self._of):
            text = f"{leader} sends with the grants of {running} of {len(self._of)} agents"
            self._say_once("sent", epoch, text)
        since_s = at_s - self._won_s.get((controller_id, epoch), at_s)
        if is_sleep and since_s < self._lease_s - SLACK_S:
            text = f"{leader} sends a sleep {since_s:.1f} s after its win, leases last {self._lease_s:g} s"
            self._say_once("waited", epoch, text)

    def _runs(self, grants: Sequence[Granted], controller_id: str, epoch: int, at_s: float) -> bool:
        """Whether one of an agent's grants of an epoch can run."""
        return any(
            (one.who.controller_id, one.who.epoch) == (controller_id, epoch)
            and at_s < one.answered_s + self._term_s + SLACK_S
            for one in grants
        )

    def _say_once(self, what: str, epoch: int, text: str) -> None:
        if (what, epoch) not in self._said:
            self._said.add((what, epoch))
            self._broken(text)
