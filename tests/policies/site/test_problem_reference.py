"""The battery planner against HiGHS, and its plans against every limit."""

from __future__ import annotations

import numpy as np
import pytest

from policies.site.problem import OK, cost_at_caps, plan_fleet
from policies.site.reference import plan_reference
from tests.policies.site.fleets import bill, broken_limits, random_fleet


@pytest.mark.kernel
@pytest.mark.parametrize("n_steps", [1, 2, 7, 24, 96])
def test_plans_are_as_cheap_as_those_of_highs(n_steps: int) -> None:
    n = 20
    fleet = random_fleet(np.random.default_rng(n_steps), n, n_steps)
    plans = plan_fleet(fleet)
    for i in range(n):
        reference = plan_reference(fleet, i)
        assert reference.status == plans.status[i]
        if reference.status == OK:
            assert broken_limits(fleet, plans, i) == []
            assert plans.cost[i] == pytest.approx(bill(fleet, plans, i))
            assert plans.cost[i] == pytest.approx(reference.cost, rel=1e-6, abs=1e-6)
    assert (plans.status == OK).sum() > n / 2


def test_plans_at_negative_prices_keep_their_limits_and_come_close() -> None:
    n = 100
    fleet = random_fleet(np.random.default_rng(6), n, 24, negative=True, feed_in_above=True)
    plans = plan_fleet(fleet)
    for i in range(n):
        reference = plan_reference(fleet, i, gap=1e-7)
        assert reference.status == plans.status[i]
        if reference.status == OK:
            assert broken_limits(fleet, plans, i) == []
            assert plans.cost[i] == pytest.approx(bill(fleet, plans, i))
            turnover = float((np.abs(fleet.import_price[i]) * fleet.load_w[i]).sum() * fleet.step_h / 1000)
            assert reference.bound - 1e-6 <= plans.cost[i] <= reference.cost + 1e-5 * turnover


def test_the_cost_over_the_cap_is_convex_and_its_best_is_the_plan() -> None:
    fleet = random_fleet(np.random.default_rng(3), 10, 96)
    plans = plan_fleet(fleet)
    highest_w = (fleet.load_w + fleet.charge_max_w).max(1)
    caps_w = np.linspace(fleet.peak_w, np.maximum(highest_w, fleet.peak_w), 300, axis=1)
    total = cost_at_caps(fleet, caps_w) + fleet.demand_price[:, None] * caps_w / 1000
    for i in np.flatnonzero(plans.status == OK):
        kept = total[i][np.isfinite(total[i])]
        assert (np.diff(kept, 2) > -1e-9).all()
        assert plans.cost[i] <= kept.min() + 1e-6


@pytest.mark.parametrize("negative", [False, True])
def test_plans_under_events_are_as_cheap_as_those_of_highs(negative: bool) -> None:
    n, n_steps, rng = 60, 24, np.random.default_rng(8)
    fleet = random_fleet(rng, n, n_steps, negative=negative)
    event_w = np.where(rng.random((n, n_steps)) < 0.3, rng.uniform(0, 3000, (n, n_steps)), np.inf)
    price = np.where(np.isfinite(event_w), rng.choice([0.0, 0.1, 1.0, 100.0], (n, n_steps)), 0.0)
    fleet = fleet._replace(event_w=event_w, event_price=np.maximum(price, -np.minimum(fleet.import_price, 0)))
    plans = plan_fleet(fleet)
    calm = plan_fleet(
        fleet._replace(event_price=np.zeros((n, n_steps)), event_w=np.full((n, n_steps), np.inf))
    )
    assert (plans.status == calm.status).all(), "an event leaves no site without a plan"
    for i in np.flatnonzero(plans.status == OK):
        reference = plan_reference(fleet, i, gap=1e-7)
        assert broken_limits(fleet, plans, i) == []
        assert plans.cost[i] == pytest.approx(bill(fleet, plans, i), abs=1e-9)
        turnover = float((np.abs(fleet.import_price[i]) * fleet.load_w[i]).sum() * fleet.step_h / 1000)
        assert (
            reference.bound - 1e-6 <= plans.cost[i] <= reference.cost + 1e-5 * max(turnover, reference.cost)
        )
