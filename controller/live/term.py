"""Who may lead: the grants that a controller counts, without clock and socket.

A controller leads while a majority of the configured agents has granted it one epoch. It counts each grant from the
moment at which it asked, and a tenth shorter than it asked for, so that it stops before the agent lets anybody else
lead, whatever the answer took and however two clocks drift within a tenth of each other.

No single agent can drive it out of office or up to epochs that leave no room: a later leader is one that a majority
knows, and claims far above what a majority knows count for nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence

from hw.adapters.wire import INSTANCE_BYTES, Candidate, Leadership

SHORTER = 0.9  # share of a term that is counted
NEAR = (
    1 << 20
)  # epochs above those of a majority within which a claim is believed: elections that failed leave such


def majority_of(agents: int) -> int:
    """How many of the agents are more than half of them."""
    return agents // 2 + 1


def next_epoch(known: int, highest: Collection[int]) -> int:
    """An epoch that a majority can grant: above ``known``, and above all claims that a majority makes credible.

    ``highest``: of each configured agent, 0 for one that has said nothing. As a majority knows each leader there was,
    none of those is above what the middle one says once all have spoken.
    """
    base = max(known, sorted(highest)[majority_of(len(highest)) - 1])
    return max([base, *(claim for claim in highest if claim <= base + NEAR)]) + 1


class Term:
    """The grants of one controller, for one epoch after the other."""

    def __init__(
        self, agent_ids: Sequence[str], controller_id: str, term_ms: int, highest_epoch: int
    ) -> None:
        """``highest_epoch``: of any leader, as the journal knows."""
        self.controller_id, self.term_ms = controller_id, term_ms
        self.instance_id = secrets.token_bytes(INSTANCE_BYTES)
        self.epoch = highest_epoch  # asked for
        self.majority = majority_of(len(agent_ids))
        self._until_us = dict.fromkeys(agent_ids, 0)
        self._highest = dict.fromkeys(agent_ids, 0)
        self._holder: dict[str, str | None] = dict.fromkeys(agent_ids)  # empty: nobody; None: not known

    @property
    def candidate(self) -> Candidate:
        """Who asks."""
        return Candidate(self.epoch, self.controller_id, self.instance_id)

    def begin_look(self) -> None:
        """Forget who leads where, before all agents are asked."""
        self._holder = dict.fromkeys(self._holder)

    def looked(self, agent_id: str, answer: Leadership) -> None:
        """Note what an agent says of its leadership."""
        self._highest[agent_id] = answer.highest_epoch
        self._holder[agent_id] = answer.holder

    def may_stand(self) -> bool:
        """Whether a majority has no leader now. Who asks before that only spoils epochs."""
        return sum(holder == "" for holder in self._holder.values()) >= self.majority

    def stand(self) -> int:
        """Ask for a new epoch from here on. Returns it."""
        self.epoch = next_epoch(self.epoch, self._highest.values())
        self._until_us = dict.fromkeys(self._until_us, 0)
        return self.epoch

    def heard(self, agent_id: str, asked: Candidate, asked_us: int, answer: Leadership) -> None:
        """Count an answer to what was asked at ``asked_us`` of the own monotonic clock."""
        self.looked(agent_id, answer)
        if asked == self.candidate:
            until_us = asked_us + round(self.term_ms * 1000 * SHORTER)
            self._until_us[agent_id] = max(self._until_us[agent_id], until_us) if answer.is_granted else 0

    def until_us(self) -> int:
        """Until when a majority stands; 0: none does. [us]"""
        return sorted(self._until_us.values(), reverse=True)[self.majority - 1]

    def leads(self, now_us: int) -> bool:
        """Whether this controller leads now."""
        return now_us < self.until_us()

    def holder(self) -> str:
        """The controller that a majority of the agents follows; empty: none."""
        holders = list(self._holder.values())
        return next((name for name in set(holders) if name and holders.count(name) >= self.majority), "")

    def answered(self) -> int:
        """Agents that have said who leads them."""
        return sum(holder is not None for holder in self._holder.values())

    def is_beaten(self) -> bool:
        """Whether a majority knows a higher epoch, so that the own one can have none any more."""
        return sum(highest > self.epoch for highest in self._highest.values()) >= self.majority
