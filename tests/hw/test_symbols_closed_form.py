"""The closed form against the simulator on traffic like its own, and levers in worlds."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from controller.errors import ConfigError
from controller.symbols.carrier import Carrier, load_carrier
from controller.symbols.catalogue import load_frame, load_symbol_model
from controller.worlds import EvaluatedWorld, default_evaluation, load_spec, load_world, world_for
from hw.errors import WorldError
from hw.radio import mean_power, used_symbol_share
from hw.spec import World3gppSpec
from hw.symbols.closed_form import filled_symbol_share, predicted_power, rests
from hw.symbols.layout import lay_out
from hw.symbols.levers import Lever, LeverSpec, Sleep
from hw.symbols.simulation import simulate
from hw.symbols.worlds import pull_levers
from hw.world import FULL, LOAD_BINS, SYMBOL
from tests.hw.frames import frame

MODEL = load_symbol_model()
CARRIERS = [load_carrier(w) for w in ("3gpp-cat1-set1", "3gpp-cat1-set2", "3gpp-cat1-set3")]
BOTH = LeverSpec(light_sleep=True, filling=True)
SWITCHES = [LeverSpec(light_sleep=a, filling=b) for a, b in product((False, True), repeat=2)]
LOAD = np.arange(LOAD_BINS + 1) / LOAD_BINS


def levered(name: str, *levers: Lever) -> EvaluatedWorld:
    return world_for(name, None, levers)  # type: ignore[arg-type]


@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda c: c.world)
@pytest.mark.parametrize("levers", SWITCHES)
def test_an_empty_carrier_is_exact(carrier: Carrier, levers: LeverSpec) -> None:
    nothing = np.zeros(carrier.layout.n_slots * 3)
    found = simulate(carrier.layout, carrier.radio, carrier.sleep, levers, nothing, nothing)
    predicted = predicted_power(carrier.layout, carrier.radio, carrier.sleep, levers, MODEL, np.zeros(1))
    assert predicted[0] == pytest.approx(
        found.power[0], rel=0.01
    )  # gaps are cut to steps of half a millisecond


@pytest.mark.parametrize("filling", [False, True])
def test_poisson_episodes_rest_as_the_renewal_equation_says(filling: bool) -> None:
    """Episodes of the form itself: one slot of data each, in a Poisson process, feedback the rest of the episode."""
    carrier = CARRIERS[1]
    rng = np.random.default_rng(0)
    rate = 0.04
    levers = LeverSpec(light_sleep=True, filling=filling, latency_budget_ms=8, feedback_ms=4)
    demand = np.where(rng.random(400_000) < rate, 0.02, 0.0)
    found = simulate(carrier.layout, carrier.radio, carrier.sleep, levers, demand, np.zeros_like(demand))
    part = MODEL.of(levers)
    episodes = part.episodes.model_copy(update={"rate_per_ms": rate, "exponent": 1.0, "awake_ms": 5.0})
    part = part.model_copy(update={"episodes": episodes})
    model = MODEL.model_copy(update={"plain": part, "filled": part})
    half = np.array([0.5])  # r / (1 - r) is one there; the episode doubles, so it is halved
    halved = episodes.model_copy(update={"awake_ms": 2.5})
    part = part.model_copy(update={"episodes": halved})
    model = model.model_copy(update={"plain": part, "filled": part})
    light, sleeps = rests(carrier.layout, carrier.radio, carrier.sleep, levers, model, half)
    assert light[0] == pytest.approx(found.light_share[0], rel=0.05)
    assert sleeps[0] == pytest.approx(found.sleeps_per_ms[0], rel=0.08)


@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda c: c.world)
def test_rests_shrink_with_load_to_nothing(carrier: Carrier) -> None:
    for levers in (LeverSpec(light_sleep=True), BOTH):
        light, sleeps = rests(carrier.layout, carrier.radio, carrier.sleep, levers, MODEL, LOAD)
        assert (np.diff(light) <= 1e-9).all()
        assert light[0] == pytest.approx(carrier.layout.gaps_ms().max() / 20, abs=0.02)
        assert light[-1] < 0.01
        assert sleeps[0] == pytest.approx(1 / 20)


def test_nothing_rests_without_the_lever_or_where_no_gap_is_long_enough() -> None:
    one = CARRIERS[0]
    for carrier, levers in ((one, LeverSpec(filling=True)), (load_carrier("3gpp-cat2-set1"), BOTH)):
        light, sleeps = rests(carrier.layout, carrier.radio, carrier.sleep, levers, MODEL, LOAD)
        assert not light.any()
        assert not sleeps.any()


def test_a_stretched_ssb_period_lets_an_idle_radio_rest_longer() -> None:
    carrier = CARRIERS[1]
    light = []
    for period in (20, 40, 80, 160):
        layout = lay_out(frame().stretched(period))  # type: ignore[arg-type]
        light.append(rests(layout, carrier.radio, carrier.sleep, BOTH, MODEL, np.zeros(1))[0][0])
    assert light == pytest.approx([1 - 1 / period for period in (20, 40, 80, 160)])


def test_packed_data_uses_fewer_symbols_but_never_fewer_than_its_rbs() -> None:
    plain = used_symbol_share(LOAD)
    filled = filled_symbol_share(CARRIERS[0].layout, MODEL, LOAD, plain)
    assert (filled <= plain + 1e-12).all()
    assert (filled >= LOAD - 1e-12).all()
    assert (np.diff(filled) > 0).all()


@pytest.mark.parametrize("name", ["3gpp-cat1-set1", "3gpp-cat1-set2", "3gpp-cat1-set3", "3gpp-cat2-set1"])
@pytest.mark.parametrize("levers", [("light_sleep",), ("filling",), ("light_sleep", "filling")])
def test_levers_lower_every_level_on_air_but_full(name: str, levers: tuple[Lever, ...]) -> None:
    found = levered(name, *levers)
    world, plain = found.world, load_world(name).world
    assert found.plain is not None
    assert (found.plain.power == plain.power).all()
    on_air = [i for i in range(SYMBOL, plain.n_levels) if not plain.asleep[i]]
    untouched = [FULL, *np.flatnonzero(plain.asleep)]
    assert (world.power[:, untouched] == plain.power[:, untouched]).all()
    assert (world.power[:, on_air] <= plain.power[:, on_air] + 1e-4).all()
    assert (np.diff(world.power[0, SYMBOL]) > 0).all()
    saves = "filling" in levers or "cat1" in name
    assert (world.power[0, SYMBOL, 20] < plain.power[0, SYMBOL, 20] - 1e-3) == saves
    assert (world.idle_power == plain.power[:, SYMBOL, 0]).all()


def test_an_idle_cell_with_light_sleep_by_hand() -> None:
    # 18.5 of 20 ms in light sleep, one transition
    world = levered("3gpp-cat1-set1", "light_sleep").world
    plain = load_world("3gpp-cat1-set1").world
    saved = 30 * 18.5 / 20 - 90 / 20
    assert plain.power[0, SYMBOL, 0] - world.power[0, SYMBOL, 0] == pytest.approx(saved, rel=1e-5)
    rf_8 = world.level_names.index("rf_channel_8")
    assert plain.power[0, rf_8, 0] - world.power[0, rf_8, 0] == pytest.approx(saved, rel=1e-5)


def test_filling_frees_the_idle_part_of_the_symbols_it_empties() -> None:
    carrier, world = CARRIERS[0], levered("3gpp-cat1-set1", "filling").world
    at = 100
    plain = used_symbol_share(LOAD)
    freed = (plain - filled_symbol_share(carrier.layout, MODEL, LOAD, plain))[at]
    expected = 0.75 * (1 - 48 / 560) * freed * 0.4 * 225
    power = mean_power(carrier.radio, LOAD, 1.0, symbol_shutdown=True)
    assert power[at] - world.power[0, SYMBOL, at] == pytest.approx(expected, rel=1e-3)


def test_levers_are_echoed() -> None:
    parameters = levered("3gpp-cat1-set1", "light_sleep").world.parameters
    assert parameters["levers"]["light_sleep"] is True
    assert parameters["levers"]["filling"] is False
    assert parameters["levers"]["longest_gap_ms"] == 18.5
    assert "levers" not in load_world("3gpp-cat1-set1").world.parameters


@pytest.mark.parametrize("name", ["earth-macro", "calibrated", "fitted.json"])
def test_other_worlds_have_no_symbols_to_rest(name: str) -> None:
    with pytest.raises(ConfigError, match="3GPP reference radio"):
        levered(name, "filling")


def test_a_world_that_counts_other_symbols_is_refused() -> None:
    spec = load_spec("3gpp-cat1-set1")
    assert isinstance(spec, World3gppSpec)
    evaluation = default_evaluation()
    always_on = evaluation.always_on.model_copy(update={"symbol_share": 0.1})
    odd = evaluation.model_copy(update={"always_on": always_on})
    plain = load_world("3gpp-cat1-set1").world
    with pytest.raises(WorldError, match=r"0\.100000 always-on symbols"):
        pull_levers(plain, spec, odd, load_frame("evaluation-tdd-30khz"), BOTH, MODEL)


def test_light_sleep_is_left_where_it_would_cost() -> None:
    carrier = CARRIERS[2]
    levers = LeverSpec(light_sleep=True)
    costly = replace(carrier, sleep=Sleep(6, 90))
    saved = predicted_power(costly.layout, costly.radio, costly.sleep, LeverSpec(), MODEL, LOAD)
    saved = saved - predicted_power(costly.layout, costly.radio, costly.sleep, levers, MODEL, LOAD)
    assert saved.min() < 0
    world, plain = levered("3gpp-cat1-set3", "light_sleep").world, load_world("3gpp-cat1-set3").world
    assert (world.power[:, SYMBOL] <= plain.power[:, SYMBOL]).all()
