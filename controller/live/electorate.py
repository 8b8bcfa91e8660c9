"""Whom the agents say they follow, counted over all that vote in an election: every configured agent, of both kinds."""

from __future__ import annotations

from collections.abc import Callable

from controller.live.events import Output
from controller.live.term import majority_of


class Electorate:
    """How many agents follow a later leader. A controller leads, as far as they can say, until most of them do."""

    def __init__(self, n_agents: int) -> None:
        """``n_agents``: that are configured, whether they are ever heard or not."""
        self._majority, self.others = majority_of(n_agents), 0
        # told, with the output of the event and the time, when the majority is lost or found [us]
        self.changed: Callable[[Output, int], None] = lambda _out, _now_us: None

    @property
    def leads(self) -> bool:
        """Whether no majority follows a later leader."""
        return self.others < self._majority

    def count(self, follows_other: bool, out: Output, now_us: int) -> None:
        """One more agent follows a later leader, or one less."""
        led = self.leads
        self.others += 1 if follows_other else -1
        if self.leads != led:
            self.changed(out, now_us)
