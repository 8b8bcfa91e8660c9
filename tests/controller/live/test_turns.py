"""When groups of sites have their turn for a new target of the month."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from controller.live.power.turns import GROUP_SITES, Turns

DAY = 96


def _turns(n_groups: int) -> Turns:
    def make(_sites: Any) -> Any:
        return SimpleNamespace(has_turn=False, waits=True)

    return Turns(GROUP_SITES * n_groups, make, DAY)


def _begin(turns: Turns) -> list[int]:
    """Groups that have their turn in the next interval, which gives each of them a target."""
    turns.begin()
    had = [k for k, group in enumerate(turns.groups) if group.dispatch.has_turn]
    for k in had:
        dispatch: Any = turns.groups[k].dispatch
        dispatch.has_turn = dispatch.waits = False
    return had


@pytest.mark.parametrize("n_groups", [1, 7, 96, 250])
def test_each_group_has_its_turn_once_a_day_and_no_interval_has_many(n_groups: int) -> None:
    turns, each = _turns(n_groups), -(-n_groups // DAY)
    first = [_begin(turns) for _ in range(DAY)]
    assert {k for had in first for k in had} == set(range(n_groups))
    second = [_begin(turns) for _ in range(DAY)]
    assert sorted(k for had in second for k in had) == list(range(n_groups))
    assert max(map(len, first + second)) <= each


def test_a_group_whose_month_is_over_does_not_wait_a_day() -> None:
    turns = _turns(5)
    for _ in range(DAY // 2):
        _begin(turns)
    last: Any = turns.groups[4].dispatch
    last.waits = True
    assert _begin(turns) == [4]
