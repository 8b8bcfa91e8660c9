"""What cells have missed makes their risk dearer: the more of their allowance, and of the network's, the dearer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hw.tables import Tables
from hw.world import SYMBOL
from policies.coming_tick import PARTS, parts_of
from policies.expected import target_load
from policies.forecast import Forecast, Now
from policies.policy import Allowance, View
from policies.shortfall import FAIR_SHARE, UNJUDGED_DAYS, Shortfall

RF8, OFF = 4, 5
LIMITS = Allowance(of_all=0.001, of_cell=0.01)


def seen(offered: Any, served: Any = None, tick_s: int = 900) -> View:
    offered = np.asarray(offered, np.float32)
    n = len(offered)
    level, held = np.full(n, RF8, np.uint8), np.zeros(n, np.int64)
    return View(0.0, tick_s, level, held, offered, None, LIMITS, served)


@pytest.fixture
def shortfall(tables: Tables, small_network: Any) -> Shortfall:
    return Shortfall(small_network(3, {}), tables, target_load(tables))


def test_only_traffic_that_the_level_in_use_could_not_serve_counts_as_missed(shortfall: Shortfall) -> None:
    offered = np.full((3, 1000), 0.2)
    offered[1, :2] = 0.7  # about 0.7 % of its traffic beyond the reach of 8 TxRU
    offered[2, :2] = 0.7
    served = np.full((3, 1000), RF8, np.uint8)
    served[1, :2] = RF8 - 1  # woken, but not far enough
    served[2, :2] = 1, 2  # at full, and at a level between that reaches it
    shortfall.learn(seen(offered, served))
    factor = shortfall.factor(LIMITS)
    share = 2 * 0.7 / (998 * 0.2 + 2 * 0.7)
    assert factor == pytest.approx([1, (1 - share / 0.01) ** -2, 1], rel=1e-4)


def test_while_cells_are_off_air_nobody_misses_until_the_room_of_the_group_is_used_up(
    tables: Tables, small_network: Any
) -> None:
    shortfall = Shortfall(small_network(3, {1: (0,)}), tables, target_load(tables))
    offered = np.full((3, 1000), 0.2, np.float32)
    offered[:2, 0] = 0.49  # together beyond what cell 0 serves on target alone
    level, held = np.array([SYMBOL, OFF, SYMBOL], np.uint8), np.zeros(3, np.int64)
    shortfall.learn(View(0.0, 900, level, held, offered, None, LIMITS))
    share = 0.49 / (999 * 0.2 + 0.49)
    assert shortfall.factor(LIMITS) == pytest.approx([(1 - share / 0.01) ** -2] * 2 + [1], rel=1e-4)


def test_a_spent_allowance_makes_risk_dearer_but_not_infinite(shortfall: Shortfall) -> None:
    shortfall.learn(seen(np.full((3, 10), 0.9)))
    assert (shortfall.factor(LIMITS) == 0.02**-2).all()


def test_taking_more_than_a_fair_part_is_judged_after_some_days(shortfall: Shortfall) -> None:
    day = np.full((3, 96), 0.2)
    day[1, 0] = 0.58  # 3 % of a day's traffic
    shortfall.learn(seen(day, tick_s=86400))
    early = shortfall.unfair(LIMITS, 86400)
    clean = np.full((3, 96), 0.2)
    for _ in range(29):
        shortfall.learn(seen(clean, tick_s=86400))
    late = shortfall.unfair(LIMITS, 86400)
    assert early[0] == late[0] == 1
    share = 0.58 / (30 * 96 * 0.2 + 0.38)
    assert late[1] == pytest.approx((share / 0.001 * 30 / (30 + UNJUDGED_DAYS) / FAIR_SHARE) ** 4, rel=1e-4)
    assert early[1] > late[1]


def test_the_parts_of_the_coming_tick_fade_from_the_last_sample_to_the_tick_as_a_whole() -> None:
    one, none = np.ones(1), np.zeros(1)
    now = Now(none - 2, one * 0.6, none, none, none, none + 0.01, none, one * 0.09, 0.8)
    kept = 0.8**8
    whole = Forecast(np.array([[-2 + 0.6 * kept]]), np.sqrt([[0.09 * (1 - kept**2)]]), np.ones(1, bool), now)
    median, sd = parts_of(whole, 15)
    at = np.array([3.0, 8.0, 13.0])
    assert median.shape == (1, PARTS)
    assert median[0] == pytest.approx(-2 + 0.6 * 0.8**at + 0.01 * (at - 8))
    assert sd[0] == pytest.approx(np.sqrt(0.09 * (1 - 0.8 ** (2 * at))))


def test_a_forecast_without_a_filter_has_one_part() -> None:
    median, sd = parts_of(Forecast(np.array([[-2.0, -1.0]]), np.array([[0.3, 0.4]]), np.ones(1, bool)), 15)
    assert (median.tolist(), sd.tolist()) == ([[-2.0]], [[0.3]])
