"""How long a decision takes for ten thousand cells, and how that grows. One JSON object a line.

    .venv/bin/python -m benchmarks.decide_latency [--ticks 1000]

``plan_ms_p99``: one whole ``tick()`` of the controller with the shipped profile and the guard loop: take in the tick
that ended, forecast, plan, guard and weigh 10,000 cells over 96 coming ticks; ``counterfactual_ms`` is the middle time
of the weighing alone. ``guard_ms_p99``: one minute of the guard loop for the same cells. All over 1,000 ticks of
made-up traffic with the form of a day, with groups of three over a fifth of that. ``scaling_exponent``: of the time of
a tick at the shipped horizon from 1,000 to 100,000 cells. The peer of each row is its bar: there is no other program
that takes the same decisions.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from benchmarks.rows import print_row
from benchmarks.symbol_masks import print_masks
from controller.config import load_profile
from controller.forecast.samples import Forecaster
from controller.tick import Controller, Observation
from controller.worlds import load_world
from hw.tables import Tables, pack
from policies.counterfactual import Counterfactual, Counterfactuals
from policies.guards import Guards
from policies.network import Network, build_network
from policies.policy import Allowance
from policies.predictive import PredictivePlanner
from policies.profile import Profile
from policies.surge import SurgeGuard

N_CELLS, HORIZON = 10_000, 96
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
TICK_S, SAMPLE_S = 900, 60
PER_TICK = TICK_S // SAMPLE_S
WARM_TICKS = 4
START = np.datetime64("2025-03-03T00:00:00")


class Weighing(Counterfactuals):
    """Counterfactuals, with the time that each took. [s]"""

    took: list[float]

    def of(self, *given: Any) -> Counterfactual:
        """As the base class."""
        began = time.perf_counter()
        found = super().of(*given)
        self.took.append(time.perf_counter() - began)
        return found


class Loop:
    """Controller and guard loop of a network on traffic of its own; ``turn`` runs one tick of both."""

    def __init__(self, n_cells: int, horizon_ticks: int, coupled_share: float) -> None:
        world = load_world("3gpp-cat1-set1")
        profile = _with_horizon(load_profile(None), horizon_ticks)
        service = world.evaluation.service
        self.tables: Tables = pack(
            world.world,
            sample_s=SAMPLE_S,
            target_mbit_s=service.target_mbit_s,
            target_share=service.target_share_of_none,
        )
        self.network = network = _network(world.world, n_cells, coupled_share)
        settings = profile.predictive.model_copy(
            update={"risk_price": profile.surge.risk_price, "off_air_after_h": 0.0}
        )
        planner = PredictivePlanner(network, self.tables, settings, samples_per_tick=PER_TICK, watched=True)
        self.weighing = Weighing(network, self.tables, self.tables.wake_samples * np.float32(SAMPLE_S))
        self.weighing.took = []
        self.controller = Controller(
            network,
            self.tables,
            planner,
            Guards(network, self.tables.asleep, profile.guards),
            Forecaster(n_cells, profile.forecast, sample_s=SAMPLE_S, tick_s=TICK_S),
            tick_s=TICK_S,
            time_zone="UTC",
            allowance=Allowance(service.below_target_share, service.cell_below_target_share),
            counterfactuals=self.weighing,
        )
        self.guard = SurgeGuard(network, self.tables, profile, sample_s=SAMPLE_S)
        self._rng = np.random.default_rng(0)
        self._size = self._rng.lognormal(-2.5, 0.6, (n_cells, 1)).astype(np.float32)
        self._at, self._observation = 0, None

    def turn(self) -> tuple[float, list[float]]:
        """Seconds of the tick, and of each minute of the guard loop in it."""
        now = START + np.timedelta64(self._at * TICK_S, "s")
        began = time.perf_counter()
        commands = self.controller.tick(self._observation, now)
        took = time.perf_counter() - began
        offered = self._offered()
        self.guard.begin(commands.level, commands.forecast, commands.risk)
        served, minutes = np.zeros(offered.shape, np.uint8), []
        last = offered[:, 0]
        for t in range(PER_TICK):
            began = time.perf_counter()
            served[:, t] = self.guard.watch(last)
            minutes.append(time.perf_counter() - began)
            last = np.minimum(offered[:, t], self.tables.capacity[self.network.groups.model, served[:, t]])
            offered[:, t] = last
        self._observation = Observation(offered, commands.level, served)
        self._at += 1
        return took, minutes

    def _offered(self) -> np.ndarray:
        """Traffic of one tick: a day's form, and noise. (n, samples) [ratio]"""
        hour = (self._at % 96) / 4
        form = 0.25 + np.sin(np.pi * hour / 24) ** 2
        noise = self._rng.normal(0, 0.3, (len(self._size), PER_TICK)).astype(np.float32)
        return np.minimum(self._size * form * np.exp(noise), 1).astype(np.float32)


