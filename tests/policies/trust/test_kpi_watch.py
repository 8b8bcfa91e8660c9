from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from policies.trust.kpi_watch import KpiWatch, fit_watch, running_sums, site_pools
from policies.trust.rollback import HoldOff, advance, begin

Floats = NDArray[np.float64]
DAY, HISTORY, SITES, PER_SITE = 96, 28 * 96, 10, 6
SLOT = np.arange(HISTORY + DAY) % DAY // 4 + 24 * (np.arange(HISTORY + DAY) // DAY % 7 >= 5)
SITE = np.repeat(np.arange(SITES), PER_SITE)
EVERY = 3e6  # ticks between false breaches


def world(seed: int, memory: float = 0.8) -> Floats:
    """Differences of 60 canary cells: a course of each site, noise with heavy tails, a daily course, lost ticks."""
    rng = np.random.default_rng(seed)
    white = rng.standard_normal((SITES, HISTORY + DAY)) * np.sqrt(1 - memory**2)
    found = 0.02 * lfilter([1.0], [1.0, -memory], white, axis=1)[SITE]
    found = (
        found + 0.08 * rng.standard_t(5, found.shape) + 0.05 * np.sin(2 * np.pi * SLOT / 24 + SITE[:, None])
    )
    found[rng.random(found.shape) < 0.03] = np.nan
    return np.asarray(found)


def watch(difference: Floats, seed: int = 0) -> KpiWatch:
    return fit_watch(
        difference[:, :HISTORY],
        SLOT[:HISTORY],
        48,
        site_pools(SITE),
        np.full(SITES + 1, 0.1),
        ticks_per_false_breach=np.full(SITES + 1, EVERY),
        ticks_per_day=DAY,
        rng=np.random.default_rng(seed),
    )


def first_breach(fitted: KpiWatch, difference: Floats) -> int | None:
    """First tick of the trial in which the pool of all is in breach."""
    state = begin(SITES + 1)
    evidence = fitted.evidence(difference, SLOT)[:, HISTORY:]
    for tick in range(evidence.shape[1]):
        state, breach, _ = advance(state, evidence[:, tick], fitted.threshold, tick, HoldOff())
        if breach[-1]:
            return tick
    return None


def test_a_tenth_is_found_in_three_ticks_and_nothing_before() -> None:
    late = 0
    for seed in range(12):
        difference = world(seed)
        fitted, at = watch(difference), 20 + 5 * seed
        assert first_breach(fitted, difference) is None
        difference[:, HISTORY + at :] += np.log(0.9)
        found = first_breach(fitted, difference)
        assert found is not None
        assert found >= at
        late += found > at + 2
    assert late == 0


def test_one_wild_tick_is_no_breach() -> None:
    difference = world(1)
    fitted = watch(difference)
    difference[:, HISTORY + 30] = -1.0
    assert first_breach(fitted, difference) is None
    assert fitted.evidence(difference, SLOT).max() < fitted.threshold.min()


def test_a_tick_without_data_says_nothing() -> None:
    difference = world(2)
    fitted = watch(difference)
    difference[:, HISTORY + 5] = np.nan
    difference[SITE == 3, HISTORY + 9] = np.nan
    difference[np.flatnonzero(SITE == 4)[1:], HISTORY + 9] = np.nan  # one cell of six is too little
    evidence = fitted.evidence(difference, SLOT)
    assert (evidence[:, HISTORY + 5] == 0).all()
    assert (evidence[3:5, HISTORY + 9] == 0).all()
    assert evidence[-1, HISTORY + 9] != 0


def test_evidence_uses_nothing_that_comes_later() -> None:
    difference = world(3)
    fitted = watch(difference)
    whole = fitted.evidence(difference, SLOT)
    for end in (HISTORY + 1, HISTORY + 40):
        part = fitted.evidence(difference[:, end - 12 : end], SLOT[end - 12 : end])
        assert np.allclose(part[:, -1], whole[:, end - 1])


@pytest.mark.parametrize("seed", range(3))
def test_autocorrelation_raises_the_threshold_of_the_sites(seed: int) -> None:
    plain, slow = watch(world(seed, memory=0.0)), watch(world(seed, memory=0.97))
    assert slow.threshold[0] > plain.threshold[0]
    assert (plain.threshold >= np.log(EVERY)).all()


def test_expected_ticks_name_what_cannot_be_found_in_time() -> None:
    fitted = watch(world(4))
    ticks = fitted.expected_ticks()
    assert (ticks[-1] <= 3).all()
    assert (ticks[:-1] > 3).all()  # six cells are too few for a tenth


def test_running_sums_are_cusum() -> None:
    evidence = np.random.default_rng(0).standard_normal((2, 200)) - 0.3
    found = running_sums(evidence)
    for row, sums in zip(evidence, found, strict=True):
        total = np.concatenate([[0.0], np.cumsum(row)])
        assert np.allclose(sums, (total - np.minimum.accumulate(total))[1:])
