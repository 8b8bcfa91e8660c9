"""The on-battery program through outages, lost links and restarts, and recovery after them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from policies.site.outage import (
    Program,
    check_program,
    read_back,
    run_program,
    stretch,
    with_mains,
    write_down,
)
from policies.site.recovery import RecoveryTerms, no_recovery, recover

TICK_S = 900.0


def program(n: int = 1) -> Program:
    """Sleep at once, deeper after an hour or below half, radio shed below 20 %, all below 5 %."""

    def rows(values: list[Any], kind: type = float) -> NDArray[Any]:
        return np.tile(np.array(values, kind), (n, 1))

    return Program(
        rows([0, 3600, 1e9, 1e9]),
        rows([1, 0.5, 0.2, 0.05]),
        rows([0.6, 0.3, 0, 0]),
        rows([1, 1, 1, 0], bool),
        np.full(n, 600.0),
    )


def orders(state: Any, mains: bool, soc: float, elapsed_s: float = TICK_S) -> tuple[float, bool]:
    got = run_program(program(), state, np.array([mains]), np.array([soc]), elapsed_s)
    return float(got.radio_ratio[0]), bool(got.transport[0])


@pytest.mark.kernel
def test_stages_follow_time_and_charge_and_never_go_back_in_an_outage() -> None:
    state = with_mains(1)
    assert orders(state, True, 0.9) == (1, True)
    assert [orders(state, False, 0.9) for _ in range(4)] == [(0.6, True)] * 3 + [(0.3, True)]
    assert orders(state, False, 0.19) == (0, True)
    assert orders(state, False, 0.9) == (0, True)
    assert orders(state, False, 0.04) == (0, False)
    assert orders(state, True, 0.04, 300) == (0, False)  # mains has to stay
    assert orders(state, False, 0.04, 300) == (0, False)
    assert orders(state, True, 0.1, 900) == (1, True)
    assert state.on_battery_s[0] == 0


@pytest.mark.kernel
def test_a_state_of_charge_that_is_unknown_counts_as_empty() -> None:
    assert orders(with_mains(1), False, np.nan) == (0, False)


def test_a_restart_in_the_middle_changes_nothing() -> None:
    """The agent writes its state down, is gone for two ticks and goes on where it would have been."""
    steady, restarted = with_mains(1), with_mains(1)
    course = [(False, 0.9), (False, 0.8), (False, 0.7), (False, 0.45), (False, 0.4), (True, 0.4)]
    expected = [orders(steady, mains, soc) for mains, soc in course]
    found = [orders(restarted, mains, soc) for mains, soc in course[:2]]
    paper = json.dumps(write_down(restarted))
    back = read_back(json.loads(paper), stages=4)
    found.append(orders(back, *course[4], elapsed_s=3 * TICK_S))
    found.append(orders(back, *course[5]))
    assert found == [expected[0], expected[1], expected[4], expected[5]]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": "quietcell.on-battery/2"}, "schema must be"),
        ({"stage": [4]}, r"stage must lie in -1\.\.3"),
        ({"stage": ["deep"]}, "invalid literal|lists of numbers"),
        ({"mains_s": [1.0, 2.0]}, "of one length"),
        ({"on_battery_s": [float("nan")]}, "times must not be negative"),
        ({"more": 1}, "has the fields"),
    ],
)
def test_a_state_that_was_damaged_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_back(write_down(with_mains(1)) | change, stages=4)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"after_s": np.array([[0, 5, 4, 9.0]])}, "after_s must not fall"),
        ({"below_ratio": np.array([[0.5, 0.6, 0.2, 0.1]])}, "below_ratio must not rise"),
        ({"radio_ratio": np.array([[0.5, 0.5, 0.5, 0.5]])}, "radio sheds first"),
        ({"radio_ratio": np.array([[1.5, 0.5, 0, 0]])}, r"lie in 0\.\.1"),
        ({"transport": np.array([[True, False, True, False]])}, "transport must not rise"),
        ({"back_s": np.zeros(2)}, "back_s must be of shape"),
    ],
)
def test_a_program_that_makes_no_sense_is_refused(change: dict[str, Any], complaint: str) -> None:
    check_program(program())
    with pytest.raises(ValueError, match=complaint):
        check_program(program()._replace(**change))


def test_sleep_is_as_deep_as_the_time_asks_for() -> None:
    # 1000 W of radio for 2 h and 200 W of transport for 4 h take 2800 Wh
    energy = np.array([3000.0, 2800, 1800, 1000, 700, np.nan])

    def all_sites(value: float) -> NDArray[np.float64]:
        return np.full(len(energy), value)

    ratio = stretch(
        energy, all_sites(1000), all_sites(200), all_sites(0.2), all_sites(7200), all_sites(14400)
    )
    assert ratio == pytest.approx([1, 1, 0.5, 0.2, 0.2, 0.2])
    over = stretch(energy, all_sites(1000), all_sites(200), all_sites(0.2), all_sites(0), all_sites(0))
    assert over[:5].tolist() == [1] * 5


def terms(n: int, spread_s: float = 1800.0) -> RecoveryTerms:
    return RecoveryTerms(np.full(n, 1500.0), np.full(n, spread_s), np.full(n, 4 * 3600.0))


def test_recovery_waits_charges_and_ends_at_the_floor() -> None:
    state, rng = no_recovery(1), np.random.default_rng(1)
    yes, no, floor = np.array([True]), np.array([False]), np.array([5000.0])

    def tick(mains: NDArray[np.bool_], stored_wh: float, elapsed_s: float = 300) -> tuple[bool, float]:
        got = recover(state, terms(1), mains, np.array([stored_wh]), floor, yes, elapsed_s, rng)
        return bool(got.recovering[0]), float(got.charge_w[0])

    assert tick(yes, 1000) == (False, 0)  # no outage, no recovery
    assert tick(no, 1000) == (False, 0)
    assert tick(yes, 1000) == (True, 0)
    waited = 0
    while (found := tick(yes, 1000)) == (True, 0):
        waited += 300
    assert found == (True, 1500)
    assert waited < state.delay_s[0] <= waited + 300 <= 1800
    assert tick(yes, 4999) == (True, 1500)
    assert tick(yes, 5000) == (False, 0)
    assert tick(yes, 1000) == (False, 0)  # once over it is over


def test_recovery_has_an_end() -> None:
    state, rng = no_recovery(1), np.random.default_rng(1)
    yes = np.array([True])
    recover(state, terms(1), ~yes, np.zeros(1), np.ones(1), yes, 900, rng)
    lasted = 0
    while recover(
        state, terms(1), yes, np.array([np.nan]), np.ones(1), np.array([lasted > 7200]), 900, rng
    ).recovering[0]:
        lasted += 900
    assert lasted == 7200 + 4 * 3600  # for two hours the cells were too cold


def test_an_outage_in_recovery_begins_it_anew() -> None:
    state, rng = no_recovery(1), np.random.default_rng(1)
    for mains in (False, True, True, False):
        found = recover(
            state, terms(1), np.array([mains]), np.zeros(1), np.ones(1), np.array([True]), 3600, rng
        )
    assert not found.recovering[0]
    recover(state, terms(1), np.array([True]), np.zeros(1), np.ones(1), np.array([True]), 3600, rng)
    assert state.since_s[0] == 0


def test_sites_of_a_region_do_not_come_back_as_one() -> None:
    n = 2000
    state, rng = no_recovery(n), np.random.default_rng(7)
    recover(state, terms(n), np.zeros(n, bool), np.zeros(n), np.ones(n), np.ones(n, bool), 60, rng)
    total_w = [
        recover(
            state, terms(n), np.ones(n, bool), np.zeros(n), np.ones(n), np.ones(n, bool), 60, rng
        ).charge_w.sum()
        for _ in range(32)
    ]
    assert total_w[0] == 0
    assert np.diff(total_w).max() < 0.06 * n * 1500  # a minute of the thirty brings about a thirtieth of them
    assert total_w[-1] == n * 1500
    with pytest.raises(ValueError, match="stored_wh must be of shape"):
        recover(state, terms(n), np.ones(n, bool), np.zeros(1), np.ones(n), np.ones(n, bool), 60, rng)
