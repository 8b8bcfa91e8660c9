"""Middle values of kinds of hardware."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.calibration.priors import (
    CellKind,
    Middles,
    base_path,
    look_up,
    middle_values,
    typical_txru,
    weighted_median,
)


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 4)), min_size=1, max_size=12))
def test_weighted_median_is_the_median_of_repeated_values(members: list[tuple[int, int]]) -> None:
    values, weights = np.array(members, np.float64).T
    repeated = np.repeat(values, weights.astype(int))
    assert weighted_median(values, weights) == pytest.approx(float(np.median(repeated)))


def test_many_members_stand_for_themselves_and_few_lean_on_the_kind_above() -> None:
    values = np.array([10.0] * 20 + [20.0])
    paths = [("A", "many")] * 20 + [("A", "few")]
    found = middle_values(values, np.ones(21), paths)
    assert found[("A",)] == 10
    assert found[("A", "many")] == pytest.approx(10)
    assert found[("A", "few")] == pytest.approx((20 + 0.3 * 10) / 1.3)
    assert look_up(found, ("A", "unknown")) == 10
    assert look_up(found, ("Z", "unknown")) == found[()]


def test_members_without_weight_are_left_out() -> None:
    found = middle_values(np.array([1.0, 99.0]), np.array([1.0, 0.0]), [("A",), ("B",)])
    assert found == {(): 1.0, ("A",): 1.0}


def test_paths_name_closer_and_closer_kinds() -> None:
    kinds = [CellKind("B", "n78", 4), CellKind("A", "n41", 2)]
    assert base_path(kinds) == ("A+B", "A+B", "A n41, 2 TxRU+B n78, 4 TxRU")
    assert base_path(kinds) == base_path(kinds[::-1])
    assert kinds[0].slope_path == ("B", "n78, 4 TxRU")


def test_unknown_txru_count_as_the_typical_number() -> None:
    kinds = [CellKind("A", "", 2), CellKind("A", "", 8), CellKind("A", "", 8), CellKind("B", "", 0)]
    typical = typical_txru(kinds)
    assert typical == {"": 8, "A": 8, "B": 1}
    middles = Middles({(): 1.0}, {(): 3.0}, typical)
    assert middles.slope_of(CellKind("A", "", 2)) == 6
    assert middles.slope_of(CellKind("A", "", 0)) == 24
    assert middles.slope_of(CellKind("new", "", 0)) == 24
    assert middles.base_of([CellKind("A", "", 8)]) == pytest.approx(8**0.3)
