"""Has savings told after each plan, in a thread of their own, for whoever asks and for the metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from controller.live.canary_watch import CanaryWatch
from controller.live.events import Event, Output, PlanTick
from controller.live.own_energy import OwnPower
from controller.live.savings import Seen, tell
from hw.adapters.control import SavingsStatus

REST = 50  # times as long as telling took, before it is told again


class SavingsDesk:
    """Told by the loop; hands on what it finds."""

    def __init__(
        self,
        canaries: CanaryWatch,
        regions: Mapping[str, tuple[str, ...]],
        own: Callable[[], OwnPower],
        hand_on: Callable[[SavingsStatus], None],
    ) -> None:
        self._canaries, self._own, self._hand_on = canaries, own, hand_on
        self._regions = {name: frozenset(sites) for name, sites in regions.items()}
        self._task: asyncio.Task[None] | None = None
        self._rests_until_s = 0.0

    def fed(self, event: Event, _output: Output, _took_s: float) -> None:
        """An event was fed, and the core is not being fed."""
        is_busy = self._task is not None and not self._task.done()
        if not isinstance(event, PlanTick) or is_busy or time.monotonic() < self._rests_until_s:
            return
        canaries = self._canaries
        matching = None if canaries.armed is None else canaries.armed.matching
        seen = Seen(canaries.facts, tuple(canaries.rows), matching, self._regions, self._own())
        self._task = asyncio.ensure_future(self._tell(seen))

    async def _tell(self, seen: Seen) -> None:
        began_s = time.monotonic()
        try:
            found = await asyncio.to_thread(tell, seen)
        except Exception as error:  # it must not end a controller, and who asks is told
            found = SavingsStatus(0, 0, 0, 0, f"{type(error).__name__}: {error}")
        now_s = time.monotonic()
        self._rests_until_s = now_s + REST * (now_s - began_s)
        self._hand_on(found)
