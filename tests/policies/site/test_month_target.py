from __future__ import annotations

import numpy as np
import pytest

from policies.site.month_target import month_target
from policies.site.problem import plan_fleet
from tests.policies.site.fleets import one_site, random_fleet


def test_the_target_of_one_course_is_the_peak_of_its_cheapest_plan() -> None:
    fleet = random_fleet(np.random.default_rng(3), 30, 48)
    fleet = fleet._replace(demand_price=np.full(30, 8.0), cap_w=np.full(fleet.cap_w.shape, np.inf))
    plans = plan_fleet(fleet)
    made = month_target(fleet, 1)
    cost = plan_fleet(fleet._replace(cap_w=np.minimum(fleet.cap_w, made.limit_w[:, None] + 1e-6))).cost
    found = np.isfinite(plans.cost) & np.isfinite(cost)
    assert found.sum() > 20
    assert (made.limit_w >= fleet.peak_w).all()
    turnover = (fleet.import_price * fleet.load_w).sum(1) * fleet.step_h / 1000 + 8.0 * plans.peak_w / 1000
    assert ((cost - plans.cost)[found] <= 0.01 * turnover[found]).all()


def test_no_demand_charge_no_target() -> None:
    fleet = random_fleet(np.random.default_rng(4), 3, 12)._replace(demand_price=np.zeros(3))
    assert np.isinf(month_target(fleet, 1).limit_w).all()


def test_what_must_be_stored_for_a_peak_to_come() -> None:
    """Two steps of 1,500 W above a billed peak of 1,000 W that is worth keeping."""
    load = [500, 1500, 1500, 1000]
    fleet = one_site(
        load, 0.1, start_wh=1000, capacity_wh=3000, peak_w=1000, demand_price=50, charge_max_w=300
    )
    made = month_target(fleet, 1)
    assert made.limit_w[0] == pytest.approx(1000, abs=5)
    assert made.need_wh[0] == pytest.approx([1000 / 0.9 - 300, 1000 / 0.9, 500 / 0.9, 0, 0], abs=12)


def test_a_course_that_cannot_keep_a_limit_counts_at_the_lowest_that_it_can() -> None:
    calm = one_site([500, 500, 500], 0.2, demand_price=10)
    high = one_site([500, 2000, 500], 0.2, demand_price=10)
    both = type(calm)(calm.step_h, *(np.concatenate([a, b]) for a, b in zip(calm[1:], high[1:], strict=True)))
    alone, together = month_target(high, 1).limit_w[0], month_target(both, 2).limit_w[0]
    assert 495 <= together < alone - 100
