"""The controller process of the live benchmark: ``serve`` of ``quietcell run``, with a watch around its core.

.venv/bin/python -m benchmarks.live_controller SETUP.json LIVE.yaml      # writes results.npz into the setup's folder
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.live_setup import TICK_S, Setup, read_setup
from controller.live import process
from controller.live.building import make_core
from controller.live.config import LiveConfig, load_live
from controller.live.core import LiveCore, Resumed
from controller.live.events import Answered, Event, GuardTick, Output, PlanTick, Reported
from controller.live.power import building
from hw.adapters.radio import CommandBatch, Outcome, WakeBatch

TICK_US = TICK_S * 1_000_000
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


class Sent:
    """Commands to the cells of one agent that wait for their answer."""

    def __init__(self, n_cells: int) -> None:
        self.revision = np.zeros(n_cells, np.uint64)
        self.since_ns = np.zeros(n_cells, np.int64)
        self.kind = np.zeros(n_cells, np.int8)
        self.observed_us = 0  # when it made the report that completed a planning interval
        self.observed_tick = -1


class Kept:
    """Figures in memory that is there from the start, so that keeping them does not look like a leak."""

    def __init__(self, most: int) -> None:
        self._values, self._count = np.full(most, np.nan, np.float32), 0

    def add(self, values: NDArray[np.float64]) -> None:
        """Keep some more; those beyond the room are left out."""
        fits = values[: len(self._values) - self._count]
        self._values[self._count : self._count + len(fits)] = fits
        self._count += len(fits)

    @property
    def values(self) -> NDArray[np.float32]:
        """All that was kept."""
        return self._values[: self._count]


PLANNED, WOKEN = (
    1,
    2,
)  # kinds of commands: of a plan, measured from the observation; wakes, from their decision


class WatchedCore:
    """A live core that is timed from outside."""

    def __init__(self, core: LiveCore, setup: Setup) -> None:
        self.core, self._setup = core, setup
        self._sent = {agent.agent_id: Sent(setup.cells_per_agent) for agent in core.fleet.agents}
        room = setup.n_cells * (setup.ticks // setup.change_every + 1)
        self.observed_ms, self.woken_ms = Kept(room), Kept(2 * room)
        self.decision_ms, self.rss_mb = Kept(setup.ticks), Kept(setup.ticks)
        self.sending_ms = Kept(setup.ticks)  # from a decision to the last answer
        self.counts = dict.fromkeys(
            ("plan", "guard", "reports", "commanded", "woken", "late", "unplanned", "refused", "replaced"), 0
        )
        self.began_s = self.ended_s = 0.0
        self._all_plans, self._decided_ns, self._answered_ns = 0, 0, 0

    def __getattr__(self, name: str) -> Any:
        """All else is the core's own."""
        return getattr(self.core, name)

    @property
    def _is_measured(self) -> bool:
        return self._setup.warm_ticks < self._all_plans <= self._setup.warm_ticks + self._setup.ticks

    def feed(self, event: Event) -> Output:
        """Feed the core and note what that took."""
        if isinstance(event, Reported):
            self._observed(event)
        began_ns = time.monotonic_ns()
        output = self.core.feed(event)
        now_ns = time.monotonic_ns()
        if isinstance(event, PlanTick):
            self._planned(event, output, began_ns, now_ns)
        elif isinstance(event, GuardTick):
            self.counts["guard"] += self._is_measured
            batches = (*output.urgent, *output.commands)
            self.counts["unplanned"] += self._is_measured and sum(len(batch.cell) for _, batch in batches)
        elif isinstance(event, Answered):
            self._answered(event, now_ns)
        self.counts["reports"] += self._is_measured and isinstance(event, Reported)
        for agent_id, wakes in output.wakes:
            if self._setup.is_flood or not isinstance(event, PlanTick):
                self._expect(agent_id, wakes, began_ns, WOKEN)
                self.counts["woken"] += self._is_measured and len(wakes.cell)
        return output

    def _observed(self, event: Reported) -> None:
        report = event.report
        if report.carried.shape[1] and report.measured_unix_us % TICK_US == 0:
            sent = self._sent[report.agent_id]
            sent.observed_us, sent.observed_tick = report.monotonic_us, report.measured_unix_us // TICK_US

    def _planned(self, event: PlanTick, output: Output, began_ns: int, now_ns: int) -> None:
        if self._decided_ns and self._answered_ns > self._decided_ns and self._is_measured:
            self.sending_ms.add(np.array([(self._answered_ns - self._decided_ns) / 1e6]))
        self._decided_ns = 0
        self._all_plans += 1
        if self._is_measured:
            self.began_s = self.began_s or time.monotonic()
            self.counts["plan"] += 1
            self.decision_ms.add(np.array([(now_ns - began_ns) / 1e6]))
            self.rss_mb.add(np.array([_rss_mb()]))
        elif self.counts["plan"] >= self._setup.ticks and not self.ended_s:
            self.ended_s = time.monotonic()
            os.kill(os.getpid(), signal.SIGTERM)
        batches: list[tuple[str, CommandBatch | WakeBatch]] = [*output.urgent, *output.commands]
        batches += [] if self._setup.is_flood else output.wakes
        for agent_id, batch in batches:
            sent = self._sent[agent_id]
            is_late = sent.observed_tick != event.unix_us // TICK_US
            since_ns = round(sent.observed_us * 1000 / self._setup.speed)
            self._expect(agent_id, batch, since_ns, 0 if is_late else PLANNED)
            self.counts["late"] += is_late and self._is_measured and len(batch.cell)
            self.counts["commanded"] += self._is_measured and len(batch.cell)
            self._decided_ns = now_ns

    def _expect(self, agent_id: str, batch: CommandBatch | WakeBatch, since_ns: int, kind: int) -> None:
        sent = self._sent[agent_id]
        self.counts["replaced"] += int((sent.kind[batch.cell] == PLANNED).sum())  # before its answer came
        is_again = (sent.kind[batch.cell] == WOKEN) & (kind == WOKEN)  # the first wake of a cell counts
        sent.since_ns[batch.cell] = np.where(is_again, sent.since_ns[batch.cell], since_ns)
        sent.revision[batch.cell] = batch.revision
        sent.kind[batch.cell] = kind if self._is_measured else 0

    def _answered(self, event: Answered, now_ns: int) -> None:
        answers, sent = event.answers, self._sent[event.agent_id]
        fits = sent.revision[answers.cell] == answers.revision
        applied = fits & (answers.outcome == Outcome.APPLIED)
        self.counts["refused"] += int((fits & (answers.outcome > Outcome.APPLIED)).sum())
        for kind, kept in ((PLANNED, self.observed_ms), (WOKEN, self.woken_ms)):
            cells = answers.cell[applied & (sent.kind[answers.cell] == kind)]
            kept.add((now_ns - sent.since_ns[cells]) / 1e6)
            sent.kind[cells] = 0
            if kind == PLANNED and len(cells):
                self._answered_ns = now_ns

    def save(self, path: Path) -> None:
        """Write all figures."""
        figures = {
            name: getattr(self, name).values
            for name in ("observed_ms", "woken_ms", "decision_ms", "rss_mb", "sending_ms")
        }
        about = json.dumps(self.counts | {"seconds": self.ended_s - self.began_s})
        np.savez(path, about=np.array(about), **figures)


def _rss_mb() -> float:
    """Resident memory of this process. [MB]"""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


def main() -> None:
    """Run the controller to the end of the measured ticks."""
    setup, config = read_setup(Path(sys.argv[1])), load_live(Path(sys.argv[2]))
    sys.path.append(str(Path(setup.folder) / "plug-in"))
    made: list[WatchedCore] = []

    def make(config: LiveConfig, resumed: Resumed, **known: Any) -> Any:
        made.append(WatchedCore(make_core(config, resumed, **known), setup))
        return made[-1]

    def tell(what: str, /, **about: Any) -> None:
        print(json.dumps({"event": what, **about}), file=sys.stderr, flush=True)

    building.make_core = make
    code, is_closed = asyncio.run(process.serve(config, setup.clock(), tell, insecure=False))
    made[0].save(Path(setup.folder) / "results.npz")
    raise SystemExit(0 if code == 0 and is_closed else 1)


if __name__ == "__main__":
    main()
