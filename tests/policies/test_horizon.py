"""The ticks that are priced stand for every tick of the horizon once, near ones alone."""

from __future__ import annotations

import pytest

from policies.horizon import FAR, NEAR, priced_ticks


@pytest.mark.kernel
@pytest.mark.parametrize("horizon", [1, 4, NEAR, NEAR + 1, NEAR + FAR, 96])
def test_every_tick_is_stood_for_once(horizon: int) -> None:
    at, weight = priced_ticks(horizon)
    assert weight.sum() == horizon
    assert at[: min(NEAR, horizon)].tolist() == list(range(min(NEAR, horizon)))
    assert (weight[: min(NEAR, horizon)] == 1).all()
    begin = 0
    for tick, n in zip(at, weight, strict=True):
        assert begin <= tick < begin + n
        begin += int(n)
