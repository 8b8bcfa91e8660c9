"""A network of twelve small sites whose agents measure users and energy, with days at full service behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from controller.live.building import NOTHING_RESUMED, make_core
from controller.live.core import LiveCore, Resumed
from controller.live.events import Matched, RolledBack
from controller.live.kpi_file import RowFile
from controller.live.kpi_rows import Row, rows_of
from hw.adapters.radio import Report
from tests.controller.live.doubles import MORNING_S, AgentDouble, Harness, live_config

SITES, TICK_S = 12, 900
CELLS = [f"s{site}-{kind}" for site in range(SITES) for kind in ("c", "k")]
LOAD = (0.03, 0.02)  # of the coverage and the capacity cell of a site
NOISE = 0.02  # of the log of measured throughput
TICK = MORNING_S // TICK_S
CELLS_CSV = "cell_id,site_id,role,candidates,time_zone\n" + "".join(
    f"s{site}-c,s{site},coverage,,UTC\ns{site}-k,s{site},capacity,s{site}-c,UTC\n" for site in range(SITES)
)


@dataclass
class MeasuringAgent(AgentDouble):
    """Measures throughput as the tables have it, with noise, and energy by the level."""

    core: Any = None
    slower: float = 0.0  # share that users lose
    is_blind: bool = False  # measures neither
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    def report(self, now_us: int, carried: Sequence[float] | None) -> Report:
        report = super().report(now_us, carried)
        if self.is_blind or not report.carried.size:
            return report
        tables = self.core.canaries.facts.tables
        level = np.array([self.level(place) for place in range(len(self.cell_id))])
        free = tables.full_rate * (tables.rate[0, level] - report.carried[:, 0])
        noise = np.exp(NOISE * self.random.standard_normal(len(level)))
        throughput = np.where(report.carried[:, 0] > 0, free * noise * (1 - self.slower), np.nan)
        energy = np.where(level >= 5, 0.5, 4.0 - 0.5 * level)
        return replace(
            report,
            throughput=throughput.astype(np.float32)[:, None],
            energy_wh=energy.astype(np.float32)[:, None],
        )


def past_rows(days: float, *, until_tick: int = TICK, seed: int = 3) -> list[Row]:
    """Ticks at full service up to a tick."""
    random, n = np.random.default_rng(seed), len(CELLS)
    load = np.tile(LOAD, SITES)
    return [
        Row(
            tick,
            np.zeros(n, np.bool_),
            (load * np.exp(0.05 * random.standard_normal(n))).astype(np.float16),
            (NOISE * random.standard_normal(n)).astype(np.float16),
            (52.5 * np.exp(0.01 * random.standard_normal(n))).astype(np.float16),
        )
        for tick in range(until_tick - round(days * 96), until_tick)
    ]


def keep(folder: Path, rows: Sequence[Row], run: int = 1) -> Path:
    path = folder / "journal.db.kpi"
    RowFile(path, rows_of(CELLS, TICK_S), run, 30).append(rows)
    return path


def watched_core(folder: Path, days: float = 8, resumed: Resumed | None = None, **ladder: Any) -> LiveCore:
    """A core at the stage canary with so many days behind it, unless it resumes from what is there."""
    (folder / "cells.csv").write_text(CELLS_CSV)
    agents = [{"id": f"site-{site}", "address": "127.0.0.1:1"} for site in range(SITES)]
    if resumed is None:
        resumed = replace(NOTHING_RESUMED, highest_epoch=1, rows_at=keep(folder, past_rows(days)))
    told = {"stage": "canary"} | (ladder or {"canaries": CELLS[:4]})
    return make_core(live_config(folder, agents=agents, ladder=told), resumed)


def watched(core: LiveCore, until_s: int = 0) -> Harness:
    """Agents around a core, connected, and run for a time."""
    agents = [
        MeasuringAgent(f"site-{site}", tuple(CELLS[2 * site : 2 * site + 2]), (False, True), core=core)
        for site in range(SITES)
    ]
    harness = Harness(core, agents, lambda second: LOAD * SITES)
    harness.connect()
    harness.run(until_s)
    return harness


def levels(harness: Harness) -> list[int]:
    """As the plants have them."""
    return [a.level(p) for a in harness.agents.values() for p in range(len(a.cell_id))]


def said(harness: Harness, kind: type[Matched] | type[RolledBack]) -> list[Any]:
    return [record for _, out in harness.outputs for record in out.durable if isinstance(record, kind)]


def slow(harness: Harness, *sites: int, share: float) -> None:
    """Users of these sites lose a share from now on."""
    for site in sites:
        agent = harness.agents[f"site-{site}"]
        assert isinstance(agent, MeasuringAgent)
        agent.slower = share
