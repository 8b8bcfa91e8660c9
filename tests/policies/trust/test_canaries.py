from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from policies.trust.canaries import Fleet, match, sample_sites, touched


@dataclass(frozen=True)
class Shape:
    n_sites: int = 30
    per_site: int = 4  # two sectors of a coverage and a capacity cell
    days: int = 7


def fleet(seed: int = 0, shape: Shape | None = None, neighbour: NDArray[np.intp] | None = None) -> Fleet:
    s = shape or Shape()
    rng = np.random.default_rng(seed)
    n = s.n_sites * s.per_site
    hour = np.tile(np.arange(24), s.days)
    peak = rng.uniform(10, 20, n)[:, None]
    load = rng.uniform(0.05, 0.4, n)[:, None] * (1 + 0.8 * np.cos((hour - peak) * np.pi / 12))
    load *= np.exp(0.1 * rng.standard_normal(load.shape))
    load[rng.random(load.shape) < 0.02] = np.nan
    cell = np.arange(n)
    capacity = cell % 2 == 1
    none = np.zeros((0, 2), np.intp)
    return Fleet(
        site=cell // s.per_site,
        group=cell // 2,
        product=capacity.astype(np.intp),
        is_capacity=capacity,
        load=load,
        local_hour=hour,
        neighbour=none if neighbour is None else neighbour,
    )


@pytest.mark.parametrize("seed", range(5))
def test_no_control_feels_a_canary_and_each_is_of_its_kind(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, 120, (20, 2))
    f = fleet(seed, neighbour=pairs)
    canary = sample_sites(f.site, 0.3, rng)
    found = match(f, canary)
    used = found.weight > 0
    for row, cell in enumerate(found.canary):
        controls = found.control[row, used[row]]
        assert not np.isin(f.site[controls], f.site[canary]).any()
        assert not np.isin(f.group[controls], f.group[canary]).any()
        for a, b in pairs:  # written apart from ``touched``
            assert not (canary[a] and b in controls)
            assert not (canary[b] and a in controls)
        assert (f.product[controls] == f.product[cell]).all()
        assert (f.is_capacity[controls] == f.is_capacity[cell]).all()
    sums = found.weight.sum(1)
    assert ((np.abs(sums - 1) < 1e-12) | (sums == 0)).all()
    assert set(found.unmatched) == set(found.canary[sums == 0])


def test_controls_are_nearer_than_cells_drawn_blindly() -> None:
    f = fleet(3)
    canary = sample_sites(f.site, 0.2, np.random.default_rng(3))
    found = match(f, canary)
    free = np.flatnonzero(~touched(f, canary))
    mean = np.nanmean(f.load, axis=1)
    matched = found.weight.sum(1) > 0
    own = mean[found.canary[matched]]
    by_match = (found.weight[matched] * mean[found.control[matched]]).sum(1)
    assert np.abs(np.log(by_match / own)).mean() < 0.5 * np.abs(np.log(mean[free].mean() / own)).mean()
    assert np.nanmedian(found.load_correlation) > 0.8
    assert (found.distance[matched] < 1.5).all()


def test_a_cell_like_no_other_cannot_be_a_canary() -> None:
    f = fleet(1)
    f.load[0] *= 100  # far from all others
    f.product[1] = 7  # the only one of its product
    f.load[2] = np.nan  # never recorded
    found = match(f, np.arange(len(f.site)) < 4)
    assert found.unmatched.tolist() == [0, 1, 2]
    assert np.isnan(found.distance[:3]).all()
    assert found.over_cells(len(f.site))[:3].sum() == 0


def test_the_same_seed_draws_the_same_sites_and_never_all() -> None:
    site = fleet().site
    a, b = (sample_sites(site, 0.1, np.random.default_rng(4)) for _ in range(2))
    assert (a == b).all()
    assert len(np.unique(site[a])) == 3
    assert sample_sites(site, 0.001, np.random.default_rng(0)).sum() == 4
    with pytest.raises(ValueError, match="some sites must stay controls"):
        sample_sites(site, 1.0, np.random.default_rng(0))
