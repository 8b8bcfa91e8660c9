"""The planner around a plug-in, on its own: what it hands on, what it takes, and what it counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hw.world import SYMBOL
from policies.forecast import Forecast, Now
from policies.plugin import CheckedPlanner, Faults
from policies.policy import GUARD_REASONS, REASON_WORDS, Allowance, Decision, Reason, View, words_by_code

N, RF8, OFF = 4, 4, 5  # cell 1 is a capacity cell, the others coverage cells


def some_view() -> View:
    now = Now(*(np.full(N, 0.1) for _ in Now._fields[:-1]), 0.5)
    forecast = Forecast(np.full((N, 4), -2.0), np.full((N, 4), 0.3), np.ones(N, bool), now)
    offered, served = np.full((N, 15), 0.1, np.float32), np.full((N, 15), 2, np.uint8)
    return View(
        3.0, 900, np.full(N, 2, np.uint8), np.full(N, 900), offered, forecast, Allowance(1e-3, 1e-2), served
    )


class Answers:
    """A plug-in that answers by a function."""

    needs_forecast = True

    def __init__(self, answer: Callable[[View], Any]) -> None:
        self.plan = answer


@pytest.fixture
def ask(small_network: Any) -> Callable[..., tuple[Decision, Faults]]:
    def ask(answer: Callable[[View], Any], view: View | None = None) -> tuple[Decision, Faults]:
        checked = CheckedPlanner(Answers(answer), small_network(N, {1: (0,)}))
        return checked.plan(view or some_view()), checked.faults

    return ask


def decision(*level: Any, reason: Any = Reason.PLUGIN) -> Callable[[View], Decision]:
    return lambda view: Decision(np.array(level), np.broadcast_to(np.asarray(reason), (len(level),)))  # type: ignore[arg-type]


def test_what_it_may_use_it_gets_with_its_own_reason(ask: Any) -> None:
    made, faults = ask(decision(0, OFF, RF8, 1, reason=[Reason.DEEPEST, 0, Reason.PLUGIN, Reason.FIXED]))
    assert made.level.tolist() == [0, OFF, RF8, 1]
    assert made.level.dtype == made.reason.dtype == np.uint8
    assert made.reason.tolist() == [Reason.DEEPEST, 0, Reason.PLUGIN, Reason.FIXED]
    assert faults == Faults()


def test_whole_numbers_in_floats_are_levels(ask: Any) -> None:
    made, faults = ask(decision(1.0, 5.0, 4.0, 2.0))
    assert made.level.tolist() == [1, OFF, RF8, 2]
    assert faults == Faults()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 7.0, 2.5, 255.0, 1e30, float(OFF)])
def test_a_cell_without_a_usable_level_is_awake_and_counted(bad: float, ask: Any) -> None:
    made, faults = ask(decision(4.0, 4.0, bad, 4.0))
    assert made.level.tolist() == [RF8, RF8, SYMBOL, RF8]
    assert made.reason.tolist() == [Reason.PLUGIN, Reason.PLUGIN, Reason.PLUGIN_REFUSED, Reason.PLUGIN]
    assert (faults.failed_ticks, faults.refused_cell_ticks) == (0, 1)
    assert faults.first == f"level {bad:g} for cell number 2, which may use 0, 1, 2, 3, 4"


@pytest.mark.parametrize("code", [*GUARD_REASONS, 200])
def test_it_does_not_speak_for_the_guards(code: int, ask: Any) -> None:
    made, _ = ask(decision(1, 1, 1, 1, reason=code))
    assert made.reason.tolist() == [Reason.PLUGIN] * N


def test_it_sets_no_price_for_the_guard_loop(ask: Any) -> None:
    level = np.ones(N, np.uint8)
    made, _ = ask(lambda view: Decision(level, level, np.zeros(N)))
    assert made.risk is None


def test_nothing_that_it_does_to_its_view_is_seen_elsewhere(ask: Any) -> None:
    def spoil(view: View) -> Decision:
        assert view.forecast is not None
        assert view.forecast.now is not None
        assert view.served is not None
        for array in (
            view.level,
            view.held_s,
            view.offered,
            view.served,
            view.forecast.log_sd,
            *view.forecast.now[:-1],
        ):
            array[:] = 7
        return decision(1, 1, 1, 1)(view)

    view, untouched = some_view(), some_view()
    _, faults = ask(spoil, view)
    assert faults == Faults()
    for name in ("level", "held_s", "offered", "served"):
        np.testing.assert_array_equal(getattr(view, name), getattr(untouched, name))
    assert view.forecast is not None
    assert untouched.forecast is not None
    np.testing.assert_array_equal(view.forecast.log_sd, untouched.forecast.log_sd)
    np.testing.assert_array_equal(view.forecast.now[:-1], untouched.forecast.now[:-1])  # type: ignore[index]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda view: None, "TypeError: plan() gave a NoneType, not a policies.policy.Decision"),
        (decision(1, 1, 1), "ValueError: level is int64 of shape (3,), not integers of shape (4,)"),
        (decision("a", "b", "c", "d"), "ValueError: level is <U1 of shape (4,)"),
        (decision(True, True, True, True), "ValueError: level is bool"),
        (decision(1, 1, 1, 1, reason=0.5), "ValueError: reason is float64 of shape (4,)"),
        (lambda view: {}["x"], "KeyError: 'x'"),
    ],
)
def test_without_an_answer_all_cells_are_awake(answer: Any, words: str, ask: Any) -> None:
    made, faults = ask(answer)
    assert made.level.tolist() == [SYMBOL] * N
    assert made.reason.tolist() == [Reason.PLUGIN_FAILED] * N
    assert (faults.failed_ticks, faults.refused_cell_ticks) == (1, 0)
    assert faults.first.startswith(words)


def test_an_interrupt_is_not_a_fault(ask: Any) -> None:
    def interrupted(view: View) -> Decision:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(interrupted)


def test_faults_of_parts_add_up() -> None:
    faults = Faults()
    faults.add(Faults(1, 5, "first"))
    faults.add(Faults(2, 0, "second"))
    assert faults == Faults(3, 5, "first")


def test_every_reason_has_its_words_at_its_code() -> None:
    words = words_by_code()
    assert set(REASON_WORDS) == set(Reason)
    assert all(words[reason] == REASON_WORDS[reason] for reason in Reason)
    assert [word for word in words if word] == [REASON_WORDS[reason] for reason in sorted(Reason)]
    assert all(word.startswith("guard:") for reason, word in REASON_WORDS.items() if reason in GUARD_REASONS)
