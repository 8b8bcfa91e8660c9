"""The planner against HiGHS, against a grid, over a month, and with stored energy worth something at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.site.problem import INFEASIBLE_CAP, OK, Fleet, cost_at_caps, plan_fleet
from policies.site.reference import Losses, plan_reference
from policies.site.site_terms import site_terms
from policies.site.value_function import cost_at_cap, new_room
from tests.policies.site.fleets import bill, broken_limits, one_site, random_fleet
from tests.policies.site.naive_plan import grid_cost

OF_TURNOVER = 2e-3  # what a plan at prices below zero may cost more, as a share of what the load costs


def turnover(fleet: Fleet, i: int) -> float:
    paid = np.abs(fleet.import_price[i]) * fleet.load_w[i]
    return float(paid.sum() * fleet.step_h / 1000)


@pytest.mark.kernel
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_steps=st.integers(1, 30),
    negative=st.booleans(),
    feed_in_above=st.booleans(),
    end_price=st.sampled_from([0.0, 0.1, 0.3]),
)
def test_random_fleets_are_planned_as_by_highs(
    seed: int, n_steps: int, negative: bool, feed_in_above: bool, end_price: float
) -> None:
    fleet = random_fleet(
        np.random.default_rng(seed), 2, n_steps, negative=negative, feed_in_above=feed_in_above
    )
    fleet = fleet._replace(end_price=np.full(2, end_price))
    plans = plan_fleet(fleet)
    for i in range(2):
        reference = plan_reference(fleet, i)
        assert reference.status == plans.status[i]
        if reference.status != OK:
            continue
        assert broken_limits(fleet, plans, i) == []
        assert plans.cost[i] == pytest.approx(bill(fleet, plans, i))
        worth = end_price * plans.stored_wh[i, -1] / 1000
        best = reference.cost - end_price * reference.stored_wh[-1] / 1000
        convex = not negative and not feed_in_above
        slack = 1e-6 * abs(best) + 1e-6 if convex else OF_TURNOVER * turnover(fleet, i)
        assert reference.bound - 1e-6 <= plans.cost[i] - worth <= best + slack


@pytest.mark.kernel
@pytest.mark.parametrize("negative", [False, True])
def test_a_grid_finds_nothing_cheaper_and_comes_close(negative: bool) -> None:
    rng = np.random.default_rng(17)
    for _ in range(4):
        fleet = one_site(
            rng.uniform(500, 1500, 3),
            rng.uniform(-0.3 if negative else 0.05, 0.4, 3),
            pv_w=rng.choice([0, 2500], 3),
            export_price=rng.uniform(0, 0.5, 3) if negative else 0.04,
            export_cap_w=rng.choice([0, 800]),
            start_wh=500,
            end_price=0.1,
            floor_wh=100,
            wear_price=0.01,
            charge_efficiency=0.95,
            cap_w=2000,
        )
        plans = plan_fleet(fleet)
        got = plans.cost[0] - 0.1 * plans.stored_wh[0, -1] / 1000
        grid = grid_cost(fleet, 0, 81)
        assert got <= grid + 1e-9
        assert (
            got >= grid - 0.5 * 2 * 1000 / 80 / 1000 * 3
        )  # a cell of the grid at the dearest price per step


def test_a_side_is_chosen_where_the_hull_would_mix_both() -> None:
    # charging is paid for, but the store is full: empty it first at a loss, or leave it
    case = one_site([800, 800], [-0.1, -0.4], start_wh=1000, discharge_efficiency=0.9, charge_efficiency=0.9)
    plans = plan_fleet(case)
    # 900 W saved cost 0.08 (the load is 800): the room of 888.9 Wh takes 987.7 Wh paid 0.395
    assert plans.battery_w[0] == pytest.approx([800, -800 / 0.81])
    even = plan_fleet(case._replace(import_price=np.array([[-0.1, -0.05]])))
    assert not even.battery_w[0].any()


def test_feeding_in_wins_where_it_earns_more_than_importing_at_a_price_below_zero() -> None:
    fields: dict[str, Any] = {"pv_w": 2000, "export_cap_w": 1000, "capacity_wh": 0}
    feeds = plan_fleet(one_site([500], [-0.1], export_price=0.2, **fields))
    assert (feeds.export_w[0, 0], feeds.import_w[0, 0], feeds.curtailed_w[0, 0]) == pytest.approx(
        (1000, 0, 500)
    )
    imports = plan_fleet(one_site([500], [-0.5], export_price=0.2, **fields))
    assert (imports.export_w[0, 0], imports.import_w[0, 0]) == pytest.approx((0, 500))
    assert imports.cost[0] == pytest.approx(-0.25)


def test_what_is_stored_at_the_end_is_kept_where_it_is_worth_more() -> None:
    case = one_site([500, 500], [0.1, 0.2], start_wh=200)
    assert plan_fleet(case).stored_wh[0, -1] == pytest.approx(0)
    kept = plan_fleet(case._replace(end_price=np.array([0.15])))
    assert kept.stored_wh[0, -1] == pytest.approx(
        1000 - 500 / 0.9
    )  # charged at 0.1, saved at 0.2 for what it can
    assert kept.cost[0] == pytest.approx(0.1 * 1.3)  # its worth is no part of the cost


def test_plans_at_negative_prices_come_close_to_the_bound_of_all_sides() -> None:
    fleet = random_fleet(np.random.default_rng(77), 60, 96, negative=True)
    plans = plan_fleet(fleet)
    kept = np.flatnonzero(plans.status == OK)
    caps_w = np.nan_to_num(plans.import_w.max(1))[:, None] + 1e-6
    bound = cost_at_caps(fleet, caps_w)[:, 0] + fleet.demand_price * plans.peak_w / 1000
    paid = np.array([turnover(fleet, int(i)) for i in kept])
    above = (plans.cost - bound)[kept] / paid
    assert (above > -1e-6).all()
    assert above.max() < 2e-3
    assert above.mean() < 5e-5


def test_the_slope_over_the_cap_is_that_of_the_cost_where_the_hull_turns_with_it() -> None:
    fleet = random_fleet(np.random.default_rng(77), 30, 24, negative=True, feed_in_above=True)
    room, compared = new_room(24), 0
    for i in range(30):
        site = site_terms(fleet, i)
        for cap_wh in np.linspace(500, 1500, 7):
            costs = [cost_at_cap(site, cap_wh + by, room) for by in (-1e-3, 0, 1e-3)]
            if not np.isfinite(costs[0][0]) or abs(costs[0][1] - costs[2][1]) > 1e-7:
                continue  # a kink has two slopes
            compared += 1
            assert costs[1][1] == pytest.approx((costs[2][0] - costs[0][0]) / 2e-3, abs=1e-7)
    assert compared > 50


@pytest.mark.parametrize("negative", [False, True])
def test_a_month_of_quarter_hours(negative: bool) -> None:
    fleet = random_fleet(np.random.default_rng(9), 2, 2976, negative=negative)
    plans = plan_fleet(fleet)
    assert (plans.status == OK).any()
    caps_w = np.nan_to_num(plans.import_w.max(1), nan=0.0)[:, None] + 1e-6
    costs = cost_at_caps(fleet, caps_w)[:, 0]
    for i in np.flatnonzero(plans.status == OK):
        assert broken_limits(fleet, plans, int(i)) == []
        held = costs[i]
        bound = held + fleet.demand_price[i] * plans.peak_w[i] / 1000
        slack = OF_TURNOVER * turnover(fleet, int(i)) if negative else 1e-6 * abs(bound)
        assert plans.cost[i] == pytest.approx(bound, abs=slack)


def test_losses_that_rise_with_the_import_spread_the_charging() -> None:
    case = one_site([500, 500, 500], [0.1, 0.1, 0.4], discharge_efficiency=1, charge_max_w=500)
    losses = Losses(np.array([0.0, 750.0, 2000.0]), np.array([0.0, 0.0, 500.0]))
    plain, curved = plan_reference(case, 0), plan_reference(case, 0, losses=losses)
    assert curved.battery_w == pytest.approx([-250, -250, 500])
    assert curved.cost == pytest.approx(plain.cost)
    more = plan_reference(case._replace(end_wh=np.array([500.0])), 0, losses=losses)
    assert more.import_w == pytest.approx([1100, 1100, 0])  # each kWh above 750 W costs 0.4 of itself more
    assert plan_reference(case._replace(cap_w=np.full((1, 3), 500.0)), 0, losses=losses).status == OK
    early = Losses(np.array([0.0, 1000.0]), np.array([10.0, 110.0]))
    assert (
        plan_reference(case._replace(cap_w=np.full((1, 3), 500.0)), 0, losses=early).status == INFEASIBLE_CAP
    )


@pytest.mark.parametrize(
    ("import_w", "loss_w", "price", "complaint"),
    [
        ([0, 500, 900], [0, 50, 60], 0.1, "convex"),
        ([0, 0], [0, 50], 0.1, "rising import"),
        ([0, 500], [0, 50], -0.1, "zero or more"),
    ],
)
def test_losses_that_cannot_be_are_refused(import_w: Any, loss_w: Any, price: float, complaint: str) -> None:
    losses = Losses(np.array(import_w, np.float64), np.array(loss_w, np.float64))
    with pytest.raises(ValueError, match=complaint):
        plan_reference(one_site([500], price), 0, losses=losses)
