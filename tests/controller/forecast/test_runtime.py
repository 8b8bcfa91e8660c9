"""The step forecaster: clocks, gaps, absurd values, fallbacks, and no look ahead."""

from __future__ import annotations

import numpy as np
import pytest

from controller.errors import ModelError
from controller.forecast.backtest import backtest
from controller.forecast.runtime import Source, StepForecaster
from tests.controller.forecast.invented import START, invented_load, invented_trace

HOUR = np.timedelta64(3600, "s")


def fed(load: np.ndarray, site: np.ndarray | None = None) -> StepForecaster:
    sites = np.arange(len(load), dtype=np.int32) if site is None else site
    forecaster = StepForecaster(sites, 3600, "UTC", None)
    for step in range(load.shape[1]):
        forecaster.observe(load[:, step], START + step * HOUR)
    return forecaster


def test_the_seasonal_profile_forecasts_without_a_model() -> None:
    made = fed(invented_load(3, 6)).forecast()
    assert made.quantile.shape == (3, 24, 5)
    assert (np.diff(made.quantile, axis=2) >= 0).all()
    assert (made.source == Source.SEASONAL).all()
    assert made.begin == START + 6 * 24 * HOUR


def test_a_step_that_does_not_divide_a_day_is_refused() -> None:
    with pytest.raises(ModelError, match="resample"):
        StepForecaster(np.zeros(1, np.int32), 7000, "UTC", None)


def test_known_steps_are_set_aside_and_counted() -> None:
    load = invented_load(2, 4)
    forecaster, other = fed(load), fed(load)
    forecaster.observe(np.ones(2, np.float32), START + 5 * HOUR)
    assert forecaster.ignored_steps == 1
    assert (forecaster.forecast().quantile == other.forecast().quantile).all()


def test_missed_steps_count_as_not_measured() -> None:
    load = invented_load(2, 4)
    load[:, 50:60] = np.nan
    gap = StepForecaster(np.arange(2, dtype=np.int32), 3600, "UTC", None)
    for step in [*range(50), *range(60, load.shape[1])]:
        gap.observe(load[:, step], START + step * HOUR)
    assert (gap.forecast().quantile == fed(load).forecast().quantile).all()


def test_a_leap_of_years_is_survived() -> None:
    forecaster = fed(invented_load(2, 4))
    forecaster.observe(np.full(2, 0.2, np.float32), START + np.timedelta64(3650, "D"))
    assert np.isfinite(forecaster.forecast().quantile).all()


def test_absurd_values_are_missing_values() -> None:
    load = invented_load(2, 4)
    spoilt = load.copy()
    spoilt[0, 70], spoilt[1, 71], spoilt[0, 72] = -0.2, 57.0, np.inf
    load[0, 70], load[1, 71], load[0, 72] = np.nan, np.nan, np.nan
    forecaster = fed(spoilt)
    assert forecaster.absurd_values == 3
    assert (forecaster.forecast().quantile == fed(load).forecast().quantile).all()


def test_cells_without_history_say_that_they_use_their_group() -> None:
    load = invented_load(4, 4)
    load[3] = np.nan
    made = fed(load, np.array([0, 0, 1, 1], np.int32)).forecast()
    assert made.source[3] == Source.GROUP
    assert (made.source[:3] == Source.SEASONAL).all()
    assert np.isfinite(made.quantile).all()


def test_nothing_measured_gives_no_number() -> None:
    made = fed(np.full((2, 30), np.nan, np.float32)).forecast()
    assert (made.source == Source.NONE).all()
    assert np.isnan(made.quantile).all()


def test_constant_and_zero_series_give_ascending_finite_quantiles() -> None:
    load = np.stack([np.full(96, 0.3), np.zeros(96)]).astype(np.float32)
    made = fed(load).forecast()
    assert np.isfinite(made.quantile).all()
    assert (np.diff(made.quantile, axis=2) >= 0).all()
    assert made.quantile[0, :, 0] == pytest.approx(np.full(24, 0.3), abs=0.03)


def test_data_after_an_origin_does_not_change_its_forecast() -> None:
    trace = invented_trace(4, 6)
    spoilt = trace.dl_prb_ratio.copy()
    spoilt[:, 100:] = 0.9
    changed = trace.select_cells(np.arange(4))
    changed.dl_prb_ratio[:] = spoilt
    one = backtest(None, trace, horizons=(1, 24), first_origin=90, last_origin=100)
    two = backtest(None, changed, horizons=(1, 24), first_origin=90, last_origin=100)
    assert (one.quantile == two.quantile).all()
