from __future__ import annotations

import numpy as np

from hw.tables import Tables, user_throughput
from policies.trust.kpi_baseline import against_controls, expected_throughput, fit_usual, log_ratio


def test_the_expectation_is_the_throughput_of_the_plant_at_the_commanded_level(tables: Tables) -> None:
    rng = np.random.default_rng(0)
    model, level = np.zeros(6, np.int32), np.arange(6).astype(np.uint8)
    carried = (0.4 * rng.random((6, 15))).astype(np.float32)
    found = expected_throughput(tables, model, level, carried)
    for i in range(5):
        each = [user_throughput.py_func(tables, 0, i, float(c), float(c)) for c in carried[i]]
        assert np.isclose(found[i], np.average(each, weights=carried[i]), rtol=1e-5)
    assert np.isnan(found[5])  # off air


def test_a_lower_rate_by_design_is_no_deviation_but_a_tenth_below_it_is(tables: Tables) -> None:
    model, carried = np.zeros(5, np.int32), np.full((5, 15), 0.1, np.float32)
    resting = np.arange(5).astype(np.uint8)
    at_full = expected_throughput(tables, model, np.zeros(5, np.uint8), carried)
    promised = expected_throughput(tables, model, resting, carried)
    assert promised[4] < 0.6 * at_full[4]
    assert np.allclose(log_ratio(promised, promised), 0)
    assert np.allclose(log_ratio(0.9 * promised, promised), np.log(0.9))


def test_what_is_not_known_stays_unknown_and_what_is_absurd_is_bounded() -> None:
    observed = np.array([np.nan, 10.0, -1.0, np.inf, 0.0, 1e9])
    expected = np.array([10.0, np.nan, 10.0, 10.0, 10.0, 10.0])
    assert np.array_equal(log_ratio(observed, expected), [np.nan] * 4 + [-1.0, 1.0], equal_nan=True)
    assert log_ratio(np.array([12.0]), np.array([10.0]), lower_is_worse=False)[0] < 0


def test_controls_take_out_what_the_region_shares_and_half_of_them_must_be_known() -> None:
    rng = np.random.default_rng(1)
    region = rng.standard_normal(50)
    control = region + np.array([[0.1], [0.3], [0.2], [0.0]])
    weight = np.array([[0.4, 0.4, 0.2, 0.0], [0.0, 0.0, 0.5, 0.5]])
    found = against_controls(np.tile(region, (2, 1)), control, weight)
    assert np.allclose(found, [[-0.2], [-0.1]])
    control[:2, 7] = np.nan
    found = against_controls(np.tile(region, (2, 1)), control, weight)
    assert np.isnan(found[0, 7])
    assert np.isclose(found[1, 7], -0.1)


def test_the_usual_course_is_a_median_per_slot_drawn_to_the_whole() -> None:
    rng = np.random.default_rng(2)
    slot = np.arange(2000) % 4
    values = 0.2 * (slot == 2) + 0.05 * rng.standard_normal((3, 2000))
    values[:, rng.random(2000) < 0.1] = np.nan
    values[0, ::97] = -1.0  # wild
    usual = fit_usual(values, slot, 5)
    whole = np.nanmedian(values, axis=1)
    inside = values[:, slot == 2]
    trust = np.isfinite(inside).sum(1) / (np.isfinite(inside).sum(1) + 16)
    assert np.allclose(usual.middle[:, 2], whole + trust * (np.nanmedian(inside, axis=1) - whole))
    assert np.allclose(usual.middle[:, 4], whole)  # a slot that never came
    assert np.abs(usual.spread[:, 0] - 0.05).max() < 0.015
