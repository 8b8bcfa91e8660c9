"""Users below the service target wake the cells of their group at the next guard tick."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controller.live.events import Woken
from controller.live.observing import Measured
from controller.live.service_limit import ServiceLimit
from hw.tables import Tables
from policies.policy import Reason
from tests.controller.live.doubles import FULL
from tests.controller.live.watched import levels, slow, watched, watched_core

ASLEEP_S = 3600


def one(carried: list[float], throughput: list[float]) -> Measured:
    column = np.array(carried, np.float32)[:, None]
    found = np.array(throughput, np.float32)[:, None]
    return Measured(column, found, found, np.ones(column.shape, np.uint8))


@pytest.mark.parametrize(
    ("carried", "throughput", "broken"),
    [
        (0.1, 1.0, True),
        (0.1, 1e4, False),
        (0.1, np.nan, True),  # users were served, and nobody knows how
        (0.0, np.nan, False),  # nobody asked
        (np.nan, np.nan, False),  # silence is looked after elsewhere
    ],
)
def test_what_breaks_the_limit(tmp_path: Path, carried: float, throughput: float, broken: bool) -> None:
    facts = watched_core(tmp_path).canaries.facts
    limit = ServiceLimit(facts.tables, np.zeros(4, np.int32), np.array([0, 0, 1, 1]))
    level = np.array([1, 4, 4, 1], np.uint8)
    assert not limit.broken(one([0.1] * 4, [np.nan] * 4), level).any()  # nothing was ever measured
    assert not limit.broken(one([0.1] * 4, [1e4] * 4), level).any()
    found = limit.broken(one([carried] + [0.1] * 3, [throughput] + [1e4] * 3), level)
    assert found.tolist() == [False, broken, False, False]


def test_the_limit_is_the_service_target_or_less_where_full_service_gives_less(tmp_path: Path) -> None:
    tables: Tables = watched_core(tmp_path).canaries.facts.tables
    limit = ServiceLimit(tables, np.zeros(1, np.int32), np.zeros(1, np.intp))
    level = np.array([4], np.uint8)
    own = tables.target_share * tables.full_rate * 0.05
    for carried, edge in ((0.1, tables.target), (0.95, min(tables.target, own))):
        assert limit.broken(one([carried], [edge * 0.999]), level).all()
        assert not limit.broken(one([carried], [edge * 1.001]), level).any()


def test_a_group_wakes_at_the_next_guard_tick_and_rests_again_with_a_later_plan(tmp_path: Path) -> None:
    harness = watched(watched_core(tmp_path), ASLEEP_S)
    slow(harness, 1, share=0.99)
    harness.run(ASLEEP_S + 90)
    assert levels(harness)[2:4] == [FULL, FULL]
    assert min(levels(harness)[:2]) > FULL
    woken = [r for _, out in harness.outputs for r in out.durable if isinstance(r, Woken)][-1]
    assert woken.reason.tolist() == [Reason.GUARD_SERVICE] * 2
