"""Where a plan imports what its limit allows, the site does too, whatever its load turns out to be."""

from __future__ import annotations

import numpy as np
import pytest

from policies.site.dispatch import at_the_limit
from policies.site.problem import plan_fleet
from tests.policies.site.fleets import one_site, random_fleet


def test_at_the_limit_it_charges_with_all_that_is_left_and_discharges_no_more_than_is_needed() -> None:
    """Three hours under 1,000 W: below it with a store to fill, above it, and far below it at a price to use it."""
    fleet = one_site([700, 1400, 500], [0.1, 0.3, 0.9], peak_w=1000, demand_price=500)
    fleet = fleet._replace(start_wh=np.array([500.0]))
    plans = plan_fleet(fleet)
    assert plans.battery_w[0] == pytest.approx([-300, 400, 500 * 0.9 * 800 / 900], abs=200)
    wanted_w = [at_the_limit(plans, age, np.array([1000.0]), fleet.charge_max_w)[0] for age in range(3)]
    assert wanted_w == pytest.approx([-1000, 0, plans.battery_w[0, 2]])


@pytest.mark.parametrize("seed", range(3))
def test_off_the_limit_the_plan_is_the_plan(seed: int) -> None:
    fleet = random_fleet(np.random.default_rng(seed), 20, 24)
    plans = plan_fleet(fleet)
    for age in range(24):
        planned_w = plans.battery_w[:, age]
        none = at_the_limit(plans, age, np.full(20, np.inf), fleet.charge_max_w)
        np.testing.assert_array_equal(none, planned_w)
        held_w = at_the_limit(plans, age, plans.peak_w, fleet.charge_max_w)
        moved = np.isfinite(planned_w) & (held_w != planned_w)
        assert (np.abs(plans.import_w[:, age] - plans.peak_w) <= 1)[moved].all()
        assert (held_w <= np.maximum(planned_w, 0))[moved].all(), "never more out of the store than planned"
