"""To which controller an agent has granted its leadership, and until when.

::

    nobody's --ask, higher epoch--> held --term over, given up--> nobody's
                                     | ^
                                     +-+ ask by its holder with the same epoch

An epoch is granted to one instance of one controller only, also over restarts: epoch and holder are on disk before a
grant is answered. An instance is one start of one process, so that two processes with one configuration are two.
As the agent's clock starts anew with each boot, a grant from before counts for its whole term from the first look on.
An agent whose highest epoch was never granted follows the highest one it hears, as one controller alone needs no more.
A leader that says it leads by grants, as others elected it, is obeyed from its first grant on; it may get one late.
"""

from __future__ import annotations

from dataclasses import replace

from hw.adapters.wire import Candidate, Leadership
from hw.agents.durable import Durable

LONGEST_TERM_MS = 300_000


class Grants:
    """The grant of one boot of an agent."""

    def __init__(self, durable: Durable) -> None:
        """``durable``: what the boot before left on disk."""
        self._is_known = (
            not durable.granted_to
        )  # until when it holds, which a new boot does not before its first look
        self._until_us = 0

    def left_us(self, durable: Durable, now_us: int) -> int:
        """Time left of the grant. [us]"""
        if not self._is_known:
            self._is_known, self._until_us = True, now_us + durable.grant_ms * 1000
        return max(0, self._until_us - now_us)

    def is_free(self, durable: Durable, now_us: int) -> bool:
        """Whether nobody holds the grant now."""
        return not self.left_us(durable, now_us)

    def follows(self, durable: Durable, epoch: int, controller_id: str, now_us: int) -> bool:
        """Whether a controller may lead with an epoch: no higher one is known, and nobody else holds the grant."""
        if epoch > durable.highest_epoch:
            return self.is_free(durable, now_us)
        return epoch == durable.highest_epoch and durable.granted_to in ("", controller_id)

    def has_lapsed(self, durable: Durable, now_us: int) -> bool:
        """Whether the highest epoch was granted for a term that is over."""
        return bool(durable.granted_to) and self.is_free(durable, now_us)

    def stand(self, durable: Durable, now_us: int, *, is_granted: bool = False) -> Leadership:
        """How leadership stands."""
        left_ms = -(-self.left_us(durable, now_us) // 1000)
        return Leadership(is_granted, durable.highest_epoch, durable.granted_to if left_ms else "", left_ms)

    def ask(self, durable: Durable, who: Candidate, term_ms: int, now_us: int) -> tuple[Leadership, Durable]:
        """Grant leadership or refuse it; with what has to be on disk before the answer is given."""
        is_holder = _is_holder(durable, who)
        may_hold = who.epoch > durable.highest_epoch or _is_led_by(durable, who)
        if not is_holder and not (may_hold and self.is_free(durable, now_us)):
            return self.stand(durable, now_us), durable
        term_ms = min(term_ms, LONGEST_TERM_MS)
        left_us = self.left_us(durable, now_us) if is_holder else 0
        self._is_known, self._until_us = True, now_us + max(left_us, term_ms * 1000)
        longest_ms = max(term_ms, durable.grant_ms if is_holder else 0)
        if not is_holder or longest_ms > durable.grant_ms:
            durable = replace(
                durable,
                highest_epoch=who.epoch,
                granted_to=who.controller_id,
                granted_instance=who.instance_id.hex(),
                grant_ms=longest_ms,
            )
        return self.stand(durable, now_us, is_granted=True), durable

    def give_up(self, durable: Durable, who: Candidate) -> None:
        """The holder needs it no more."""
        if _is_holder(durable, who):
            self._is_known, self._until_us = True, 0


def _is_led_by(durable: Durable, who: Candidate) -> bool:
    """Whether a leader that others elected has opened a stream here, and was not granted anything yet."""
    led = durable.highest_epoch, durable.granted_to, durable.granted_instance
    return led == (who.epoch, who.controller_id, "")


def _is_holder(durable: Durable, who: Candidate) -> bool:
    held = durable.highest_epoch, durable.granted_to, durable.granted_instance
    return held == (who.epoch, who.controller_id, who.instance_id.hex())
