"""What is made of each step of the loop for those who look on: alarm book, metrics, supervisor.

::

    loop: event fed, output carried out --> Watcher --> state of the last tick, alarm book   (asked over gRPC)
                                                   +--> metrics                              (scraped over HTTP)
                                                   +--> systemd: alive, after a guard tick

Nothing here decides anything, and the supervisor hears of a guard tick only: a core that hangs is restarted by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from controller.live.alarm_book import AlarmBook
from controller.live.events import Alarm, Event, GuardTick, Output, PlanTick
from controller.live.looking import CoreState
from controller.live.metrics import Metrics
from controller.live.telling import Tell, Value
from controller.live.watchdog import ALIVE, READY, STOPPING, Notifier
from hw.ports import HostClock

NOT_READY = "readiness"  # what the alarm of a controller that is not ready is about


class Watcher:
    """Told by the loop, asked by the others."""

    def __init__(
        self,
        look: Callable[[int], CoreState],
        clock: HostClock,
        notifier: Notifier,
        metrics: Metrics | None,
    ) -> None:
        """``look`` copies the core's state at a time (Unix) [us]."""
        self.book = AlarmBook()
        self.state: CoreState | None = None  # as of the last tick
        self._ticked = asyncio.Event()  # a new one after each tick
        self.is_ready, self.not_ready_cause = False, "it starts"
        self._look, self._clock, self._notifier, self.metrics = look, clock, notifier, metrics

    def fed(self, event: Event, output: Output, took_s: float) -> None:
        """An event was fed and its output carried out; the core is not being fed."""
        for record in output.durable:
            if isinstance(record, Alarm):
                self.book.take(record)
        if isinstance(event, GuardTick | PlanTick):
            self.state = self._look(event.unix_us)
        if self.metrics is not None:
            self.metrics.fed(event, output, took_s)
            if self.state is not None and isinstance(event, GuardTick | PlanTick):
                self.metrics.saw(self.state)
                self.metrics.stand(self.book)
        if isinstance(event, GuardTick | PlanTick):
            self._ticked.set()
            self._ticked = asyncio.Event()
        if isinstance(event, GuardTick):
            self._notifier.tell(ALIVE)

    def telling(self, tell: Tell) -> Tell:
        """Tells on, and listens to what concerns the loop itself."""

        def told(what: str, /, **about: Value) -> None:
            if what == "ready":
                self._ready(bool(about["ready"]), str(about["cause"]))
            elif what == "ticks_missed" and self.metrics is not None:
                self.metrics.missed(str(about["kind"]), int(about["count"] or 0))
            tell(what, **about)

        return told

    def serving_ready(
        self, set_ready: Callable[[bool], Awaitable[None]]
    ) -> Callable[[bool], Awaitable[None]]:
        """Sets readiness on, and tells the supervisor and the metrics."""

        async def ready(is_ready: bool) -> None:
            self.is_ready = is_ready
            if self.metrics is not None:
                self.metrics.ready.set(is_ready)
            if is_ready:
                self._notifier.tell(READY)
            await set_ready(is_ready)

        return ready

    def appended(self, took_s: float, failed: bool) -> None:
        """The journal was written, or could not be. Called in the journal's thread."""
        if self.metrics is not None:
            self.metrics.appended(took_s, failed)

    async def next_tick(self) -> None:
        """Wait until a tick has been carried out."""
        await self._ticked.wait()

    def close(self, *, stops: bool) -> None:
        """Leading is over. ``stops``: so is the process; who goes on to stand by must not be taken for stopping."""
        if stops:
            self._notifier.tell(STOPPING)
        self._notifier.close()

    def _ready(self, is_ready: bool, cause: str) -> None:
        self.not_ready_cause = cause
        now_us = self._clock.unix_us()
        alarm = None if is_ready else Alarm(now_us, "critical", NOT_READY, f"no sleep is commanded: {cause}")
        self.book.only(NOT_READY, alarm, now_us)
        if self.metrics is not None:
            self.metrics.stand(self.book)