def _with_horizon(profile: Profile, ticks: int) -> Profile:
    return profile.model_copy(
        update={"forecast": profile.forecast.model_copy(update={"horizon_ticks": ticks})}
    )


def _network(world, n_cells: int, coupled_share: float) -> Network:  # type: ignore[no-untyped-def]
    """Sectors of one coverage cell and two capacity cells on top of it, and cells that stand alone."""
    sectors = int(n_cells * coupled_share / 3)
    counts, candidate = np.zeros(n_cells, np.int32), []
    for s in range(sectors):
        counts[3 * s + 1], counts[3 * s + 2] = 1, 2
        candidate += [3 * s, 3 * s, 3 * s + 1]
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    model = np.zeros(n_cells, np.int32)
    return build_network(world, model, counts > 0, start, np.array(candidate, np.int32))


def timed(loop: Loop, ticks: int) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of each tick and of each minute, without the first ones, in which kernels load."""
    for _ in range(WARM_TICKS):
        loop.turn()
    turns = [loop.turn() for _ in range(ticks)]
    return np.array([t for t, _ in turns]) * 1e3, np.array([m for _, all_m in turns for m in all_m]) * 1e3


def main() -> None:
    """Print all rows."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ticks", type=int, default=1000)
    ticks = arguments.parse_args().ticks
    for name, share, n_ticks in (("", 0.0, ticks), ("_three_layers", 0.6, max(5, ticks // 5))):
        loop = Loop(N_CELLS, HORIZON, share)
        plan, minute = timed(loop, n_ticks)
        about = f"{N_CELLS} cells, {100 * share:.0f} % in groups of three, {n_ticks} ticks, p50 "
        print_row(
            f"plan_ms_p99{name}",
            float(np.quantile(plan, 0.99)),
            "ms",
            f"{about}{np.median(plan):.1f} ms, horizon {HORIZON} ticks",
            bar=("<=", 250.0),
        )
        print_row(
            f"guard_ms_p99{name}",
            float(np.quantile(minute, 0.99)),
            "ms",
            f"{about}{np.median(minute):.2f} ms",
            bar=("<=", 5.0),
        )
        weighed = 1e3 * np.array(loop.weighing.took[WARM_TICKS:])
        print_row(
            f"counterfactual_ms{name}",
            float(np.median(weighed)),
            "ms",
            f"{about}{np.median(weighed):.2f}, p99 {np.quantile(weighed, 0.99):.2f} ms",
        )
    shipped = load_profile(None).forecast.horizon_ticks
    times = [float(np.median(timed(Loop(n, shipped, 0.0), max(5, ticks // 50))[0])) for n in SIZES]
    slope = float(np.polyfit(np.log(SIZES), np.log(times), 1)[0])
    listed = ", ".join(f"{n}: {t:.1f} ms" for n, t in zip(SIZES, times, strict=True))
    print_row("scaling_exponent", slope, "power of the cells", f"median tick, {listed}", bar=("<=", 1.05))
    print_masks()


if __name__ == "__main__":
    main()
