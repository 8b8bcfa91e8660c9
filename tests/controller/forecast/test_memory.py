"""The remembered history and its features against a plain reading of their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from controller.forecast.layout import AHEAD, LIMIT, OFFSET, SHARED, ahead_columns, n_features, shared_column
from controller.forecast.memory import Ahead, Memory
from tests.controller.forecast.invented import invented_load

PER_DAY, DAYS = 24, 9


def walk(load: np.ndarray) -> tuple[Memory, np.ndarray]:
    site = np.array([0, 0, 1, 2], np.int32)
    memory = Memory(site, PER_DAY)
    for step in range(load.shape[1]):
        memory.observe(load[:, step], step % PER_DAY, step % (7 * PER_DAY))
    ahead = load.shape[1] + np.arange(PER_DAY)
    zeros = np.zeros(PER_DAY, np.float32)
    moment = memory.moment(Ahead(ahead % PER_DAY, ahead % (7 * PER_DAY), zeros, zeros))
    return memory, memory.features(moment, np.arange(4))


@pytest.fixture(scope="module")
def seen() -> tuple[np.ndarray, np.ndarray]:
    load = invented_load(4, DAYS)[:, : DAYS * PER_DAY - 5]
    return np.log(load.astype(np.float64) + OFFSET), walk(load)[1]


def naive_profile(u: np.ndarray, cell: int, slot: int) -> float:
    """Median over the last seven days with that slot, as it stood when the slot was last measured."""
    steps = np.flatnonzero(np.arange(u.shape[1]) % PER_DAY == slot)
    last = max(s for s in steps if np.isfinite(u[cell, s]))
    days = [u[cell, s] for s in range(last, max(last - 7 * PER_DAY, -1), -PER_DAY)]
    return float(np.nanmedian(days))


def limited(value: float) -> float:
    return 0.0 if np.isnan(value) else float(np.clip(value, -LIMIT, LIMIT))


def test_ahead_columns(seen: tuple[np.ndarray, np.ndarray]) -> None:
    u, features = seen
    total = u.shape[1]
    assert features.shape[1] == n_features(3600, PER_DAY) == len(SHARED) + len(AHEAD) * PER_DAY
    for cell in range(4):
        for h in range(PER_DAY):
            step = total + h
            base = naive_profile(u, cell, step % PER_DAY)
            expected = {
                "base": base,
                "profile_before": naive_profile(u, cell, (step - 1) % PER_DAY) - base,
                "profile_far_after": naive_profile(u, cell, (step + 2) % PER_DAY) - base,
                "yesterday": limited(u[cell, step - PER_DAY] - base),
                "yesterday_before": limited(u[cell, step - PER_DAY - 1] - base),
                "two_days_ago": limited(u[cell, step - 2 * PER_DAY] - base),
                "last_week": limited(u[cell, step - 7 * PER_DAY] - base),
            }
            if h < PER_DAY - 1:
                expected["yesterday_after"] = limited(u[cell, step - PER_DAY + 1] - base)
            for name, value in expected.items():
                found = features[cell, ahead_columns(name, PER_DAY)[h]]
                assert found == pytest.approx(value, abs=2e-5), (name, cell, h)


def test_shared_columns(seen: tuple[np.ndarray, np.ndarray]) -> None:
    u, features = seen
    total = u.shape[1]
    for cell in range(4):
        residual = [
            np.clip(u[cell, s] - naive_profile(u, cell, s % PER_DAY), -LIMIT, LIMIT)
            for s in range(total - 1, total - 1 - PER_DAY, -1)
        ]
        expected = {
            "lag_0": limited(residual[0]),
            "lag_5": limited(residual[5]),
            "residual_24h": np.nanmean(residual),
            "volatility_24h": np.nanmean(np.abs(residual)),
            "level": np.nanmean(u[cell, -7 * PER_DAY :]),
            "missing_24h": np.isnan(residual).mean(),
        }
        for name, value in expected.items():
            assert features[cell, shared_column(name)] == pytest.approx(value, abs=2e-5), (name, cell)


def test_site_neighbours_are_the_others(seen: tuple[np.ndarray, np.ndarray]) -> None:
    features = seen[1]
    lag, site_lag = shared_column("lag_0"), shared_column("site_lag_0")
    assert features[0, site_lag] == pytest.approx(features[1, lag], abs=1e-6)
    assert features[1, site_lag] == pytest.approx(features[0, lag], abs=1e-6)
    assert features[2, site_lag] == pytest.approx(features[2, shared_column("network_lag_0")], abs=1e-6)


def test_a_new_cell_takes_the_profile_of_its_site_at_its_own_height() -> None:
    load = invented_load(4, 4)
    load[1] = np.nan
    load[1, -1] = 0.5 * load[0, -1]
    features = walk(load)[1]
    base = list(ahead_columns("base", PER_DAY))
    own, other = features[1, base], features[0, base]
    assert np.isfinite(features).all()
    assert np.corrcoef(own, other)[0, 1] > 0.95
    assert own.mean() < other.mean() - 0.15


def test_garbage_free_when_nothing_was_measured() -> None:
    features = walk(np.full((4, 30), np.nan, np.float32))[1]
    assert np.isfinite(features).all()
