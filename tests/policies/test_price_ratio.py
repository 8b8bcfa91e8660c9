"""The price of energy against the mean that a cell's traffic has met."""

from __future__ import annotations

import math

import numpy as np
import pytest

from policies.policy import Allowance, View
from policies.price_ratio import MEMORY_S, MOST, PriceRatio

TICK_S, PER_DAY = 900, 96


def view(offered: np.ndarray, price: np.ndarray | None) -> View:
    n = len(offered)
    level, held = np.zeros(n, np.uint8), np.zeros(n, np.int64)
    return View(0.0, TICK_S, level, held, offered, None, Allowance(0.001, 0.01), energy_price=price)


def ratios(offered: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Of n cells in T ticks: traffic (n, T) in the ticks, price (n, T) at their begin. (n, T)"""
    seen = PriceRatio()
    nothing = np.full((len(offered), 1), np.nan, np.float32)
    before = [nothing, *(offered[:, t, None] for t in range(offered.shape[1] - 1))]
    return np.stack([seen.ratio(view(b, price[:, t])) for t, b in enumerate(before)], 1)


def drawn(seed: int, days: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    hour = np.arange(days * PER_DAY) % PER_DAY / 4
    offered = rng.uniform(0, 0.6, (3, len(hour))) * (1.2 + np.sin((hour - 9) * np.pi / 12))
    price = np.where(hour < 8, 0.3, np.where(hour < 17, 0.7, 1.2)) * np.ones((3, 1))
    return offered.astype(np.float32), price


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_price_over_its_mean_over_the_traffic_before(seed: int) -> None:
    """Twin: the sums written out, each day before counting less."""
    offered, price = drawn(seed, 3)
    found = ratios(offered, price)
    t = 2 * PER_DAY + 37
    weight = offered[:, :t] * np.exp(-(t - 1 - np.arange(t)) * TICK_S / MEMORY_S)
    expected = price[:, t] / ((weight * price[:, :t]).sum(1) / weight.sum(1))
    assert found[:, t] == pytest.approx(expected, rel=1e-6)


def test_over_the_traffic_it_is_one_in_the_mean() -> None:
    offered, price = drawn(7, 30)
    found = ratios(offered, price)[:, 7 * PER_DAY :]
    weight = offered[:, 7 * PER_DAY :]
    assert (found * weight).sum(1) / weight.sum(1) == pytest.approx(1, abs=0.02)
    assert found.min() < 0.5
    assert found.max() > 1.3


def test_nothing_is_dear_before_a_day_was_seen_nor_without_a_price_or_traffic() -> None:
    offered, price = drawn(1, 2)
    offered[2] = 0
    found = ratios(offered, price)
    assert (found[:, :PER_DAY] == 1).all()
    assert (found[:2, PER_DAY:] != 1).all()
    assert (found[2] == 1).all()
    untold = PriceRatio()
    assert (untold.ratio(view(offered[:, :1], None)) == 1).all()


def test_a_price_below_zero_is_as_cheap_as_can_be_and_a_spike_as_dear() -> None:
    offered, price = drawn(2, 2)
    price[:, -2], price[:, -1] = -5.0, 900.0
    found = ratios(offered, price)
    assert (found[:, -2] == 1 / MOST).all()
    assert (found[:, -1] == MOST).all()


def test_what_is_not_measured_counts_for_nothing() -> None:
    offered, price = drawn(3, 3)
    gaps = offered.copy()
    gaps[:, ::2] = np.nan
    found = ratios(gaps, price)
    zeros = ratios(np.nan_to_num(gaps), price)
    assert np.array_equal(found, zeros)
    assert math.isfinite(found.sum())
