"""The price of a sample with the guard loop, once more from its definition."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.tables import Tables
from hw.world import SYMBOL
from policies.expected import NODES, target_load, watched_prices
from tests.policies.naive_planner import naive_power, naive_tail


@pytest.mark.kernel
@given(
    forbidden=st.integers(SYMBOL + 1, 6),
    log_median=st.floats(-5, 0),
    log_sd=st.floats(0.05, 0.8),
    open_share=st.floats(0.1, 2),
    risk=st.sampled_from([0.0, 50.0, 5000.0, 5e5]),
    epsilon=st.sampled_from([0.003, 0.03, 0.4]),
)
def test_in_each_sample_the_cheapest_level_from_the_planned_one_up_that_is_not_barred(
    forbidden: int,
    log_median: float,
    log_sd: float,
    open_share: float,
    risk: float,
    epsilon: float,
    tables: Tables,
) -> None:
    limit, least = target_load(tables), NormalDist().inv_cdf(1 - epsilon)
    allowed = np.arange(len(tables.asleep)) != forbidden
    found = np.ones(len(allowed))
    watched_prices(
        tables, limit, 0, allowed, log_median, log_sd, risk, least, open_share * log_sd, 0.5, found
    )
    open_sd = min(open_share * log_sd, log_sd)
    seen_sd = np.sqrt(log_sd**2 - open_sd**2)
    # weights that give the moments of a standard normal at these nodes
    powers = np.vander(NODES, increasing=True).T
    moments = [float(np.prod(range(k - 1, 0, -2))) if k % 2 == 0 else 0.0 for k in range(len(NODES))]
    weights = np.linalg.solve(powers, moments)
    on_air = [level for level in range(SYMBOL, 5) if level != forbidden]
    expected = np.ones(len(allowed))
    for node, weight in zip(NODES, weights, strict=True):
        mean = min(np.exp(log_median + seen_sd * node + open_sd**2 / 2), 1)
        cost = [naive_power(tables, SYMBOL, mean)]
        for level in on_air:
            if level > SYMBOL:
                stay = naive_power(tables, level, mean) + risk * naive_tail(
                    mean, open_sd, float(limit[0, level])
                )
                likely = 1 - NormalDist(log_median + seen_sd * node, open_sd).cdf(np.log(limit[0, level]))
                cost.append(np.inf if likely > epsilon else stay)
            expected[level] += 0.5 * weight * min(cost)
    assert found == pytest.approx(expected, rel=1e-4)
