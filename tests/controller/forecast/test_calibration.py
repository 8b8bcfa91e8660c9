"""Online calibration: right quantiles stay, wrong ones are moved, and a changed network is followed."""

from __future__ import annotations

import numpy as np
import pytest

from controller.forecast.calibration import Calibrator
from controller.forecast.metadata import QUANTILES

NORMAL = np.array([0.0, 0.8416, 1.2816, 1.6449, 2.3263])
EDGES = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
HORIZON, ANCHORS = 24, (1, 4, 24)


def quantiles(n: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    median = rng.uniform(0.05, 0.5, n)
    made = median[:, None, None] + spread * NORMAL[None, None, :]
    return np.repeat(made, HORIZON, 1).astype(np.float32)


def run(spread_forecast: float, spread_true: float, steps: int, n: int = 200) -> np.ndarray:
    """Coverage of the calibrated quantiles one step ahead over the last quarter of the steps."""
    rng = np.random.default_rng(0)
    calibrator = Calibrator(n, HORIZON, ANCHORS, EDGES, None)
    raw = quantiles(n, spread_forecast, rng)
    out, covered = np.empty_like(raw), []
    for step in range(steps):
        calibrator.apply(raw, out)
        calibrator.remember(raw)
        load = (raw[:, 0, 0] + rng.normal(0, spread_true, n)).astype(np.float32)
        if step >= 0.75 * steps:
            covered.append((load[:, None] <= out[:, 0]).mean(0))
        calibrator.score(load)
    return np.mean(covered, 0)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_coverage_is_as_stated_whatever_the_model_thinks(factor: float) -> None:
    assert run(0.01 * factor, 0.01, 160) == pytest.approx(QUANTILES, abs=0.015)


def test_right_quantiles_are_hardly_moved_before_anything_is_seen() -> None:
    rng = np.random.default_rng(1)
    raw = quantiles(50, 0.02, rng)
    out = np.empty_like(raw)
    Calibrator(50, HORIZON, ANCHORS, EDGES, None).apply(raw, out)
    assert np.abs(out - raw).max() < 0.004


def test_quantiles_never_cross_nor_leave_the_range() -> None:
    rng = np.random.default_rng(2)
    raw = np.sort(rng.uniform(0, 1, (300, HORIZON, 5)), axis=2).astype(np.float32)
    calibrator = Calibrator(300, HORIZON, ANCHORS, EDGES, None)
    out = np.empty_like(raw)
    for _ in range(60):
        calibrator.remember(raw)
        calibrator.score(rng.uniform(0, 1, 300).astype(np.float32))
    calibrator.apply(raw, out)
    assert (np.diff(out, axis=2) >= 0).all()
    assert out.min() >= 0
    assert out.max() <= 1


def test_missing_values_teach_nothing() -> None:
    calibrator = Calibrator(10, HORIZON, ANCHORS, EDGES, None)
    before = calibrator.tables.counts.copy()
    calibrator.remember(quantiles(10, 0.01, np.random.default_rng(3)))
    calibrator.score(np.full(10, np.nan, np.float32))
    assert (calibrator.tables.counts == before).all()
    assert before.shape[0] == len(EDGES) + 1


def test_a_forecast_is_scored_with_the_step_it_was_made_for() -> None:
    calibrator = Calibrator(1, HORIZON, ANCHORS, EDGES, None)
    raw = np.zeros((1, HORIZON, 5), np.float32)
    raw[0, :, :] = np.linspace(0.1, 0.5, 5)
    raw[0, 3] += 0.4  # four steps ahead
    calibrator.remember(raw)
    before = calibrator.tables.counts[:, 1].sum(1).copy()
    for step in range(4):
        calibrator.score(np.array([0.15], np.float32))
        changed = np.flatnonzero(calibrator.tables.counts[:, 1].sum(1) > before)
        assert list(changed) == ([4] if step == 3 else [])  # median 0.5 is in the highest group


def shifted_coverage(first_day: int, last_day: int, moved: slice) -> np.ndarray:
    """Coverage of the ``moved`` cells on some days after their loads rose by four spreads."""
    rng = np.random.default_rng(4)
    n, spread, quiet_days = 40, 0.01, 5
    calibrator = Calibrator(n, HORIZON, ANCHORS, EDGES, None)
    raw = quantiles(n, spread, rng)
    out, covered = np.empty_like(raw), []
    for step in range((quiet_days + last_day) * HORIZON):
        calibrator.apply(raw, out)
        calibrator.remember(raw)
        load = raw[:, 0, 0] + rng.normal(0, spread, n)
        if step >= quiet_days * HORIZON:
            load[moved] += 4 * spread
        if step >= (quiet_days + first_day - 1) * HORIZON:
            covered.append(load[moved, None] <= out[moved, 0])
        calibrator.score(load.astype(np.float32))
    return np.mean(np.concatenate(covered), 0)


@pytest.mark.parametrize("moved", [slice(None), slice(0, 20), slice(0, 4)])
def test_cells_that_rise_are_covered_again_after_three_days(moved: slice) -> None:
    assert shifted_coverage(1, 1, moved)[0] < 0.2
    assert shifted_coverage(4, 10, moved) == pytest.approx(QUANTILES, abs=0.05)


def test_a_part_of_the_cells_is_calibrated_with_its_own_place() -> None:
    calibrator = Calibrator(6, HORIZON, ANCHORS, EDGES, None)
    calibrator.tables.moved[:, 4] = 1.0
    raw = quantiles(6, 0.01, np.random.default_rng(5))
    whole, part = np.empty_like(raw), np.empty_like(raw)[:3]
    calibrator.apply(raw, whole)
    calibrator.apply(raw[3:], part, 3)
    assert (part == whole[3:]).all()
    assert whole[4, 0, 0] > raw[4, 0, 0] + 0.005
