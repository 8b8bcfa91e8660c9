from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from policies.trust.savings import Record, Saving, Savings, Span, efficiency_gain, estimate

Floats = NDArray[np.float64]
DAY, HISTORY, WINDOW = 24, 28, 7
TICKS = DAY * (HISTORY + WINDOW)
N, CONTROLS, SAVED = 8, 16, 0.25
SPAN = Span(
    np.arange(TICKS) < DAY * HISTORY,
    np.arange(TICKS) >= DAY * HISTORY,
    np.arange(TICKS) // DAY,
    np.arange(TICKS) % DAY,
)
REGION = np.repeat([0, 1], N // 2)


def course(rng: np.random.Generator, n: int, sigma: float, memory: float = 0.98) -> Floats:
    white = rng.standard_normal((n, TICKS))
    white[:, 1:] *= np.sqrt(1 - memory**2)
    return np.asarray(sigma * lfilter([1.0], [1.0, -memory], white, axis=1))


def metered(seed: int, common: float = 0.01, own: float = 0.005) -> Record:
    """Meters of the canaries, then the controls; canaries save ``SAVED`` in the window."""
    rng = np.random.default_rng(seed)
    n = N + CONTROLS
    baseline = 10 * (1.5 + np.sin(2 * np.pi * np.arange(TICKS) / DAY) + 0.2 * rng.random((n, TICKS)))
    log = course(rng, 1, common) + course(rng, n, own) + 0.01 * rng.standard_normal((n, TICKS))
    measured = baseline * np.exp(log + 0.1 * rng.standard_normal((n, 1)))
    measured[:N, SPAN.window] *= 1 - SAVED
    measured[rng.random(measured.shape) < 0.02] = np.nan
    return Record(measured, baseline)


def split(record: Record) -> tuple[Record, Record]:
    return Record(*(a[:N] for a in record)), Record(*(a[N:] for a in record))


def savings(seed: int, weight: Floats | None = None, common: float = 0.01) -> tuple[Savings, Savings]:
    canary, control = split(metered(seed, common))
    even = np.full((N, CONTROLS), 1 / CONTROLS)
    return estimate(canary, control, even if weight is None else weight, SPAN, REGION)


def covers(found: Saving) -> NDArray[np.bool_]:
    return np.asarray((found.low <= SAVED) & (found.high >= SAVED))


def test_intervals_of_the_region_cover_the_truth_in_95_of_100_cases() -> None:
    inside: dict[str, list[bool]] = {}
    width: dict[str, list[float]] = {}
    for seed in range(250):
        _, regions = savings(seed)
        for way, found in regions._asdict().items():
            inside.setdefault(way, []).extend(covers(found).tolist())
            width.setdefault(way, []).extend(found.width.tolist())
    for way, found in inside.items():
        assert 0.92 <= np.mean(found) <= 0.98, way
    assert np.median(width["combined"]) <= np.median(width["by_controls"]) < np.median(width["by_baseline"])


def test_controls_take_out_what_all_sites_share() -> None:
    record = metered(1, common=0.0)
    record.measured[:, SPAN.window] *= 1.1  # a hot week
    canary, control = split(record)
    _, regions = estimate(canary, control, np.full((N, CONTROLS), 1 / CONTROLS), SPAN, REGION)
    assert np.abs(regions.by_controls.ratio - SAVED).max() < 0.01
    assert (regions.by_baseline.ratio < SAVED - 0.05).all()


def test_one_control_for_all_is_worth_less_than_many() -> None:
    single = np.zeros((N, CONTROLS))
    single[:, 3] = 1
    _, many = savings(6)
    _, one = savings(6, weight=single)
    assert (
        one.by_controls.width > 1.8 * many.by_controls.width
    ).all()  # variances 1/4 + 1 and 1/4 + 1/16 of a site's
    assert (one.combined.width < one.by_controls.width).all()


def test_without_controls_only_the_baseline_speaks() -> None:
    canary, control = split(metered(2))
    none = Record(*(a[:0] for a in control))
    sites, regions = estimate(canary, none, np.zeros((N, 0)), SPAN, REGION)
    for found in (sites, regions):
        assert np.isnan(found.by_controls.ratio).all()
        assert np.isfinite(found.by_baseline.width).all()
        assert np.allclose(found.combined.low, found.by_baseline.low)
    assert covers(regions.by_baseline).all()


def test_a_site_without_a_control_and_one_without_a_meter_are_told_apart() -> None:
    canary, control = split(metered(3))
    canary.measured[1] = np.nan
    weight = np.full((N, CONTROLS), 1 / CONTROLS)
    weight[0] = 0
    sites, regions = estimate(canary, control, weight, SPAN, REGION)
    assert np.isnan(sites.by_controls.ratio[:2]).all()
    assert np.isfinite(sites.combined.ratio[0])
    assert np.isnan(sites.combined.ratio[1])
    assert np.isnan(regions.by_controls.ratio[0])  # holds a site that no control speaks for
    assert np.isfinite(regions.combined.width).all()


def test_a_history_of_a_few_days_leaves_the_controls() -> None:
    canary, control = split(metered(4))
    short = SPAN._replace(history=SPAN.history & (SPAN.day >= HISTORY - 3))
    _, regions = estimate(canary, control, np.full((N, CONTROLS), 1 / CONTROLS), short, REGION)
    assert np.isnan(regions.by_baseline.width).all()
    assert np.allclose(regions.combined.width, regions.by_controls.width)
    assert np.isfinite(regions.combined.width).all()


def test_lost_readings_of_the_hours_that_save_are_no_lost_saving() -> None:
    record = metered(7, common=0.0, own=0.0)
    night = SPAN.hour < 6
    record.measured[:, SPAN.window] /= np.r_[np.full(N, 1 - SAVED), np.ones(CONTROLS)][:, None]
    record.measured[:N, SPAN.window & night] *= 0.4
    canary, control = split(record)
    even = np.full((N, CONTROLS), 1 / CONTROLS)
    _, complete = estimate(canary, control, even, SPAN, REGION)
    canary.measured[:, night & (SPAN.day > HISTORY + 2)] = np.nan
    _, holes = estimate(canary, control, even, SPAN, REGION)
    assert (complete.combined.ratio > 0.05).all()
    assert np.abs(holes.combined.ratio - complete.combined.ratio).max() < 0.003


def test_single_days_are_wider_than_the_week() -> None:
    canary, control = split(metered(5))
    even = np.full((N, CONTROLS), 1 / CONTROLS)
    week, _ = estimate(canary, control, even, SPAN, REGION)
    one = SPAN._replace(window=SPAN.day == HISTORY)
    day, _ = estimate(canary, control, even, one, REGION)
    assert np.median(day.combined.width) > np.median(week.combined.width)
    assert np.allclose(week.combined.saved, week.combined.ratio * week.combined.without)


def test_the_plans_index_is_bits_over_joules_and_no_saving() -> None:
    assert efficiency_gain(120, 100, 100, 100) == pytest.approx(0.2)
    assert efficiency_gain(100, 100 / 1.2, 100, 100) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="above 0"):
        efficiency_gain(1, 0, 1, 1)
    found = Saving(np.array([1 / 6]), np.array([0.1]), np.array([0.2]), np.array([5.0]))
    value, low, high = found.efficiency_gain
    assert (value[0], low[0], high[0]) == pytest.approx((0.2, 1 / 9, 0.25))
