"""The way off the air as a state machine: every edge that exists, and what no sequence of answers can do."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.presteps import SLEEP_ORDER, WAKE_ORDER, Step, advance, may_rest, steps_of

ASLEEP = np.array([False, False, False, True, True])


def after(step: Step, wants_off: bool, confirmed: bool, refused: bool) -> Step:
    flags = (np.array([flag]) for flag in (wants_off, confirmed, refused))
    return Step(int(advance(np.array([step], np.uint8), *flags)[0]))


def by_hand(step: Step, wants_off: bool, confirmed: bool, refused: bool) -> Step:
    """The drawing of the module, edge by edge."""
    done = confirmed and not refused
    if step == Step.ON_AIR:
        return Step.CHECK if wants_off else Step.ON_AIR
    if step == Step.OFF_AIR:
        return Step.OFF_AIR if wants_off else Step.WAKE
    if step == Step.WAKE:
        return Step.ON_AIR if done else Step.WAKE
    if refused or not wants_off:
        return Step.WAKE if step == Step.LEAVE else Step.ON_AIR
    order = [*SLEEP_ORDER, Step.OFF_AIR]
    return order[order.index(step) + 1] if done else step


@pytest.mark.parametrize("step", list(Step))
def test_every_edge(step: Step) -> None:
    for flags in product((False, True), repeat=3):
        assert after(step, *flags) == by_hand(step, *flags), flags


answers = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=40)


@given(answers=answers)
def test_no_cell_rests_before_every_step_was_confirmed_in_a_row(
    answers: list[tuple[bool, bool, bool]],
) -> None:
    step, confirmed_in_row = Step.ON_AIR, 0
    for wants_off, confirmed, refused in answers:
        before, step = step, after(step, wants_off, confirmed, refused)
        if step in (Step.ON_AIR, Step.CHECK, Step.WAKE):
            confirmed_in_row = 0
        elif step != before:
            assert confirmed
            assert not refused
            confirmed_in_row += 1
        if may_rest(np.array([step], np.uint8))[0]:
            assert confirmed_in_row >= SLEEP_ORDER.index(Step.LEAVE)


@given(step=st.sampled_from(list(Step)))
def test_a_cell_that_is_wanted_is_on_air_or_waking_in_one_move(step: Step) -> None:
    assert after(step, False, False, False) in (Step.ON_AIR, Step.WAKE)


def test_a_refused_check_keeps_the_cell_on_air_and_is_asked_again() -> None:
    assert after(Step.CHECK, True, True, True) == Step.ON_AIR
    assert after(Step.ON_AIR, True, False, False) == Step.CHECK


def test_cells_advance_on_their_own() -> None:
    step = np.array([Step.ON_AIR, Step.TELL, Step.OFF_AIR], np.uint8)
    flags = np.array([True, True, False]), np.array([False, True, True]), np.zeros(3, bool)
    assert advance(step, *flags).tolist() == [Step.CHECK, Step.LEAVE, Step.WAKE]
    assert step.tolist() == [Step.ON_AIR, Step.TELL, Step.OFF_AIR], "the argument is left alone"


def test_a_number_that_is_no_step_is_refused() -> None:
    with pytest.raises(ValueError, match="no step"):
        advance(np.array([8], np.uint8), *(np.zeros(1, bool) for _ in range(3)))


def test_the_steps_of_a_command_follow_from_the_levels() -> None:
    before = np.array([1, 1, 3, 3, 4, 0], np.uint8)
    level = np.array([2, 4, 4, 1, 0, 0], np.uint8)
    assert steps_of(before, level, ASLEEP) == [(), SLEEP_ORDER, (), WAKE_ORDER, WAKE_ORDER, ()]
