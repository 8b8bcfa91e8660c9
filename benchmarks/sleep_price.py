"""What it saves to sleep deeper where a kWh costs more, at the same limits: ``sleep_by: price`` over ``energy``.

    QUIETCELL_DATA=folder .venv/bin/python -m benchmarks.sleep_price [--guard] [--every N]

``predictive`` plans recorded networks twice, the second time told the prices of a tariff, whose midnight is that of the
trace. Gain is energy cost saved over the cost of the first plan; the interval is a bootstrap over cells. Beside it the
energy, and what each plan spent of the below-target limit.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import data_folder, print_row
from benchmarks.site_scenes import CASES, Case, case_prices
from controller.config import load_profile
from controller.energy_price import EnergyPrices
from controller.localtime import local_time
from controller.replay.figures import service_figures
from controller.replay.run import run_policy
from controller.replay.scene import make_clock
from controller.replay.stage import Stage, Task
from controller.worlds import world_for
from traces import Trace
from traces.reading import read_trace

NETWORKS = {"itu": "itu5g_energy", "br": "lte_br4", "vn": "lte_vn3"}
TARIFFS = ("cn", "tou3", "be")
WORLD, DRAWS = "3gpp-cat1-set1", 2000
Float64 = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--guard", action="store_true", help="with the guard loop")
    parser.add_argument("--every", type=int, default=1, help="only every Nth cell; default all")
    asked = parser.parse_args()
    for name, folder in NETWORKS.items():
        trace = read_trace(data_folder() / folder)
        trace = trace.select_cells(np.arange(0, trace.n_cells, asked.every))
        task = Task(trace, world_for(WORLD, trace), load_profile(None), guard=asked.guard)
        alike = _planned(task)
        for case in (c for c in CASES if c.name in TARIFFS):
            _compare(name, case, task, alike)


def _planned(task: Task) -> tuple[Float64, dict[str, float]]:
    """Power of each cell and tick [power_unit], and the figures of service."""
    stage = Stage(task)
    run = run_policy("predictive", stage, with_power=True)
    assert run.power is not None
    return run.power, service_figures(run.outcome, task.world.evaluation.service, stage.clock.per_day)


def _compare(name: str, case: Case, task: Task, alike: tuple[Float64, dict[str, float]]) -> None:
    price = prices_of(case, task.trace, task)
    power, figures = _planned(replace(task, energy_price=price))
    before, after = (p @ price.price[0] for p in (alike[0], power))
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(before), (DRAWS, len(before)))
    lower = float(np.quantile(1 - after[draws].sum(1) / before[draws].sum(1), 0.025))
    limit = task.world.evaluation.service.below_target_share
    spent = [f["below_target_share"] / limit for f in (alike[1], figures)]
    about = (
        f"{len(before)} cells, {WORLD}, guard {'on' if task.guard else 'off'}; energy "
        f"{power.sum() / alike[0].sum() - 1:+.4f}; below target {spent[0]:.2f} and {spent[1]:.2f} of the limit; "
        f"95 % interval of the gain from {lower:.4f}"
    )
    cost = float(before.sum()), float(after.sum())
    print_row(f"price_gain_{name}_{case.name}", 1 - cost[1] / cost[0], "share of cost", about)
    print_row(f"limits_held_{name}_{case.name}", float(figures["limits_held"]), "0 or 1", about)


def prices_of(case: Case, trace: Trace, task: Task) -> EnergyPrices:
    """Prices of a tariff for a trace, whose local midnights are moved to those of the tariff."""
    clock = make_clock(trace, task.world)
    after_midnight_s = local_time(clock.start, ZoneInfo(trace.time_zone)).second_of_day
    price = case_prices(case, after_midnight_s, clock.n_ticks, clock.tick_s)
    return EnergyPrices.everywhere(clock.start, clock.tick_s, price, trace.n_cells)


if __name__ == "__main__":
    main()
