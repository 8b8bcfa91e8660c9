from __future__ import annotations

import numpy as np
import pytest

from policies.site.month_target import best_limits_w, least_limit_w, month_target, ready_floors
from policies.site.problem import OK, Fleet, checked, cost_at_caps, plan_fleet
from tests.policies.site.fleets import one_site, random_fleet


def test_the_target_of_one_course_is_the_peak_of_its_cheapest_plan() -> None:
    fleet = random_fleet(np.random.default_rng(3), 30, 48)
    fleet = fleet._replace(demand_price=np.full(30, 8.0), cap_w=np.full(fleet.cap_w.shape, np.inf))
    plans = plan_fleet(fleet)
    made = month_target(fleet, 1)
    cost = plan_fleet(fleet._replace(cap_w=np.minimum(fleet.cap_w, made.safe_w[:, None] + 1e-6))).cost
    found = np.isfinite(plans.cost) & np.isfinite(cost)
    assert found.sum() > 20
    assert (made.hold_w >= fleet.peak_w).all() and (made.safe_w == made.hold_w).all()
    turnover = (fleet.import_price * fleet.load_w).sum(1) * fleet.step_h / 1000 + 8.0 * plans.peak_w / 1000
    assert ((cost - plans.cost)[found] <= 0.01 * turnover[found]).all()


def test_no_demand_charge_no_target() -> None:
    fleet = random_fleet(np.random.default_rng(4), 3, 12)._replace(demand_price=np.zeros(3))
    assert np.isinf(month_target(fleet, 1).safe_w).all()


def test_what_must_be_stored_for_a_peak_to_come() -> None:
    """Two steps of 1,500 W above a billed peak of 1,000 W that is worth keeping."""
    load = [500, 1500, 1500, 1000]
    fleet = one_site(
        load, 0.1, start_wh=1000, capacity_wh=3000, peak_w=1000, demand_price=50, charge_max_w=300
    )
    made = month_target(fleet, 1)
    assert made.hold_w[0] == pytest.approx(1000, abs=5)
    assert made.need_wh[0] == pytest.approx([1000 / 0.9 - 300, 1000 / 0.9, 500 / 0.9, 0, 0], abs=12)


@pytest.mark.parametrize("seed", range(4))
def test_no_limit_of_a_ladder_is_cheaper_than_the_best(seed: int) -> None:
    fleet = random_fleet(np.random.default_rng(seed), 25, 48, negative=seed % 2 == 1)
    fleet = fleet._replace(demand_price=np.full(25, 8.0))
    best_w = best_limits_w(fleet)
    assert (best_w >= fleet.peak_w).all()
    highest_w = np.maximum((fleet.load_w + fleet.charge_max_w).max(1), best_w)
    ladder_w = np.concatenate([best_w[:, None], np.linspace(fleet.peak_w, highest_w, 60, axis=1)], axis=1)
    cost = cost_at_caps(fleet, ladder_w) + 8.0 / 1000 * ladder_w
    kept = np.isfinite(cost).any(1)
    assert kept.sum() > 15
    turnover = (np.abs(fleet.import_price) * fleet.load_w).sum(1) * fleet.step_h / 1000
    assert (cost[:, 0] <= cost.min(1) + 1e-6 * turnover)[kept].all()


def stacked(courses: list[Fleet]) -> Fleet:
    fields = zip(*(course[1:] for course in courses), strict=True)
    return Fleet(courses[0].step_h, *(np.concatenate(field) for field in fields))


def test_a_low_limit_is_held_while_a_high_one_stays_within_reach() -> None:
    """One too low can be raised on the way; what is not stored when it is needed cannot be had."""
    loads = (500, 900, 1500, 1700)
    courses = [one_site([500, load, 500], 0.2, demand_price=10, capacity_wh=2000) for load in loads]
    limits = [month_target(course, 1).safe_w[0] for course in courses]
    assert limits[0] < limits[1] - 100 < limits[2] - 200 < limits[3] - 250
    made = month_target(stacked(courses), 4)
    assert limits[1] < made.hold_w[0] < limits[2] < made.safe_w[0] < limits[3]
    needs = [max(load - made.safe_w[0], 0) / 0.9 for load in loads]
    assert made.need_wh[0, 1] == pytest.approx(np.quantile(needs, 0.7)), "as most courses need"
    last = month_target(stacked(courses), 4, last_day=True)
    assert last.hold_w[0] == made.hold_w[0] and last.safe_w[0] > made.safe_w[0]
    assert last.need_wh[0, 1] == pytest.approx((1700 - last.safe_w[0]) / 0.9), "as every course needs"


