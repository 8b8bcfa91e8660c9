"""Set points of cooling: the expectation against its twin and the simulation, plans against all others, the guard."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.power.cooling import cool_flows, make_cooling, start_room
from hw.power.cooling_kernel import HOTTEST, STANDBY
from policies.site.cooling import (
    FALLBACK,
    PLANNED,
    CoolingPlan,
    Costs,
    fixed_setpoint,
    flexible_part,
    guard_setpoint,
    plan_setpoints,
)
from policies.site.cooling_model import Ahead, expect, expected_cooling_w
from tests.hw.power.rooms import NAMES, random_weather, room_spec
from tests.policies.site.naive_cooling_plan import naive_cost, naive_expect

ALL = make_cooling([room_spec(name) for name in NAMES])
N = len(NAMES)
WITH_COMPRESSOR = [name for name in NAMES if room_spec(name).compressor is not None]
SHELTER = make_cooling([room_spec("shelter-variable")])
SEEDS = st.integers(0, 2**32 - 1)


def weather(n: int, hours: int, mean_c: float = 28.0, step_s: int = 900) -> Ahead:
    hour = np.arange(hours * 3600 // step_s) * step_s / 3600
    outdoor_c = np.tile(mean_c + 6 * np.sin((hour - 9) / 24 * 2 * np.pi), (n, 1))
    sun_w = np.tile(300 * np.maximum(np.sin((hour - 6) / 24 * 2 * np.pi), 0), (n, 1))
    return Ahead(outdoor_c, outdoor_c - 12, sun_w, np.full(outdoor_c.shape, 900.0))


def costs(ahead: Ahead, price: Any = 0.2, ageing_per_h: float = 0.0) -> Costs:
    shape = ahead.outdoor_c.shape
    return Costs(
        np.broadcast_to(price, shape).copy(), np.full(shape[0], ageing_per_h), np.full(shape[0], 0.043)
    )


def dear_from(hour: int, until: int, hours: int) -> np.ndarray:
    price = np.full(hours * 4, 0.1)
    price[hour * 4 : until * 4] = 1.0
    return price


@pytest.mark.kernel
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, step_s=st.sampled_from([300.0, 900.0, 3600.0]))
def test_the_expectation_is_that_of_its_twin(seed: int, step_s: float) -> None:
    rng = np.random.default_rng(seed)
    outdoor_c, solar_w, heat_w, dewpoint_c = random_weather(rng, N, 12)
    setpoint_c, start_c = rng.uniform(18, 32, (N, 12)), rng.uniform(15, 35, N)
    found = expect(
        ALL, start_room(ALL, start_c), Ahead(outdoor_c, dewpoint_c, solar_w, heat_w), setpoint_c, step_s
    )
    for i, name in enumerate(NAMES):
        own = (outdoor_c[i], dewpoint_c[i], solar_w[i], heat_w[i])
        drawn_w, temps_c = naive_expect(room_spec(name), np.full(3, start_c[i]), own, setpoint_c[i], step_s)
        np.testing.assert_allclose(found.electric_w[i], drawn_w, rtol=1e-6, atol=1e-5)
        np.testing.assert_allclose(found.air_c[i], temps_c[:, 0], rtol=0, atol=1e-6)
        np.testing.assert_allclose(found.mass_c[i], temps_c[:, 1], rtol=0, atol=1e-6)
        np.testing.assert_allclose(found.battery_c[i], temps_c[:, 2], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("mean_c", "off"), [(-5.0, 0.2), (8.0, 0.1), (18.0, 0.1), (26.0, 0.06), (33.0, 0.03)]
)
def test_the_expectation_is_what_comes(mean_c: float, off: float) -> None:
    """Energy and air against the simulation, set points leaping up and down; the colder, the less there is to hit."""
    ahead, state = weather(N, 96, mean_c), start_room(ALL, 25.0)
    setpoint_c = np.repeat(np.tile([25.0, 22.0, 27.0, 24.0], (N, 4)), 24, axis=1)  # new every six hours
    expected = expect(ALL, state, ahead, setpoint_c, 900)
    drawn_w, air_c = np.empty(setpoint_c.shape), np.empty(setpoint_c.shape)
    for k in range(setpoint_c.shape[1]):
        now = {name: values[:, k] for name, values in ahead._asdict().items()}
        drawn_w[:, k] = cool_flows(ALL, state, step_s=900, setpoint_c=setpoint_c[:, k], **now)[
            :, : STANDBY + 1
        ].sum(1)
        air_c[:, k] = state.air_c
    assert expected.electric_w.mean(1) == pytest.approx(drawn_w.mean(1), rel=off, abs=2)
    assert (np.abs(expected.air_c - air_c).mean(1) < 0.9).all()


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_hotter_air_is_never_expected_to_cost_less(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outdoor_c, solar_w, heat_w, dewpoint_c = random_weather(rng, N, 48)
    warmer_k = rng.uniform(0.5, 8)
    setpoint_c = np.repeat(rng.uniform(20, 30, (N, 1)), 48, axis=1)
    ahead = Ahead(outdoor_c, dewpoint_c, solar_w, heat_w)
    warmer = ahead._replace(outdoor_c=outdoor_c + warmer_k, dewpoint_c=dewpoint_c + warmer_k)
    cold_w, warm_w = (
        expected_cooling_w(ALL, start_room(ALL, 25.0), a, setpoint_c, 3600) for a in (ahead, warmer)
    )
    rooms = [
        NAMES.index(name) for name in WITH_COMPRESSOR
    ]  # fans alone rest where outdoor air no longer helps
    assert (warm_w.mean(1) >= cold_w.mean(1) * 0.999 - 0.1)[rooms].all()


def independent_cost(
    name: str, ahead: Ahead, c: Costs, drawn_w: np.ndarray, temps_c: np.ndarray, step_s: float
) -> float:
    """What a room that draws (T,) at temperatures (T, 3) costs."""
    spec, own = room_spec(name), tuple(values[0] for values in ahead)
    fixed = np.full(len(drawn_w), spec.limits.safe_setpoint_c)
    standby_w = spec.compressor.standby_w if spec.compressor else 0.0
    held_w = float(naive_expect(spec, np.full(3, 25.0), own, fixed, step_s)[0].mean()) - standby_w
    ageing, worth = (float(c.ageing_per_h[0]), float(c.ageing_per_k[0])), (held_w, float(own[3].mean()))
    return naive_cost(spec, drawn_w, temps_c, c.price[0], ageing, worth, step_s)


def cost_of(name: str, ahead: Ahead, c: Costs, setpoint_c: np.ndarray) -> float:
    own = tuple(values[0] for values in ahead)
    found = naive_expect(room_spec(name), np.full(3, 25.0), own, setpoint_c, 3600)
    return independent_cost(name, ahead, c, *found, 3600)


@pytest.mark.parametrize("name", WITH_COMPRESSOR)
@pytest.mark.parametrize("mean_c", [16.0, 30.0])
def test_a_plan_is_near_the_best_of_all(name: str, mean_c: float) -> None:
    """Against every plan of four blocks of two hours on a grid of 3.5 K, by the independent cost."""
    cooling, ahead = make_cooling([room_spec(name)]), weather(1, 8, mean_c, 3600)
    c, limits = (
        costs(ahead, [0.1, 0.1, 0.3, 0.1, 0.2, 1.0, 0.3, 0.3], ageing_per_h=0.002),
        room_spec(name).limits,
    )
    grid = np.arange(limits.setpoint_min_c, limits.setpoint_max_c + 0.1, 3.5)
    every = np.repeat(np.array(list(product(grid, repeat=4))), 2, axis=1)
    copies = make_cooling([room_spec(name)] * len(every))
    wide = Ahead(*(np.repeat(values, len(every), axis=0) for values in ahead))
    found = expect(copies, start_room(copies, 25.0), wide, every, 3600)
    temps_c = np.stack([found.air_c, found.mass_c, found.battery_c], 2)
    best = min(
        independent_cost(name, ahead, c, *x, 3600) for x in zip(found.electric_w, temps_c, strict=True)
    )
    plan = plan_setpoints(cooling, start_room(cooling, 25.0), ahead, c, 3600, block_s=7200)
    planned, fixed = (cost_of(name, ahead, c, x) for x in (plan.setpoint_c[0], np.full(8, 25.0)))
    assert planned < fixed
    assert planned <= best + 0.03 * (fixed - best)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_a_plan_keeps_to_the_limits_and_never_costs_more_than_the_safe_set_point(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outdoor_c, solar_w, heat_w, dewpoint_c = random_weather(rng, N, 24)
    ahead = Ahead(outdoor_c, dewpoint_c, solar_w, heat_w)
    c = costs(ahead, rng.uniform(-0.05, 0.5, (N, 24)), float(rng.uniform(0, 0.03)))
    plan = plan_setpoints(ALL, start_room(ALL, 25.0), ahead, c, 3600)
    assert (plan.status == PLANNED).all()
    assert (plan.setpoint_c >= ALL.setpoint_min_c[:, None]).all()
    assert (plan.setpoint_c <= ALL.setpoint_max_c[:, None]).all()
    for i, name in enumerate(NAMES):
        own = Ahead(*(values[i : i + 1] for values in ahead))
        own_costs = Costs(*(values[i : i + 1] for values in c))
        planned, fixed = (
            cost_of(name, own, own_costs, x) for x in (plan.setpoint_c[i], fixed_setpoint(ALL, 24)[i])
        )
        assert planned <= fixed + 1e-6 * abs(fixed)


def mean_c(plan: CoolingPlan, hour: int, until: int) -> float:
    return float(plan.setpoint_c[0, hour * 4 : until * 4].mean())


def test_a_room_is_cooled_before_a_dear_evening_and_drifts_through_it() -> None:
    ahead, price = weather(1, 24), dear_from(17, 20, 24)
    plan = plan_setpoints(SHELTER, start_room(SHELTER, 25.0), ahead, costs(ahead, price), 900)
    flat = plan_setpoints(SHELTER, start_room(SHELTER, 25.0), ahead, costs(ahead), 900)
    assert mean_c(plan, 14, 17) < mean_c(flat, 14, 17) - 3
    assert mean_c(plan, 17, 20) > mean_c(plan, 14, 17) + 3
    assert plan.electric_w[0, 68:80].mean() < 0.4 * flat.electric_w[0, 68:80].mean()


def test_cells_that_are_dear_to_age_are_kept_cool() -> None:
    ahead = weather(1, 36)
    warmth = [
        plan_setpoints(SHELTER, start_room(SHELTER, 25.0), ahead, costs(ahead, 0.2, p), 900).battery_c.mean()
        for p in (0.0, 0.05, 0.2)
    ]
    assert warmth[0] - 1 > warmth[1] > warmth[2] + 1


def test_cells_are_kept_in_their_range_even_if_they_cost_nothing() -> None:
    ahead = weather(1, 48, 33.0)
    plan = plan_setpoints(SHELTER, start_room(SHELTER, 25.0), ahead, costs(ahead), 900)
    assert plan.battery_c.max() < SHELTER.battery_max_c[0] + 0.5
    assert plan.battery_c[0, 96:144].max() > SHELTER.battery_max_c[0] - 1.5  # and no cooler than need be


def test_an_event_lets_the_air_drift() -> None:
    ahead = weather(1, 24)
    ease = np.zeros((1, 96), np.bool_)
    ease[0, 60:66] = True
    plan = plan_setpoints(SHELTER, start_room(SHELTER, 25.0), ahead, costs(ahead, 0.2, 0.1), 900, ease=ease)
    assert (plan.setpoint_c[0, 60:66] == SHELTER.setpoint_max_c[0]).all()
    assert plan.setpoint_c[0, :60].max() < 30
    assert plan.electric_w[0, 60:62].max() == pytest.approx(SHELTER.standby_w[0])


@pytest.mark.parametrize("spoilt", ["outdoor_c", "solar_w", "heat_w", "price", "ageing_per_h", "air_c"])
def test_missing_input_is_the_safe_set_point_of_that_room_alone(spoilt: str) -> None:
    ahead, state = weather(N, 24), start_room(ALL, 25.0)
    c = costs(ahead, dear_from(17, 20, 24))
    whole = plan_setpoints(ALL, state, ahead, c, 900)
    named = ahead._asdict() | c._asdict() | state._asdict()
    named[spoilt][(2, 40) if named[spoilt].ndim == 2 else 2] = np.nan
    plan = plan_setpoints(ALL, state, ahead, c, 900)
    assert plan.status.tolist() == [PLANNED, PLANNED, FALLBACK, PLANNED, PLANNED]
    assert (plan.setpoint_c[2] == ALL.safe_setpoint_c[2]).all()
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(plan.setpoint_c[others], whole.setpoint_c[others])


def test_shapes_and_blocks_that_do_not_fit_are_refused() -> None:
    ahead, state = weather(N, 24), start_room(ALL, 25.0)
    c = costs(ahead)
    with pytest.raises(ValueError, match="whole number of steps"):
        plan_setpoints(ALL, state, ahead, c, 900, block_s=1000)
    with pytest.raises(ValueError, match="price must have shape"):
        plan_setpoints(ALL, state, ahead, c._replace(price=c.price[:, 1:]), 900)
    with pytest.raises(ValueError, match="ease must have shape"):
        plan_setpoints(ALL, state, ahead, c, 900, ease=np.zeros((N, 2), np.bool_))
    with pytest.raises(ValueError, match="outdoor_c must have shape"):
        expect(ALL, state, Ahead(*(x[0] for x in ahead)), c.price, 900)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_behind_the_guard_no_set_point_reaches_the_alarm(seed: int) -> None:
    """Adversarial set points and sensors, simulated; units that have the capacity."""
    rng = np.random.default_rng(seed)
    outdoor_c, solar_w, heat_w, dewpoint_c = random_weather(rng, N, 24)
    state, rooms = start_room(ALL, 25.0), [NAMES.index(name) for name in WITH_COMPRESSOR]
    for k in range(96):
        asked = rng.choice([np.nan, np.inf, -np.inf, -1e9, 1e9, 60.0, 18.0], N)
        air = np.where(rng.random(N) < 0.5, state.air_c, rng.choice([np.nan, -300.0, 20.0], N))
        setpoint_c = guard_setpoint(ALL, asked, air, state.battery_c)
        assert np.isfinite(setpoint_c).all()
        h = k // 4
        flows = cool_flows(
            ALL,
            state,
            outdoor_c[:, h],
            solar_w[:, h],
            heat_w[:, h],
            setpoint_c,
            900,
            dewpoint_c=dewpoint_c[:, h],
        )
        assert (flows[rooms, HOTTEST] < ALL.alarm_c[rooms]).all()


@pytest.mark.parametrize(("asked", "air", "battery", "result"), [
    (28.0, 27.0, 25.0, 28.0), (10.0, 27.0, 25.0, 18.0), (50.0, 27.0, 25.0, 32.0),
    (np.nan, 27.0, 25.0, 25.0), (np.inf, 27.0, 25.0, 25.0), (28.0, np.nan, 25.0, 25.0), (20.0, np.nan, 25.0, 20.0),
    (28.0, 27.0, -80.0, 25.0), (28.0, 41.0, 25.0, 18.0), (32.0, 31.0, 30.5, 30.0), (22.0, 31.0, 30.5, 22.0),
])  # fmt: skip
def test_the_guard_may_only_cool_more(asked: float, air: float, battery: float, result: float) -> None:
    found = guard_setpoint(SHELTER, np.array([asked]), np.array([air]), np.array([battery]))
    assert found.tolist() == [result]


def test_what_can_be_spared_is_what_the_simulation_spares() -> None:
    ahead, held = weather(N, 24, 32.0), fixed_setpoint(ALL, 96)
    state = start_room(ALL, 25.0)
    for _ in range(24 * 4):  # settled
        cool_flows(ALL, state, *(np.full(N, x) for x in (32.0, 0.0, 900.0, 25.0)), step_s=900)
    flexible = flexible_part(ALL, state, ahead, held, 900)
    i = NAMES.index("shelter-variable")
    drawn_w, air_c = [], []
    for setpoint_c in (held, held + 7):
        copy = type(state)(*(x.copy() for x in state))
        flows = cool_flows(ALL, copy, *(np.ascontiguousarray(x[:, 0]) for x in
            (ahead.outdoor_c, ahead.solar_w, ahead.heat_w, setpoint_c)), step_s=900)  # fmt: skip
        drawn_w.append(flows[i, : STANDBY + 1].sum())
        air_c.append(copy.air_c[i])
    assert flexible.saved_w[i] == pytest.approx(drawn_w[0] - drawn_w[1], rel=0.15)
    assert flexible.drift_k[i] == pytest.approx(air_c[1] - air_c[0], abs=0.5)
    assert 900 < flexible.held_s[i] < 6 * 3600
    assert flexible.saved_w[NAMES.index("cabinet-exchanger")] == 0  # its fans are at full speed either way
