"""A small lab in virtual time: a core, agent doubles that keep leases, and the simulated plant with its physics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from controller.live.building import NOTHING_RESUMED, make_core
from controller.live.config import LiveConfig
from controller.live.events import GuardTick, PlanTick, Reported
from controller.live.kpi_file import RowFile
from controller.live.kpi_rows import Row
from controller.live.savings import full_service_wh
from controller.sim.assign import assign_evenly
from controller.sim.building import PlantModel, build_plant, trace_start_us
from controller.worlds import world_for
from hw.adapters.radio import Answers, CommandBatch, Inventory, Report, WakeBatch
from hw.ports import RadioSetting
from hw.sim_plant.plant import PlantSim
from tests.controller.live import doubles
from tests.controller.live.doubles import FULL, SECOND_US, AgentDouble, Harness
from traces.synthesis import SynthSpec, generate
from traces.trace import Trace
from traces.writers.tidy import write_tidy

FAR_US = 10**15
TICK_S = 900


class HandClock:
    """Shows what the harness says."""

    def __init__(self, start_us: int) -> None:
        self.start_us, self.now_us = start_us, 0

    def monotonic_us(self) -> int:
        return self.now_us

    def unix_us(self) -> int:
        return self.start_us + self.now_us


@dataclass
class PlantAgent(AgentDouble):
    """Keeps leases as its parent does; its cells are those of the plant."""

    plant: PlantSim = field(kw_only=True)
    clock: HandClock = field(kw_only=True)
    orders: int = 0
    seen: int = 0  # last sample
    at: dict[int, int] = field(default_factory=dict)  # place -> level that was ordered

    def inventory(self) -> Inventory:
        return replace(super().inventory(), abilities=self.plant.describe_radio(self.agent_id))

    def command(self, batch: CommandBatch, now_us: int) -> Answers:
        answers = super().command(batch, now_us)
        self._order()
        return answers

    def wake(self, batch: WakeBatch) -> Answers:
        answers = super().wake(batch)
        self._order()
        return answers

    def report(self, now_us: int, carried: Sequence[float] | None) -> Report:
        self._order()  # leases may be over
        found = self.plant.read_radio(self.agent_id, self.seen, self.clock.now_us)
        report, self.seen = super().report(now_us, None), found.last_sample
        measured = {name: getattr(found, name) for name in ("carried", "throughput", "energy_wh")}
        end_us = int(found.end_unix_us[-1]) if len(found.end_unix_us) else now_us
        return replace(report, measured_unix_us=end_us, level=found.level, **measured)

    def _order(self) -> None:
        wanted = {place: self.level(place) for place in range(len(self.cell_id))}
        cells = [place for place, level in wanted.items() if level != self.at.get(place, FULL)]
        if cells:
            self.orders += 1
            level = np.array([wanted[place] for place in cells], np.uint8)
            until = np.full(len(cells), FAR_US)
            setting = RadioSetting(np.array(cells), level, until, np.zeros(len(cells), np.bool_))
            self.plant.apply_radio(self.agent_id, setting, self.orders, self.clock.now_us)
            self.at = wanted


class Trial(Harness):
    """The lab, with days at full service behind it."""

    def __init__(self, folder: Path, monkeypatch: Any, *, sites: int, ladder: dict[str, Any]) -> None:
        network = generate(SynthSpec(n_sites=sites, days=1, seed=4))
        trace = Trace(
            source=network.source,
            cells=network.cells,
            start=network.start,
            step_s=network.step_s,
            time_zone=network.time_zone,
            dl_prb_ratio=network.dl_prb_ratio,
        )
        write_tidy(trace, folder / "trace")
        agents = assign_evenly(trace.cells.site_id, None)
        model = build_plant(trace, world_for(None, trace), agents, seed=1)
        self.clock = HandClock(trace_start_us(trace))
        monkeypatch.setattr(doubles, "MORNING_S", self.clock.start_us // SECOND_US)
        self.plant = model.start(self.clock)
        config = {
            "schema": "quietcell.live/1",
            "controller": "edge-1",
            "agents": [{"id": name, "address": "127.0.0.1:1"} for name in agents.agents],
            "trace": str(folder / "trace"),
            "policy": "threshold",
            "journal": str(folder / "journal.db"),
            "ladder": ladder,
        }
        told = LiveConfig.model_validate(config)
        facts = make_core(told).canaries.facts
        rows_at = folder / "journal.db.kpi"
        RowFile(rows_at, facts.rows_of, 0, 30).append(_past(model, facts, self.clock.start_us))
        core = make_core(told, replace(NOTHING_RESUMED, rows_at=rows_at))
        doubles_of = [
            PlantAgent(
                name,
                tuple(trace.cells.cell_id[agents.agent_of_cell == k].tolist()),
                (True,) * int((agents.agent_of_cell == k).sum()),
                plant=self.plant,
                clock=self.clock,
            )
            for k, name in enumerate(agents.agents)
        ]
        super().__init__(core, doubles_of, lambda second: ())
        self.connect()

    def run(self, until_s: int, *, plans: bool = True) -> None:
        """Reports every 20 s, guard ticks after them, plan ticks after samples."""
        while self.now_s < until_s:
            self.now_s += 20
            self.clock.now_us = self.now_s * SECOND_US
            for agent in self.agents.values():
                agent.expire(self.now_us)
                self.feed(Reported(agent.report(self.now_us, None)))
            if plans and self.now_s % TICK_S == 0:
                self.clock.now_us += 2 * SECOND_US
                self.feed(PlanTick(self.now_us + 2 * SECOND_US))
            self.clock.now_us += SECOND_US
            self.feed(GuardTick(self.now_us + 3 * SECOND_US))


def _past(model: PlantModel, facts: Any, start_us: int) -> list[Row]:
    """Eight days of the same traffic at full service, as the plant's counters show them."""
    path, random = model.radio.path, np.random.default_rng(6)
    by_tick = path.reshape(len(path), -1, TICK_S // 60).mean(2, dtype=np.float64)
    first = start_us // (TICK_S * SECOND_US) - 8 * by_tick.shape[1]
    energy = full_service_wh(facts)(by_tick, np.arange(len(path))) * model.watt_per_unit
    none = np.zeros(len(path), np.bool_)
    return [
        Row(
            first + t,
            none,
            by_tick[:, t % by_tick.shape[1]].astype(np.float16),
            (0.001 * random.standard_normal(len(path))).astype(np.float16),
            energy[:, t % by_tick.shape[1]].astype(np.float16),
        )
        for t in range(8 * by_tick.shape[1])
    ]