def naive_missing_wh(fleet: Fleet, i: int, need_wh: np.ndarray, limit_w: float) -> float:
    stored_wh, missing = fleet.start_wh[i], [0.0]
    stored = []
    for t in range(fleet.load_w.shape[1]):
        most_w = min(limit_w, fleet.cap_w[i, t], fleet.event_w[i, t])
        left_w = most_w - max(fleet.load_w[i, t] - fleet.pv_w[i, t], 0)
        charge_w = min(max(left_w, 0), fleet.charge_max_w[i, t])
        given_w = min(max(-left_w, 0), fleet.discharge_max_w[i, t])
        change_w = charge_w * fleet.charge_efficiency[i] - given_w / fleet.discharge_efficiency[i]
        stored_wh = min(stored_wh + change_w * fleet.step_h, fleet.capacity_wh[i])
        stored.append(stored_wh)
    for t in range(1, len(need_wh)):
        if t == len(need_wh) - 1 or need_wh[t] >= need_wh[t + 1]:
            missing.append(need_wh[t] - stored[t - 1])
    return max(missing)


def test_the_least_limit_is_the_lowest_that_meets_the_need_as_well_as_the_highest() -> None:
    rng = np.random.default_rng(5)
    fleet = checked(random_fleet(rng, 60, 24))
    fleet = fleet._replace(start_wh=np.minimum(fleet.start_wh, fleet.capacity_wh))
    need_wh = rng.uniform(0, 1, (60, 20)) * fleet.capacity_wh[:, None]
    low_w = fleet.load_w.min(1)
    high_w = fleet.load_w.max(1) * rng.uniform(0.6, 1.2, 60)
    high_w[:3] = np.inf, low_w[1], low_w[2] - 50
    found_w = least_limit_w(fleet, need_wh, low_w, high_w)
    assert found_w[:3] == pytest.approx([np.inf, low_w[1], low_w[2]])
    between = 0
    for i in range(3, 60):
        high = max(high_w[i], low_w[i])
        allowed_wh = naive_missing_wh(fleet, i, need_wh[i], high) + 20
        assert low_w[i] <= found_w[i] <= high
        assert naive_missing_wh(fleet, i, need_wh[i], found_w[i]) <= allowed_wh + 1e-6
        if found_w[i] > low_w[i]:
            assert naive_missing_wh(fleet, i, need_wh[i], found_w[i] - 2) > allowed_wh
        between += bool(low_w[i] < found_w[i] < high - 1)
    assert between > 10


def test_there_is_time_to_charge_while_the_need_rises() -> None:
    """Eight quiet hours fill the store; with one 7 (P - 700) + P - 500 = 800 Wh - INSIDE_WH."""
    need_wh = np.array([[100.0 * k for k in range(9)] + [0.0]])
    low_w, high_w = np.array([700.0]), np.array([2000.0])
    quiet = one_site([500] * 8 + [1000], 0.2, capacity_wh=2000)
    assert least_limit_w(quiet, need_wh, low_w, high_w)[0] == 700
    hurry = one_site([700] * 7 + [500, 1000], 0.2, capacity_wh=2000)
    assert least_limit_w(hurry, need_wh, low_w, high_w)[0] == pytest.approx(772.5, abs=1)


def test_a_plan_is_ready_for_what_the_month_needs() -> None:
    """At 300 W a step, 556 Wh needed before the third step must be begun at once, whatever is cheap later."""
    fleet = one_site([500, 500, 500, 500], [0.3, 0.3, 0.1, 0.1], charge_max_w=300)
    need_wh = np.array([[0, 300, 556, 556, 0]], np.float64)
    floors = ready_floors(fleet, need_wh, np.array([1000.0]))
    assert floors[0] == pytest.approx([0, 280, 556, 556, 0])
    assert plan_fleet(fleet).stored_wh[0, 2] == 0
    assert plan_fleet(fleet._replace(floor_wh=floors)).stored_wh[0, 2] == pytest.approx(556)


def test_what_cannot_be_reached_below_the_limit_is_not_asked_for() -> None:
    """100 W are left below the limit, none during a grid event, and a load above it takes from the store."""
    fleet = one_site(
        [900, 900, 900, 1200], 0.2, event_w=[np.inf, 900, np.inf, np.inf], event_price=[0, 1, 0, 0]
    )
    floors = ready_floors(fleet, np.full((1, 5), 900.0), np.array([1000.0]))
    assert floors[0] == pytest.approx([0, 80, 80, 180, 0])
    plans = plan_fleet(
        fleet._replace(floor_wh=floors, demand_price=np.array([5.0]), peak_w=np.array([1000.0]))
    )
    assert plans.status[0] == OK and plans.peak_w[0] < 1200
