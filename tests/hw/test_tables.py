"""Tables of a world for kernels, and the figures that they give."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.worlds import EvaluatedWorld
from hw.compiling import reference_radio, whole_samples
from hw.radio import Radio, mean_power
from hw.spec import World3gppSpec
from hw.tables import LATENCY_BINS, LATENCY_CAP_MS, Tables, draw, latency_quantile_ms, pack, slowdown
from hw.world import SYMBOL


@pytest.mark.parametrize(
    ("seconds", "sample_s", "samples"),
    [(0, 60, 0), (1, 60, 0), (59.9, 60, 0), (60, 60, 1), (61, 60, 2), (180, 60, 3), (1, 1, 1), (180, 900, 0)],
)
def test_wake_up_times_in_samples(seconds: float, sample_s: int, samples: int) -> None:
    assert whole_samples(seconds, sample_s) == samples


def test_tables_of_another_grain(world: EvaluatedWorld) -> None:
    minute, second = (pack(world.world, sample_s=s, target_mbit_s=25, target_share=0.8) for s in (60, 1))
    assert minute.wake_samples.tolist() == [0, 0, 0, 0, 0, 1, 3]
    assert second.wake_samples.tolist() == [0, 0, 1, 1, 1, 60, 180]
    np.testing.assert_allclose(second.wake_energy, 60 * minute.wake_energy, rtol=1e-6)
    assert second.wake_energy[0, 6] == pytest.approx(1)  # 1000 P1 ms


@pytest.fixture(scope="module")
def radio(world: EvaluatedWorld) -> Radio:
    spec = World3gppSpec.model_validate(
        {
            key: world.world.parameters[key]
            for key in ("name", "model", "radio", "full_rate_mbit_s", "txru_ladder")
        }
        | {"schema": "quietcell.world/1"}
    )
    return reference_radio(spec, world.evaluation)


@pytest.mark.parametrize("level", range(5))
def test_power_between_load_points_is_that_of_the_radio(tables: Tables, radio: Radio, level: int) -> None:
    share = [1, 1, 0.5, 0.25, 0.125][level]
    rate = float(tables.rate[0, level])
    for offered in (0.0, 1e-4, 0.0317, 0.25, 0.499, rate, 1.0):
        load = min(offered / rate, 1)
        exact = mean_power(radio, np.array([load]), share, symbol_shutdown=level >= SYMBOL)[0]
        assert draw(tables, 0, level, np.float32(offered), np.float32(0)) == pytest.approx(exact, rel=2e-5)


def test_uplink_is_never_more_than_full(tables: Tables) -> None:
    at_rest = draw(tables, 0, SYMBOL, np.float32(0.5), np.float32(0))
    for ul_per_dl, ul_load in ((0.25, 0.125), (2, 1), (50, 1)):
        power = draw(tables, 0, SYMBOL, np.float32(0.5), np.float32(ul_per_dl))
        assert power - at_rest == pytest.approx(0.25 * 55 * ul_load, rel=1e-4)
    assert draw(tables, 0, 5, np.float32(0.5), np.float32(1)) == 25


@given(throughput=st.floats(1e-3, 2000), under_none=st.floats(1e-3, 2000))
def test_latency_bins_hold_the_added_latency(tables: Tables, throughput: float, under_none: float) -> None:
    at = slowdown(tables, throughput, under_none)[1]
    added_ms = max(0.0, 1000 / throughput - 1000 / under_none)
    low, high = (LATENCY_CAP_MS * ((at + k) / (LATENCY_BINS - 1)) ** 2 for k in (0, 1))
    assert low <= added_ms * (1 + 1e-9)
    assert added_ms <= high * (1 + 1e-9) or at == LATENCY_BINS - 1


def test_quantiles_of_the_added_latency(tables: Tables) -> None:
    histogram = np.zeros(LATENCY_BINS)
    assert latency_quantile_ms(histogram, 0.95) == 0
    histogram[0] = 95
    histogram[slowdown(tables, 500.0, 1000.0)[1]] = 5  # 1 ms more
    assert latency_quantile_ms(histogram, 0.95) == 0
    assert 1 <= latency_quantile_ms(histogram, 0.951) <= 1.3
    histogram[-1] = 1000
    assert latency_quantile_ms(histogram, 0.95) == LATENCY_CAP_MS
    assert math.isfinite(latency_quantile_ms(histogram, 1.0))
