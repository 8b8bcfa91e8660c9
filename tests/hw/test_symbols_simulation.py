"""The per-slot simulator against its naive twin and against gaps worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controller.symbols.carrier import load_carrier
from hw.symbols.layout import Layout, lay_out
from hw.symbols.levers import LeverSpec, Sleep, rest_ms
from hw.symbols.simulation import SymbolRun, simulate
from tests.hw.frames import PRACH, TDD, frame
from tests.hw.naive_symbols import Naive, dl_power

CARRIER = load_carrier("3gpp-cat1-set2")
RADIO, SLEEP = CARRIER.radio, CARRIER.sleep
LEVERS = [(light, filling) for light in (False, True) for filling in (False, True)]
FRAMES: dict[str, dict[str, Any]] = {
    "fdd": {},
    "fdd with prach and sib1": {"uplink": PRACH, "sib1": {"symbols_per_beam": 3, "prb": 10}},
    "tdd": TDD,
    "no pdcch": {"pdcch_symbols": 0},
}


def traffic(rng: np.random.Generator, n: int, rate: float) -> np.ndarray:
    return np.where(rng.random(n) < rate, rng.uniform(0.02, 1.0, n), 0.0)


def run(layout: Layout, demand: list[float] | np.ndarray, **levers: Any) -> SymbolRun:
    data = np.asarray(demand, np.float64)
    return simulate(layout, RADIO, SLEEP, LeverSpec(**levers), data, np.zeros_like(data))


@pytest.mark.kernel
@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize(("light", "filling"), LEVERS)
@pytest.mark.parametrize("rate", [0.0, 0.03, 0.2, 0.9])
def test_the_kernel_is_its_naive_twin(name: str, light: bool, filling: bool, rate: float) -> None:
    layout = lay_out(frame(**FRAMES[name]))
    rng = np.random.default_rng(int(100 * rate) + 2 * light + filling)
    levers = LeverSpec(light_sleep=light, filling=filling, latency_budget_ms=7, feedback_ms=2)
    for _ in range(3):
        dl, ul = traffic(rng, 400, rate), traffic(rng, 400, rate / 4)
        found = simulate(layout, RADIO, SLEEP, levers, dl, ul)
        naive = Naive(layout, RADIO, SLEEP, levers).run(dl.tolist(), ul.tolist())
        assert found.power[0] * 400 * 14 == pytest.approx(naive.energy, rel=1e-9)
        assert found.light_share[0] * 400 == pytest.approx(naive.light_slots)
        assert found.sleeps_per_ms[0] * 400 / layout.slots_per_ms == pytest.approx(naive.sleeps)
        assert found.used_share[0] * 400 * 14 * layout.dl_symbol_share == pytest.approx(naive.used)
        assert found.busy_slots[0] == naive.busy_slots
        assert (found.wait_ms * layout.slots_per_ms).tolist() == pytest.approx(naive.wait)
        if not light:
            assert found.power_none[0] * 400 * 14 == pytest.approx(naive.none, rel=1e-9)


def test_an_empty_carrier_sleeps_from_burst_to_burst() -> None:
    # 20 slots: one SSB of 4 symbols at 20 of 50 RBs, then 19 ms of light sleep and one transition
    found = run(lay_out(frame()), np.zeros(20), light_sleep=True)
    on_air = 4 * dl_power(RADIO, 0.4) + 10 * 50
    assert found.power[0] * 280 == pytest.approx(on_air + 19 * 14 * 25 + 90 * 14)
    assert found.light_share[0] == pytest.approx(0.95)
    assert found.sleeps_per_ms[0] == pytest.approx(1 / 20)


@pytest.mark.parametrize(
    ("world", "shortest_ms"),
    [
        ("3gpp-cat1-set1", 6.0),  # 90 / (55 - 25) = 3 pays earlier than 6 ms are over
        ("3gpp-cat1-set3", 90 / 13),  # pays later
        ("3gpp-cat2-set1", 640.0),
    ],
)
def test_light_sleep_outlasts_its_transition_and_pays(world: str, shortest_ms: float) -> None:
    carrier = load_carrier(world)
    assert rest_ms(carrier.radio, carrier.sleep) == pytest.approx(shortest_ms)


def test_no_gap_on_air_is_long_enough_for_category_2() -> None:
    carrier = load_carrier("3gpp-cat2-set2", "fr1-fdd-15khz", 160)
    nothing = np.zeros(1600)
    levers = LeverSpec(light_sleep=True)
    found = simulate(carrier.layout, carrier.radio, carrier.sleep, levers, nothing, nothing)
    assert found.light_share[0] == 0


def test_data_that_meets_a_sleeping_radio_waits_for_it() -> None:
    demand = np.zeros(40)
    demand[10] = 0.3
    found = run(lay_out(frame()), demand, light_sleep=True)
    assert found.wait_ms.tolist() == [3]  # the upper half of 6 ms
    demand = np.zeros(40)
    demand[2] = 0.3  # on the way down: both halves are left, but one slot is over
    assert run(lay_out(frame()), demand, light_sleep=True).wait_ms.tolist() == [5]


def test_small_transmissions_share_a_slot_within_the_budget() -> None:
    demand = np.zeros(20)
    demand[[3, 5, 8]] = 0.25
    layout = lay_out(frame())
    plain, filled = run(layout, demand), run(layout, demand, filling=True, latency_budget_ms=6)
    assert plain.busy_slots[0] == 3
    assert filled.busy_slots[0] == 1
    assert filled.wait_ms.tolist() == [6, 4, 1]
    # 4 of SSB, 2 of PDCCH, and 9 symbols at full band for 3/4 of a slot of 12
    assert filled.used_share[0] * 280 == pytest.approx(4 + 2 + 9)
    assert plain.used_share[0] * 280 == pytest.approx(4 + 3 * 14)


def test_a_full_slot_does_not_wait() -> None:
    demand = np.zeros(20)
    demand[[3, 4]] = 0.5
    assert run(lay_out(frame()), demand, filling=True).wait_ms.tolist() == [1, 0]


def test_what_waits_goes_with_the_burst() -> None:
    demand = np.zeros(40)
    demand[18] = 0.1
    assert run(lay_out(frame()), demand, filling=True, light_sleep=True).wait_ms.tolist() == [2]


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_added_latency_stays_within_the_budget_where_there_is_room(rate: float) -> None:
    rng = np.random.default_rng(1)
    demand = np.where(rng.random(4000) < rate, rng.uniform(0.02, 0.2, 4000), 0.0)
    for budget in (3.0, 10.0):
        for light in (False, True):
            found = run(lay_out(frame()), demand, filling=True, light_sleep=light, latency_budget_ms=budget)
            assert found.wait_ms.max() <= max(budget, SLEEP.transition_ms)


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.3, 1.0])
def test_levers_save_and_data_is_conserved(rate: float) -> None:
    rng = np.random.default_rng(2)
    demand = np.zeros(4000)
    demand[:3900] = traffic(rng, 3900, rate)
    demand *= 0.8
    runs = {(a, b): run(lay_out(frame()), demand, light_sleep=a, filling=b) for a, b in LEVERS}
    sent = int((demand > 0).sum())
    assert all(len(one.wait_ms) == sent for one in runs.values())
    plain = runs[False, False].power[0]
    assert plain <= runs[False, False].power_none[0]
    assert runs[False, True].power[0] <= plain + 1e-9
    assert runs[True, True].power[0] <= runs[False, True].power[0] + 0.5


def test_windows_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(3)
    demand = traffic(rng, 1000, 0.1)
    layout, levers = lay_out(frame()), LeverSpec(light_sleep=True, filling=True)
    whole = simulate(layout, RADIO, SLEEP, levers, demand, np.zeros(1000))
    parts = simulate(layout, RADIO, SLEEP, levers, demand, np.zeros(1000), window_slots=100)
    assert len(parts.power) == 10
    for name in ("power", "light_share", "sleeps_per_ms", "used_share"):
        assert getattr(parts, name).mean() == pytest.approx(getattr(whole, name)[0])


def test_bad_demand_is_refused() -> None:
    layout = lay_out(frame())
    for bad in ([-0.1], [np.nan], [np.inf], []):
        with pytest.raises(ValueError, match="demand"):
            run(layout, bad)
    with pytest.raises(ValueError, match="linear"):
        simulate(layout, replace(RADIO, variable_eta=True), Sleep(6, 90), LeverSpec(), np.ones(1), np.ones(1))
