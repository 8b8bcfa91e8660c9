"""Energy is kept at each place of the plant, whatever comes; a leak in any flow is found."""

from __future__ import annotations

import numpy as np
import pytest

from hw.power import flows as f
from hw.power.balance import BATTERY, PLACE_NAMES, PLACES, allowed_wh, leaks, residuals_wh
from hw.power.plant import make_plant, start_state, step
from tests.hw.power.plants import random_specs, random_step


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step_s", [60, 900, 3600, 1000.5])
def test_every_place_is_balanced_in_every_step(seed: int, step_s: float) -> None:
    rng = np.random.default_rng(seed)
    n = 40
    plant = make_plant(random_specs(rng, n))
    state = start_state(plant, rng.uniform(0, 1, n), rng.uniform(0.5, 1, n))
    for _ in range(60):
        flows = step(plant, state, *random_step(rng, n), step_s)
        assert not leaks(flows, step_s).any(), residuals_wh(flows, step_s)
        assert (flows >= 0).all()
        assert (flows[:, f.STORED_AFTER] == state.stored_wh).all()
        assert (state.stored_wh <= plant.rated_wh * (1 + 1e-12)).all()


@pytest.mark.parametrize("column", [c for c in range(f.N_FLOWS) if any(c in i + o for i, o in PLACES)])
def test_a_leak_of_a_millionth_in_any_flow_is_found(column: int) -> None:
    rng = np.random.default_rng(5)
    n, step_s = 300, 900
    plant = make_plant(random_specs(rng, n))
    state = start_state(plant, rng.uniform(0.3, 0.9, n), np.ones(n))
    given, wish = random_step(rng, n)
    flows = step(plant, state, given._replace(mains=np.ones(n, np.bool_)), wish, step_s)
    at = [place for place, (into, out) in enumerate(PLACES) if column in into + out]
    leaked_wh = 1e-6 * flows[:, column] * step_s / 3600
    flowing = leaked_wh > 2 * allowed_wh(flows, step_s)[:, at].max(1)
    assert flowing.sum() >= 3
    leaky = flows.copy()
    leaky[:, column] *= 1 - 1e-6
    assert leaks(leaky, step_s)[flowing][:, at].all()
    elsewhere = [place for place in range(len(PLACES)) if place not in at]
    assert not leaks(leaky, step_s)[:, elsewhere].any()


def test_a_leak_in_what_is_stored_is_found_at_the_battery() -> None:
    rng = np.random.default_rng(6)
    plant = make_plant(random_specs(rng, 5))
    state = start_state(plant, np.full(5, 0.5), np.ones(5))
    flows = step(plant, state, *random_step(rng, 5), 900)
    flows[:, f.STORED_AFTER] *= 1 - 1e-6
    assert leaks(flows, 900)[:, BATTERY].all()
    flows[0, f.RADIO] = np.nan
    assert leaks(flows, 900)[0, 0]


def test_names_fit_the_places() -> None:
    assert len(PLACE_NAMES) == len(PLACES)
    assert allowed_wh(np.zeros((1, f.N_FLOWS)), 900).tolist() == [[1e-9] * len(PLACES)]
