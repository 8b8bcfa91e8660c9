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

from benchmarks.reserve_judge import Counts
from benchmarks.reserve_planner import replanned
from benchmarks.reserve_run import Belief, adversary, run
from benchmarks.reserve_world import STEPS_PER_DAY, make_world
from benchmarks.rows import print_row
from controller.strict_yaml import load_yaml
from hw.power.plant import make_plant, start_state
from hw.power.spec import PlantSpec

CATALOGUE = Path(__file__).parents[1] / "hw" / "catalogue" / "power"
SITES, DAYS, BLOCK = 10_000, 365, 2500
DAILY, EVERY_STEP = 1000, 20


def site_years(
    sites: int, days: int, seed: int, belief: Belief | None = None, replan_every: int | None = None
) -> Counts:
    """One block of sites, each with a plant of the catalogue, a health and a charge of its own.

    They are planned by the adversary, or by the real planner every ``replan_every`` steps.
    """
    rng = np.random.default_rng(seed)
    specs = [load_yaml(path, PlantSpec) for path in sorted(CATALOGUE.glob("*.yaml"))]
    plant = make_plant([specs[k] for k in rng.integers(0, len(specs), sites)])
    state = start_state(plant, np.full(sites, 0.95), rng.uniform(0.7, 1, sites))
    world = make_world(plant, days, rng)
    ask = adversary(rng, sites)
    if replan_every is not None:
        ask = replanned(plant, world.hard_cap_w, replan_every, rng)
    return run(plant, world, state, days, rng, ask, belief)


def report(name: str, total: Counts, planner: str, spent_s: float) -> None:
    """Rows of one kind of planner."""
    conditions = (
        f"{total.site_years:.1f} site-years at 15 min, {planner}; {total.outages} outages; "
        f"{total.discharged_kwh / max(total.site_years, 1):.0f} kWh discharged a site-year; {spent_s:.0f} s"
    )
    print_row(f"reserve_violations{name}", total.violations, "steps", conditions, bar=("==", 0))
    judged = f"{total.outages_judged} outages outside recovery, within the declared hours and health"
    print_row(f"outages_missed{name}", total.outages_missed, "outages", judged, bar=("==", 0))
    why = "longer than declared, in recovery, floor out of reach, or a pack worse than declared"
    print_row(f"outages_others{name}", total.others, "outages", why)
    hours = f"of {total.others_s / 3600:.0f} h that those outages lasted within the declared time"
    print_row(f"outages_others_carried{name}", round(total.others_carried_s / 3600, 1), "h", hours)
    unmet = f"of {total.unmet} others that were other only because their floor was out of reach"
    print_row(f"outages_unmet_missed{name}", total.unmet_missed, "outages", unmet)
    rest = f"out of {total.steps} steps"
    print_row(f"recovering_steps{name}", total.recovering_steps, "steps", f"recovery after outages, {rest}")
    below = f"below a floor that charging could not have met, {rest}"
    print_row(f"floors_out_of_reach{name}", total.out_of_reach, "steps", below)
    worse = f"at or below the floor, by the packs that are worse than declared, {rest}"
    print_row(f"worse_packs{name}", total.worse_packs, "steps", worse)


def many(sites: int, days: int, replan_every: int | None, planner: str, name: str = "") -> None:
    """Blocks of sites, one after the other, and their rows."""
    total, began = Counts(), time.perf_counter()
    for seed, first in enumerate(range(0, sites, BLOCK)):
        total.add(site_years(min(BLOCK, sites - first), days, seed, replan_every=replan_every))
    report(name, total, planner, time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=SITES, help="of the adversary; the others in proportion")
    parser.add_argument("--days", type=int, default=DAYS)
    options = parser.parse_args()
    share = options.sites / SITES
    many(options.sites, options.days, None, "adversarial planner")
    many(max(1, round(DAILY * share)), options.days, STEPS_PER_DAY, "planned anew daily", "_daily")
    many(max(1, round(EVERY_STEP * share)), options.days, 1, "planned anew every 15 min", "_every_step")


if __name__ == "__main__":
    main()
