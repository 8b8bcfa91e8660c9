"""What a joint plan of radio and battery gains over sleep first and battery after, at the same service.

    QUIETCELL_DATA=folder .venv/bin/python -m benchmarks.site_joint [--months N]

Both arms carry a plan of ``predictive`` under the same service limits. Apart, it weighs its sleep by energy, and the
reserve is for full service. Jointly, it weighs it by the tariff's price (benchmarks/sleep_price.py says what service
that spends), and site agents have acknowledged an on-battery program that keeps 60 % of the radio's power, so that
the same pack carries the class with less and the rest may work. The interval is a bootstrap over sites, whose months
stay together.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import print_row
from benchmarks.site_power import MONTHS, month_of, plan_costs
from benchmarks.site_scenes import CASES, make_fleet

TARIFFS = ("cn", "tou3", "be")
PROGRAM_RATIO = 0.6
DRAWS = 2000
Float64 = NDArray[np.float64]


def gains(name: str, months: tuple[int, ...]) -> Float64:
    """Gain of each site and month over its bill and wear apart. (sites, months) [ratio]"""
    case = next(c for c in CASES if c.name == name)
    apart = make_fleet(case, radio="predictive")
    joint = make_fleet(case, radio="predictive", program_ratio=PROGRAM_RATIO, by_price=True)
    costs = [[plan_costs(fleet, month_of(fleet, m)) for m in months] for fleet in (apart, joint)]
    before, after = (np.stack(c, 1) for c in costs)
    return np.asarray((before - after) / before)


def joint_rows(months: tuple[int, ...]) -> None:
    """The row ``joint_gain_lower`` over all tariffs; the mean of each on standard error."""
    rng = np.random.default_rng(0)
    found = {name: gains(name, months) for name in TARIFFS}
    for name, gain in found.items():
        print(f"{name:13} joint gain {gain.mean():.4f} of the bill, {gain.size} site-months", file=sys.stderr)
    sites = np.concatenate(list(found.values())).mean(1)
    draws = rng.choice(sites, (DRAWS, len(sites))).mean(1)
    lower = float(np.quantile(draws, 0.025))
    count = f"{len(sites) * len(months)} site-months, {len(TARIFFS)} tariffs"
    condition = f"program keeps {PROGRAM_RATIO:.0%} of the radio; {count}"
    print_row("joint_gain_lower", lower, "share of bill", condition, bar=(">", 0.0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--months", type=int, default=2, help="how many months")
    joint_rows(MONTHS[: parser.parse_args().months])
