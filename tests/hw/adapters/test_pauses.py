"""Back-off and breaker, on a clock that only the test moves."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from hw.adapters.backoff import Backoff
from hw.adapters.breaker import Breaker, BreakerState


def test_pauses_double_up_to_the_limit_and_start_again_after_a_success() -> None:
    backoff = Backoff(Random(3), 0.2, 5.0)
    for k in range(100):
        ceiling_s = min(5.0, 0.2 * 2**k)
        assert ceiling_s / 2 <= backoff.next_s() <= ceiling_s
    backoff.reset()
    assert backoff.next_s() <= 0.2


def test_many_clients_that_failed_at_once_come_back_spread_out() -> None:
    pauses = sorted(Backoff(Random(seed), 4.0, 5.0).next_s() for seed in range(1000))
    assert pauses[-1] - pauses[0] > 1.9
    assert max(b - a for a, b in pairwise(pauses)) < 0.1


def test_a_pause_has_a_length() -> None:
    for first_s, longest_s in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(ValueError, match="must be above 0 and at most"):
            Backoff(Random(0), first_s, longest_s)


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_probe_through() -> None:
    breaker = Breaker(limit=3, open_s=10.0)
    for now_s in (0.0, 1.0):
        assert breaker.attempt(now_s)
        breaker.failed(now_s)
    breaker.succeeded()
    for now_s in (2.0, 3.0, 4.0):
        assert breaker.attempt(now_s)
        breaker.failed(now_s)
    assert breaker.state is BreakerState.OPEN
    assert not breaker.attempt(13.9)
    assert breaker.wait_s(13.0) == 1.0
    assert breaker.attempt(14.0)
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.failed(14.5)  # one failed probe is enough
    assert not breaker.attempt(24.4)
    assert breaker.attempt(24.5)
    breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.failures == 0
