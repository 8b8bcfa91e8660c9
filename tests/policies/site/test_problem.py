"""The battery planner on cases worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.planner_cases import random_sites
from policies.site.problem import (
    INFEASIBLE_CAP,
    INFEASIBLE_FLOOR,
    OK,
    STATUS_WORDS,
    checked,
    cost_at_caps,
    plan_fleet,
)
from tests.policies.site.fleets import one_site


def battery(fleet: Any) -> Any:
    plans = plan_fleet(fleet)
    assert plans.status[0] == OK
    return plans.battery_w[0]


def test_it_buys_cheap_and_saves_dear() -> None:
    plans = plan_fleet(one_site([500, 500, 500], [0.1, 0.2, 0.3]))
    # 1 kWh at 0.1 would save 0.9 kWh: 0.5 of it at 0.3, the rest at 0.2 for 0.4/0.9 Wh at 0.1
    assert plans.battery_w[0] == pytest.approx([-1000, 400, 500])
    assert plans.stored_wh[0] == pytest.approx([0, 1000, 1000 - 400 / 0.9, 0], abs=1e-6)
    assert plans.import_w[0] == pytest.approx([1500, 100, 0], abs=1e-6)
    assert plans.cost[0] == pytest.approx(0.15 + 0.02)


def test_wear_and_losses_must_pay() -> None:
    assert battery(one_site([500, 500], [0.1, 0.12])) == pytest.approx([-1000 * 0.5 / 0.9, 500])
    assert not battery(one_site([500, 500], [0.1, 0.11])).any()
    assert not battery(one_site([500, 500], [0.1, 0.12], wear_price=0.01)).any()


@pytest.mark.parametrize("price", [0.0, 0.2])
def test_equal_prices_leave_the_battery_idle(price: float) -> None:
    idle = one_site([500] * 6, price, start_wh=600, end_wh=600)
    assert not battery(idle).any()
    lossless = idle._replace(discharge_efficiency=np.ones(1))
    assert not battery(lossless).any()


def test_pv_beyond_the_load_charges_and_the_rest_is_curtailed_or_fed_in() -> None:
    fields: dict[str, Any] = {"pv_w": [1800, 0], "capacity_wh": 600}
    plans = plan_fleet(one_site([500, 1000], 0.2, **fields))
    assert plans.battery_w[0] == pytest.approx([-600, 540])
    assert plans.curtailed_w[0] == pytest.approx([700, 0])
    sells = one_site([500, 1000], 0.2, **fields, export_price=[0.1, 0.1], export_cap_w=900)
    plans = plan_fleet(sells)
    assert plans.battery_w[0] == pytest.approx([-600, 540])
    assert (plans.export_w[0], plans.curtailed_w[0]) == (pytest.approx([700, 0]), pytest.approx([0, 0]))
    dear = plan_fleet(sells._replace(export_price=np.array([[0.19, 0.1]])))
    assert dear.battery_w[0] == pytest.approx([-400, 360])  # what the feed-in cap would have curtailed
    assert dear.export_w[0] == pytest.approx([900, 0])
    lost = plan_fleet(sells._replace(export_price=np.array([[-0.1, 0.0]])))
    assert lost.export_w[0].sum() == 0
    assert lost.curtailed_w[0] == pytest.approx([700, 0])


def test_the_demand_charge_shaves_the_peak_but_not_below_what_is_paid() -> None:
    case = one_site([500, 2000, 500], 0.2, start_wh=400, end_wh=400, charge_max_w=300, demand_price=10)
    plans = plan_fleet(case)
    # before and after, 300 Wh each are bought; 0.9 of the 700 Wh may be saved, 600 leave the end as it must be
    assert plans.peak_w[0] == pytest.approx(2000 - 0.9 * 600)
    assert plans.stored_wh[0] == pytest.approx([400, 700, 100, 400])
    assert plans.cost[0] == pytest.approx(0.2 * (3 + 0.06) + 10 * 1.46)
    paid = plan_fleet(case._replace(peak_w=np.array([1900.0])))
    assert paid.import_w[0].max() == pytest.approx(1900)
    assert paid.peak_w[0] == pytest.approx(1900)
    above = plan_fleet(case._replace(peak_w=np.array([2100.0])))
    assert not above.battery_w[0].any()
    assert above.cost[0] == pytest.approx(0.2 * 3 + 10 * 2.1)


def test_a_price_below_zero_curtails_pv_and_imports() -> None:
    plans = plan_fleet(one_site([500, 500], [-0.1, 0.2], pv_w=[400, 0]))
    assert plans.battery_w[0] == pytest.approx([-1000, 500])
    assert plans.import_w[0] == pytest.approx([1500, 0], abs=1e-6)
    assert plans.curtailed_w[0] == pytest.approx([400, 0])
    limited = plan_fleet(one_site([500, 500], [-0.1, 0.2], pv_w=[400, 0], cap_w=1200))
    assert limited.import_w[0] == pytest.approx([1200, 0], abs=1e-6)
    assert limited.battery_w[0] == pytest.approx([-700, 500])
    assert limited.curtailed_w[0] == pytest.approx([400, 0])


def test_a_floor_is_charged_for_in_time_and_lowered_to_what_can_be_reached() -> None:
    rising = one_site([500] * 4, [0.3, 0.1, 0.2, 0.3], charge_max_w=300, floor_wh=[0, 0, 0, 600, 600])
    assert battery(rising) == pytest.approx([0, -300, -300, 0])
    out_of_reach = rising._replace(floor_wh=np.full((1, 5), 900.0))
    assert battery(out_of_reach) == pytest.approx([-300, -300, -300, 0])
    assert battery(rising._replace(end_wh=np.array([5000.0]))) == pytest.approx([-100, -300, -300, -300])


def test_an_infeasible_plan_says_which_limit() -> None:
    case = one_site([500, 500], 0.2, cap_w=600, floor_wh=[0, 0, 500])
    plans = plan_fleet(case)
    assert plans.status[0] == INFEASIBLE_FLOOR
    assert "floor" in STATUS_WORDS[INFEASIBLE_FLOOR]
    assert np.isnan([plans.cost[0], *plans.battery_w[0], *plans.stored_wh[0], *plans.import_w[0]]).all()
    assert plan_fleet(case._replace(cap_w=np.full((1, 2), 750.0))).status[0] == OK
    heavy = one_site([500, 1500], 0.2, cap_w=600, start_wh=800)
    assert plan_fleet(heavy).status[0] == INFEASIBLE_CAP
    assert plan_fleet(heavy._replace(start_wh=np.array([1000.0]))).status[0] == OK  # 100 are charged before
    assert plan_fleet(heavy._replace(discharge_max_w=np.full((1, 2), 899.0))).status[0] == INFEASIBLE_CAP
    guarded = heavy._replace(start_wh=np.array([1000.0]), floor_wh=np.full((1, 3), 100.0))
    assert plan_fleet(guarded).status[0] == INFEASIBLE_CAP


def test_costs_at_caps_are_those_of_plans_held_to_them() -> None:
    case = one_site([500, 2000, 500], [0.2, 0.3, 0.2], start_wh=400, end_wh=400, demand_price=10)
    caps_w = np.array([[900, 1100, 1400, 2000, np.inf]])
    costs = cost_at_caps(case, caps_w)
    for cap_w, cost in zip(caps_w[0], costs[0], strict=True):
        held = plan_fleet(case._replace(cap_w=np.full((1, 3), cap_w), demand_price=np.zeros(1)))
        assert (held.status[0] == OK) == np.isfinite(cost)
        if np.isfinite(cost):
            assert cost == pytest.approx(held.cost[0])
    assert np.isinf(costs[0, 0])


@pytest.mark.parametrize(
    "changes",
    [
        {"capacity_wh": 0, "start_wh": 0},
        {"floor_wh": 1000, "start_wh": 1000},
        {"charge_max_w": 0, "start_wh": 300, "end_wh": 300},
        {"start_wh": 4000, "end_wh": 1000},
        {"demand_price": 1e6, "capacity_wh": 0},
    ],
)
def test_no_room_to_move_is_a_plan_too(changes: dict[str, Any]) -> None:
    plans = plan_fleet(one_site([500, 900], [0.1, 0.3], **changes))
    assert plans.status[0] == OK
    assert not plans.battery_w[0].any()
    assert plans.import_w[0] == pytest.approx([500, 900])


def test_one_step() -> None:
    assert battery(one_site([500], [0.2], start_wh=1000)) == pytest.approx([500])
    assert battery(one_site([500], [0.2], start_wh=100, end_wh=400)) == pytest.approx([-300])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"load_w": np.zeros((1, 3))}, r"pv_w must be .* \(1, 3\)"),
        ({"pv_w": np.array([[1.0, np.nan]])}, r"pv_w\[0, 1\]"),
        ({"charge_max_w": np.array([[1.0, -1.0]])}, r"charge_max_w\[0, 1\] cannot be -1"),
        ({"discharge_efficiency": np.array([2.1])}, "discharge_efficiency"),
        ({"import_price": np.array([[1.0, np.inf]])}, r"import_price\[0, 1\]"),
        ({"step_h": 0.0}, "steps of some length"),
    ],
)
def test_a_fleet_that_cannot_be_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        plan_fleet(one_site([500, 500], 0.2)._replace(**changes))


def test_caps_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="1 rows"):
        cost_at_caps(one_site([500, 500], 0.2), np.zeros((2, 1)))


@pytest.mark.parametrize(
    ("event_price", "import_w"), [(0.5, [1000, 1000]), (2.0, [400, 1000]), (100.0, [400, 1000])]
)
def test_an_event_is_kept_where_that_is_cheaper_than_its_price(
    event_price: float, import_w: list[float]
) -> None:
    """A kWh out of the store wears 1.0 and must be bought for nothing: the event's price decides."""
    prices = {"event_w": [400, np.inf], "event_price": [event_price, 0]}
    plans = plan_fleet(one_site([1000, 1000], 0.2, start_wh=1000, wear_price=1.0, **prices))
    assert plans.import_w[0] == pytest.approx(import_w)
    over_kwh = max(import_w[0] - 400, 0) / 1000
    given_kwh = (1000 - import_w[0]) / 1000
    paid = 0.2 * sum(import_w) / 1000 + given_kwh + event_price * over_kwh
    assert plans.cost[0] == pytest.approx(paid)


def test_what_a_store_lacks_for_an_event_is_imported_and_nothing_more() -> None:
    lacking = one_site(
        [1000, 1000, 1000], 0.2, start_wh=1000, event_w=[0, 0, np.inf], event_price=[100, 100, 0]
    )
    plans = plan_fleet(lacking)
    assert plans.status[0] == OK
    assert plans.import_w[0, :2].sum() == pytest.approx(2000 - 900)
    earning = one_site([1000, 1000], -0.3, pv_w=[800, 0], event_w=[500, np.inf], event_price=[1, 0])
    assert plan_fleet(earning).import_w[0, 0] == pytest.approx(500), "no more for its own sake below zero"


def test_the_sites_of_the_planners_benchmark_are_those_that_kernels_take() -> None:
    """The benchmark hands them to a kernel without a check, so that only the kernel is timed."""
    fleet = random_sites(np.random.default_rng(0), 5, 12)
    for given, taken in zip(fleet[1:], checked(fleet)[1:], strict=True):
        assert given.dtype == taken.dtype and given.flags.c_contiguous
    assert (plan_fleet(fleet).status == OK).any()
