"""The check of a state of charge against a simulated pack: the truth stays inside, and each fault is found."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from policies.site.soc_check import (
    CHARGE_WORDS,
    LFP_REST_V,
    LFP_SOC,
    Cells,
    ChargeReason,
    Checked,
    Report,
    Tolerances,
    check_charge,
    unknown_charge,
)

STEP_S = 900.0
ALLOWED = Tolerances()
Fault = Callable[[int, NDArray[np.float64], Report], Report]


def cells(n: int) -> Cells:
    return Cells(np.full(n, 200.0), np.full(n, 0.001), np.full(n, 100.0), np.full(n, 200.0))


def run(
    seed: int, steps: int, fault: Fault | None = None, *, n: int = 4
) -> list[tuple[NDArray[np.float64], Checked]]:
    """Truth and findings of each step, for sensors that use their tolerances up."""
    rng = np.random.default_rng(seed)
    pack, state, soc = cells(n), unknown_charge(n), rng.uniform(0.3, 0.9, n)
    gain = 1 + ALLOWED.current_gain * rng.uniform(-0.9, 0.9, n)
    offset_a = ALLOWED.current_offset_per_h * pack.capacity_ah * rng.uniform(-0.9, 0.9, n)
    drop, found = rng.uniform(0, 1, n), []
    for t in range(steps):
        before = soc
        soc = np.clip(soc - rng.normal(0, 40, n) * STEP_S / 3600 / pack.capacity_ah, 0.02, 0.98)
        current_a = (before - soc) * pack.capacity_ah * 3600 / STEP_S
        rest_v = np.interp(soc, LFP_SOC, LFP_REST_V)
        off_v = ALLOWED.voltage_v * rng.uniform(-0.99, 0.99, n)
        report = Report(
            np.clip(soc + ALLOWED.soc * rng.uniform(-0.3, 0.3, n), 0, 1),
            rest_v - drop * current_a * pack.resistance_ohm + off_v,
            current_a * gain + offset_a,
            np.full(n, 60.0),
        )
        if fault is not None:
            report = fault(t, soc, report)
        found.append((soc, check_charge(state, report, pack, STEP_S, ALLOWED)))
    return found


@pytest.mark.kernel
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_sensors_within_their_tolerances_are_trusted_and_the_truth_stays_inside(seed: int) -> None:
    for t, (soc, checked) in enumerate(run(seed, 60)):
        assert (checked.trusted == (t >= ALLOWED.good_reports - 1)).all(), f"step {t}: {checked.reason}"
        assert (checked.low <= soc + 1e-9).all()
        assert (checked.high >= soc - 1e-9).all()
        assert (checked.high - checked.low <= 2 * ALLOWED.soc + 1e-9).all()


def reasons(found: list[tuple[NDArray[np.float64], Checked]], site: int = 0) -> list[ChargeReason]:
    return [ChargeReason(int(checked.reason[site])) for _, checked in found]


def test_a_report_too_old_is_not_trusted_and_the_bounds_widen() -> None:
    def late(t: int, soc: NDArray[np.float64], report: Report) -> Report:
        return report._replace(age_s=np.full(4, 1801.0 if 10 <= t < 14 else 1800.0))

    found = run(1, 20, late)
    seen = reasons(found)
    assert seen[10:14] == [ChargeReason.STALE] * 4
    assert seen[14:17] == [ChargeReason.PROVING] * 2 + [ChargeReason.GOOD]
    # 200 A out of 200 Ah for a quarter of an hour
    assert found[10][1].low == pytest.approx(found[9][1].low - 0.25)
    assert (found[13][1].low == 0).all()
    for soc, checked in found:
        assert ((checked.low <= soc + 1e-9) & (soc <= checked.high + 1e-9)).all()


@pytest.mark.parametrize("field", ["soc", "cell_v", "current_a", "age_s"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_not_trusted(field: str, value: float) -> None:
    def broken(t: int, soc: NDArray[np.float64], report: Report) -> Report:
        return report._replace(**{field: np.full(4, value)}) if t == 10 else report

    found = run(2, 15, broken)
    assert not found[10][1].trusted.any()
    assert reasons(found)[10] in (ChargeReason.ABSURD, ChargeReason.STALE)
    assert found[14][1].trusted.all()


@pytest.mark.parametrize("soc", [-0.1, 1.1])
def test_more_than_full_is_absurd(soc: float) -> None:
    found = run(3, 12, lambda t, _, report: report._replace(soc=np.full(4, soc)) if t == 10 else report)
    assert reasons(found)[10] == ChargeReason.ABSURD


def within_reach(found: list[tuple[NDArray[np.float64], Checked]], t: int) -> NDArray[np.float64]:
    """How far the bounds may be off by step t if reports lie: two tolerances and what the current may hide."""
    hours = (t + 1) * STEP_S / 3600
    moved = sum(np.abs(b - a) for (a, _), (b, _) in pairwise(found[: t + 1]))
    return (
        2 * ALLOWED.soc + 1.1 * (ALLOWED.current_offset_per_h * hours + ALLOWED.current_gain * moved) + 1e-9
    )


def test_a_jump_is_refused_and_what_follows_it_too() -> None:
    """A pack that says a third more from one report to the next, with no current that explains it."""
    found = run(4, 40, lambda t, soc, r: r._replace(soc=np.minimum(1, soc + 0.3)) if t >= 10 else r)
    seen = reasons(found)
    assert seen[9] == ChargeReason.GOOD
    assert seen[10] in (ChargeReason.JUMP, ChargeReason.VOLTAGE)
    low_enough = found[10][0] < 0.6
    assert low_enough.any()
    for t, (soc, checked) in enumerate(found[10:], 10):
        assert not checked.trusted[low_enough].any()
        assert (checked.low <= soc + within_reach(found, t)).all()


def told_too_much(truth: NDArray[np.float64], lie: Callable[[int], float]) -> list[tuple[float, Checked]]:
    """Truth and findings of a pack whose sensor adds ``lie`` in each step, up to the end of its scale."""
    state, pack, found = unknown_charge(1), cells(1), []
    for t, soc in enumerate(truth):
        current_a = (truth[t - 1] - soc) * 200 * 3600 / STEP_S if t else 0.0
        volts = float(np.interp(soc, LFP_SOC, LFP_REST_V)) - 0.0005 * current_a
        told = min(max(soc + lie(t), 0.0), 1.0)
        report = Report(np.array([told]), np.array([volts]), np.array([current_a]), np.zeros(1))
        found.append((float(soc), check_charge(state, report, pack, STEP_S)))
    return found


def test_a_lie_that_reaches_the_end_of_the_scale_is_not_taken_for_a_full_pack() -> None:
    up, down = np.linspace(0.4, 0.93, 60), np.linspace(1.0, 0.7, 40)
    for truth in (up, np.concatenate([np.linspace(0.4, 1.0, 60), down])):
        found = told_too_much(truth, lambda t: 0.3 if t >= 10 else 0.0)
        for soc, checked in found:
            assert checked.low[0] <= soc + 1e-9
    assert found[59][1].low[0] > 0.97  # full by its voltage, whatever the sensor says
    assert found[-1][0] - found[-1][1].low[0] < 0.06  # and counted from there


def test_a_sensor_that_jumps_back_is_itself_again() -> None:
    found = told_too_much(np.linspace(0.4, 0.8, 60), lambda t: 0.3 if 10 <= t < 40 else 0.0)
    assert [ChargeReason(int(checked.reason[0])) for _, checked in found[38:44]] == [
        ChargeReason.COULOMB,
        ChargeReason.COULOMB,
        ChargeReason.JUMP,
        ChargeReason.PROVING,
        ChargeReason.PROVING,
        ChargeReason.GOOD,
    ]
    soc, checked = found[-1]
    assert soc - checked.low[0] == pytest.approx(ALLOWED.soc, abs=1e-6)


def test_a_frozen_state_of_charge_shows_once_charge_has_passed() -> None:
    frozen: dict[str, NDArray[np.float64]] = {}

    def stand_still(t: int, soc: NDArray[np.float64], report: Report) -> Report:
        if t == 10:
            frozen["soc"] = report.soc
        return report._replace(soc=frozen["soc"]) if t >= 10 else report

    found, refused = run(5, 100, stand_still), 0
    for t, (soc, checked) in enumerate(found[10:], 10):
        reach = within_reach(found, t)
        far = np.abs(soc - frozen["soc"]) > reach + ALLOWED.soc
        assert not checked.trusted[far].any()
        assert (checked.low <= soc + reach).all()
        refused += int(far.sum())
    assert refused > 50


def test_a_drifting_state_of_charge_never_gets_far() -> None:
    """Half a percent of drift a step slips under every jump limit; the count finds it."""
    found, refused = run(6, 100, lambda t, soc, r: r._replace(soc=np.clip(r.soc + 0.005 * t, 0, 1))), 0
    for t, (soc, checked) in enumerate(found):
        reach = within_reach(found, t)
        assert (checked.low <= soc + reach).all()
        far = np.minimum(0.005 * t, 1 - soc) > reach + 2 * ALLOWED.soc
        assert not checked.trusted[far].any()
        refused += int(far.sum())
    assert refused > 50


def test_a_voltage_that_only_an_empty_cell_has_is_believed() -> None:
    found = run(
        7, 12, lambda t, _, r: r._replace(cell_v=np.full(4, 2.9), current_a=np.zeros(4)) if t == 10 else r
    )
    assert reasons(found)[10] == ChargeReason.VOLTAGE
    assert (found[10][1].high < 0.1).all()


def test_the_plateau_says_next_to_nothing() -> None:
    state = unknown_charge(1)
    report = Report(np.array([0.5]), np.array([3.29]), np.zeros(1), np.zeros(1))
    for _ in range(3):
        checked = check_charge(state, report, cells(1), STEP_S)
    assert checked.trusted.all()
    for wrong in (0.3, 0.7):  # no voltage tells these apart
        state = unknown_charge(1)
        for _ in range(3):
            checked = check_charge(state, report._replace(soc=np.array([wrong])), cells(1), STEP_S)
        assert checked.trusted.all()


def test_every_reason_has_words_and_shapes_are_checked() -> None:
    assert set(CHARGE_WORDS) == set(ChargeReason)
    good = Report(np.ones(1), np.ones(1), np.zeros(1), np.zeros(1))
    with pytest.raises(ValueError, match="soc must be of shape"):
        check_charge(unknown_charge(1), good._replace(soc=np.ones(2)), cells(1), STEP_S)
    with pytest.raises(ValueError, match="capacity_ah"):
        check_charge(unknown_charge(1), good, cells(1)._replace(capacity_ah=np.zeros(1)), STEP_S)
    with pytest.raises(ValueError, match="elapsed_s"):
        check_charge(unknown_charge(1), good, cells(1), -1.0)
