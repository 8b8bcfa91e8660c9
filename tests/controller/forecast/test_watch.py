"""Health of forecasts, and the calendar behind them."""

from __future__ import annotations

import numpy as np
import pytest

from controller.errors import ModelError
from controller.forecast.backtest import Backtest, backtest
from controller.forecast.calendar import Calendar
from controller.forecast.watch import judge
from tests.controller.forecast.invented import invented_trace


@pytest.fixture(scope="module")
def made() -> tuple[Backtest, np.ndarray]:
    trace = invented_trace(4, 10)
    run = backtest(None, trace, horizons=(1,), first_origin=5 * 24, last_origin=10 * 24 - 1)
    return run, trace.dl_prb_ratio


def test_good_forecasts_need_nothing(made: tuple[Backtest, np.ndarray]) -> None:
    health = judge(*made, 24, None)
    assert health.advice == ()
    assert not health.drifting.any()
    assert health.coverage[3] == pytest.approx(0.95, abs=0.04)


def test_bad_forecasts_ask_for_training_and_name_the_cells(made: tuple[Backtest, np.ndarray]) -> None:
    run, load = made
    spoilt = run.quantile.copy()
    spoilt[:2] -= 0.3
    health = judge(Backtest(run.origin, run.horizons, spoilt), load, 24, None)
    assert list(health.drifting) == [True, True, False, False]
    assert any("retrain" in line for line in health.advice)
    assert any("calibration" in line for line in health.advice)


def test_local_slots_and_holidays() -> None:
    calendar = Calendar(3600, "Asia/Shanghai", "CN")
    begin = np.datetime64("2024-09-30T16:00:00", "s")  # local midnight of 1 October, a Tuesday and a holiday
    day, week = calendar.slots(begin, 25)
    assert (day[0], day[24], week[0]) == (0, 0, 24)
    rest, holiday = calendar.day_types(begin, 1)
    assert (rest[0], holiday[0]) == (1, 1)
    assert Calendar(3600, "Asia/Shanghai").day_types(begin, 1)[0][0] == 0


def test_an_unknown_country_is_refused() -> None:
    with pytest.raises(ModelError, match="ISO 3166"):
        Calendar(3600, "UTC", "ZZ")
