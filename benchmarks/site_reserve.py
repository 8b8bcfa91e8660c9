"""Ten thousand site-years of an adversarial planner behind the guard: no floor is broken, no outage is missed.

A violation is a step with mains, outside recovery, in which the controller discharges at or below the floor, or that
starts below a floor that charging could have met since the floor became known. An outage is missed if it starts outside
recovery, lasts no longer than declared, meets a pack inside its declared health, and does not carry all declared loads.
Mains and controller are lost together, always.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.reserve_run import Belief, Counts, adversary, run
from benchmarks.reserve_world import make_world
from benchmarks.rows import print_row
from controller.strict_yaml import load_yaml
from hw.power.plant import make_plant, start_state
from hw.power.spec import PlantSpec

CATALOGUE = Path(__file__).parents[1] / "hw" / "catalogue" / "power"
SITES, DAYS, BLOCK = 10_000, 365, 1000


def site_years(sites: int, days: int, seed: int, belief: Belief | None = None) -> Counts:
    """One block of sites, each with a plant of the catalogue, a health and a charge of its own."""
    rng = np.random.default_rng(seed)
    specs = [load_yaml(path, PlantSpec) for path in sorted(CATALOGUE.glob("*.yaml"))]
    plant = make_plant([specs[k] for k in rng.integers(0, len(specs), sites)])
    state = start_state(plant, np.full(sites, 0.95), rng.uniform(0.7, 1, sites))
    world = make_world(plant, days, rng)
    return run(plant, world, state, days, rng, adversary(rng, sites), belief)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=SITES)
    parser.add_argument("--days", type=int, default=DAYS)
    options = parser.parse_args()
    total, began = Counts(), time.perf_counter()
    for seed, first in enumerate(range(0, options.sites, BLOCK)):
        total.add(site_years(min(BLOCK, options.sites - first), options.days, seed))
    conditions = (
        f"{total.site_years:.0f} site-years at 15 min, adversarial planner, {total.outages} outages; "
        f"{total.discharged_kwh / max(total.site_years, 1):.0f} kWh discharged a site-year; {time.perf_counter() - began:.0f} s"
    )
    print_row("reserve_violations", total.violations, "steps", conditions, bar=("==", 0))
    judged = f"{total.outages_judged} outages outside recovery, within the declared hours and health"
    print_row("outages_missed", total.outages_missed, "outages", judged, bar=("==", 0))
    print_row(
        "outages_others",
        total.others,
        "outages",
        "longer than declared, in recovery, or a pack out of its health",
    )
    carried = total.others_carried_s / max(total.others_s, 1)
    print_row("outages_others_carried", round(carried, 4), "ratio of declared time", "of those")
    print_row(
        "recovering_share",
        round(total.recovering_steps / total.steps, 5),
        "ratio of steps",
        "recovery after outages",
    )
    print_row(
        "floors_out_of_reach", total.out_of_reach, "steps", "below a floor that charging could not have met"
    )
    print(f"{total}")


if __name__ == "__main__":
    main()
