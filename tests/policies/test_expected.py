"""The price of a sample with the guard loop, once more from its definition."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.tables import Tables
from hw.world import SYMBOL
from policies.expected import NODES, target_load, watched_price
from tests.policies.naive_planner import naive_power, naive_tail


@pytest.mark.kernel
@given(
    level=st.integers(SYMBOL, 4),
    log_median=st.floats(-5, 0),
    log_sd=st.floats(0.05, 0.8),
    open_share=st.floats(0.1, 2),
    risk=st.sampled_from([0.0, 50.0, 5000.0, 5e5]),
    epsilon=st.sampled_from([0.003, 0.03, 0.4]),
)
def test_in_each_sample_the_cheaper_of_staying_and_waking_unless_staying_is_barred(
    level: int,
    log_median: float,
    log_sd: float,
    open_share: float,
    risk: float,
    epsilon: float,
    tables: Tables,
) -> None:
    limit, least = target_load(tables), NormalDist().inv_cdf(1 - epsilon)
    found = watched_price(tables, limit, 0, level, log_median, log_sd, risk, least, open_share * log_sd)
    open_sd = min(open_share * log_sd, log_sd)
    seen_sd = np.sqrt(log_sd**2 - open_sd**2)
    # weights that give the moments of a standard normal at these nodes
    powers = np.vander(NODES, increasing=True).T
    moments = [float(np.prod(range(k - 1, 0, -2))) if k % 2 == 0 else 0.0 for k in range(len(NODES))]
    weights = np.linalg.solve(powers, moments)
    expected = 0.0
    for node, weight in zip(NODES, weights, strict=True):
        mean = min(np.exp(log_median + seen_sd * node + open_sd**2 / 2), 1)
        awake = naive_power(tables, SYMBOL, mean)
        if level == SYMBOL:
            expected += weight * awake
            continue
        stay = naive_power(tables, level, mean) + risk * naive_tail(mean, open_sd, float(limit[0, level]))
        likely = 1 - NormalDist(log_median + seen_sd * node, open_sd).cdf(np.log(limit[0, level]))
        expected += weight * (awake if likely > epsilon else min(stay, awake))
    assert found == pytest.approx(expected, rel=1e-4)
