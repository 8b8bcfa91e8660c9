"""The outlook: samples become whole steps, steps become a course, and what is off the course fades as it should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from controller.errors import ModelError
from controller.forecast.outlook import ALIKE, FOLLOWED, LARGEST_MOVE, Outlook, check_step
from controller.forecast.runtime import Source, StepForecast
from controller.forecast.samples import Course, Forecaster
from policies.profile import Profile

TICK_S, SPT, H = 900, 15, 4
START = np.datetime64("2025-03-03T00:00:00", "s")
NEVER = np.datetime64("2024-12-31T00:00:00", "s")  # the end of a training long ago
SPREAD = 0.2


class Told:
    """A forecaster of steps that was told what to say."""

    def __init__(self, step_s: int, medians: Any, source: int = Source.MODEL) -> None:
        self.step_s, self.medians, self.source = step_s, np.atleast_2d(np.asarray(medians, float)), source
        self.observed: list[tuple[str, list[float]]] = []
        self.asked: list[str] = []
        self.begin = START

    def observe(self, load: np.ndarray, begin: np.datetime64) -> None:
        self.observed.append((str(begin)[11:16], [round(float(x), 4) for x in load]))
        self.begin = begin + np.timedelta64(self.step_s, "s")

    def forecast(self) -> StepForecast:
        self.asked.append(str(self.begin)[11:16])
        factor = np.exp(SPREAD * np.array([0.0, 0.8416, 1.2816, 1.645, 2.3263]))
        quantile = (self.medians[:, :, None] * factor).astype(np.float32)
        return StepForecast(self.begin, self.step_s, quantile, np.full(len(quantile), self.source, np.uint8))


def outlook(steps: Told, trained_until: np.datetime64 = NEVER) -> Outlook:
    return Outlook(
        steps,
        len(steps.medians),
        step_s=steps.step_s,
        sample_s=60,
        tick_s=TICK_S,
        horizon_ticks=H,
        trained_until=trained_until,
    )


def tick(at: Outlook, now: np.datetime64, load: Any) -> Course | None:
    """The tick before ``now`` with the same load in all its samples, and the course from ``now`` on."""
    load = np.atleast_1d(np.asarray(load, np.float32))
    at.observe(np.repeat(load[:, None], SPT, axis=1), now - np.timedelta64(TICK_S, "s"))
    return at.course(now)


def after(ticks: float) -> np.datetime64:
    return START + np.timedelta64(int(ticks * TICK_S), "s")


def run(at: Outlook, loads: Any, first: float = 0) -> Course | None:
    course = at.course(after(first))
    for t, load in enumerate(loads):
        course = tick(at, after(first + t + 1), load)
    return course


def test_samples_become_steps_at_multiples_of_their_length() -> None:
    """The trace begins at 00:30, so the first step is only half measured, and that is enough."""
    told = Told(3600, [[0.1] * 3])
    run(outlook(told), [0.2, 0.4, 0.1, 0.1, 0.3, 0.3, 0.9], first=2)
    assert told.observed == [("00:00", [0.3]), ("01:00", [0.2])]
    assert told.asked == ["01:00", "02:00"], "once for each step"


@pytest.mark.parametrize(("measured", "found"), [(30, 0.2), (29, np.nan)])
def test_a_step_counts_from_half_its_samples_on(measured: int, found: float) -> None:
    told = Told(3600, [[0.1] * 3])
    at = outlook(told)
    samples = np.full((1, 60), np.nan, np.float32)
    samples[0, -measured:] = 0.2
    for t in range(4):
        at.course(after(t))
        at.observe(samples[:, t * SPT : (t + 1) * SPT], after(t))
    at.course(after(4))
    assert told.observed == [("00:00", pytest.approx([found], nan_ok=True))]


def test_a_tick_across_the_end_of_a_step_is_split() -> None:
    told = Told(1800, [[0.1] * 4])
    at = outlook(told)
    for t in range(4):
        now = after(t + 5 / 15)
        at.observe(np.where(np.arange(SPT) < 10, 0.1, 0.4).astype(np.float32)[None], now)
    first, second = (20 * 0.1 + 5 * 0.4) / 25, (20 * 0.1 + 10 * 0.4) / 30
    assert told.observed == [("00:00", pytest.approx([first])), ("00:30", pytest.approx([second]))]


def test_lost_ticks_leave_steps_unmeasured_and_a_clock_set_back_changes_nothing() -> None:
    told = Told(900, [[0.1] * 6])
    at = outlook(told)
    run(at, [0.2, 0.2])
    tick(at, after(6), 0.3)
    at.course(after(7))
    kept = list(told.observed)
    assert [begin for begin, _ in kept] == ["00:00", "00:15", "00:30", "01:00", "01:15", "01:30"]
    assert np.isfinite([load[0] for _, load in kept]).tolist() == [True, True, False, False, True, False]
    tick(at, after(3), 0.9)
    assert told.observed == kept


def test_the_level_runs_straight_between_the_middles_of_steps() -> None:
    """Hours of 0.1, then 0.2 and 0.4: in the log half a doubling on each side of the hour, then another."""
    told = Told(3600, [[0.2, 0.4, 0.4]])
    at = outlook(told)
    course = run(at, [0.1] * 4)
    assert course is not None
    assert np.exp(course.now) == pytest.approx(0.1 * 2**0.5)
    assert np.exp(course.ahead[0]) == pytest.approx(0.1 * 2 ** np.array([0.625, 0.875, 1.125, 1.375]))
    assert course.slope * SPT == pytest.approx(FOLLOWED * np.log(2) / 4)
    course = tick(at, after(5), 0.1)
    assert course is not None
    assert np.exp(course.now) == pytest.approx(0.1 * 2**0.75)


def test_quarters_of_an_hour_are_their_own_middles() -> None:
    told = Told(900, [[0.2, 0.3, 0.25, 0.3, 0.2, 0.2]])
    course = run(outlook(told), [0.1])
    assert course is not None
    assert np.exp(course.ahead[0]) == pytest.approx([0.2, 0.3, 0.25, 0.3])
    assert np.exp(course.now) == pytest.approx((0.1 * 0.2) ** 0.5)


def test_a_leap_of_the_forecast_is_bounded() -> None:
    course = run(outlook(Told(900, [[1.0, 0.001, 1.0, 1.0, 1.0, 1.0]])), [0.01])
    assert course is not None
    moves = np.diff(np.column_stack([course.now, course.ahead]))
    assert np.abs(moves).max() == pytest.approx(LARGEST_MOVE)


def test_errors_are_those_of_the_knots() -> None:
    """At a full hour: half of the first step's error; its middle is two ticks away, the next step's six."""
    told = Told(3600, [[0.1, 0.1, 0.1]])
    at = outlook(told)
    course = run(at, [0.1] * 4)
    assert course is not None
    assert course.var_now == pytest.approx((0.5 * SPREAD) ** 2, rel=1e-3)
    assert course.var_ahead[0, :2] == pytest.approx((np.array([0.625, 0.875]) * SPREAD) ** 2, rel=1e-3)
    mixed = np.array([0.875, 0.125])
    assert course.var_ahead[0, 2] == pytest.approx(
        SPREAD**2 * mixed @ [[1, ALIKE], [ALIKE, 1]] @ mixed, rel=1e-3
    )
    assert course.shared[0, 0] == pytest.approx(0.5 * 0.625 * SPREAD**2, rel=1e-3)
    course = run(outlook(told), [np.nan] * 4)
    assert course is not None
    assert course.var_now[0] > (0.7 * SPREAD) ** 2, "nothing was measured, so nothing is certain"
    assert np.exp(course.now) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("trained_until", "used"), [(START, True), (after(5), False), (START - np.timedelta64(367, "D"), False)]
)
def test_a_model_is_used_after_its_training_and_not_forever(trained_until: Any, used: bool) -> None:
    told = Told(900, [[0.1] * 6, [0.1] * 6])
    at = outlook(told, trained_until)
    course = run(at, [[0.2, 0.2]] * 4)
    assert (course is not None) == used == bool(told.asked)
    assert at.model_cell_ticks == (8 if used else 0)
    assert len(told.observed) == 4, "it is fed all the time"


def test_cells_without_a_forecast_are_not_guided() -> None:
    assert run(outlook(Told(900, [[0.1] * 6], Source.NONE)), [0.1] * 2) is None
    broken = Told(900, [[0.1] * 6, [np.nan] * 6])
    course = run(outlook(broken), [[0.1, 0.1]] * 2)
    assert course is not None
    assert course.guided.tolist() == [True, False]
    assert all(np.isfinite(part).all() for part in course)


@pytest.mark.parametrize("step_s", [300, 1350, 25200, 1])
def test_a_step_that_does_not_fit_the_tick_is_refused(step_s: int) -> None:
    with pytest.raises(ModelError, match=rf"north.onnx: .*{step_s} s.*900 s.*train a model"):
        check_step(step_s, TICK_S, "north.onnx")
    for fine in (900, 1800, 3600):
        check_step(fine, TICK_S, "north.onnx")


def course_of(n: int, **change: Any) -> Course:
    flat = {
        "guided": np.ones(n, bool),
        "slope": np.zeros(n),
        "now": np.full(n, np.log(0.1)),
        "ahead": np.full((n, H), np.log(0.1)),
        "var_now": np.full(n, 0.04),
        "var_ahead": np.full((n, H), 0.04),
        "shared": np.full((n, H), 0.04),
    }
    return Course(**(flat | change))


@pytest.fixture
def settled(profile: Profile) -> Forecaster:
    """Two cells that have carried 0.1 for a day, with nothing of the noise left."""
    forecaster = Forecaster(2, profile.forecast, sample_s=60, tick_s=TICK_S)
    for slot in range(96):
        forecaster.observe(np.full((2, SPT), 0.1, np.float32), slot)
    return forecaster


def test_a_guided_cell_goes_where_the_course_goes(settled: Forecaster) -> None:
    before = settled.forecast(0)
    rising = np.log(0.1) + np.tile([0.1, 0.3, 0.5, 0.7], (2, 1))
    course = course_of(2, ahead=rising, guided=np.array([True, False]))
    there = settled.forecast(0, course)
    bias = np.full(2, 0.5) * settled._settings.noise_variance * settled.state.spread
    lasts = 0.04 / (0.04 + settled.state.var_level[0])
    lead = [0.1, 0.3, 0.5, 0.7] + (lasts - 1) * bias[0]
    assert there.log_median[0] - before.log_median[0] == pytest.approx(lead, abs=5e-3)
    assert (there.log_median[1] == before.log_median[1]).all()
    assert (there.log_sd[1] == before.log_sd[1]).all()


def test_what_is_off_the_course_fades_with_what_it_shares(settled: Forecaster) -> None:
    """The course says 0.05 now and then; the cell carries 0.1."""
    low = {"now": np.full(2, np.log(0.05)), "ahead": np.full((2, H), np.log(0.05))}
    shared = 0.04 * np.tile([1.0, 0.5, 0.2, 0.0], (2, 1))
    medians = np.exp(settled.forecast(0, course_of(2, shared=shared, **low)).log_median[0])
    assert (np.diff(medians) < 0).all()
    assert medians[0] > 0.08
    assert medians[3] == pytest.approx(0.05, rel=0.1)


def test_the_spread_of_the_first_tick_is_measured_and_grows_as_the_course_says(settled: Forecaster) -> None:
    alone = settled.forecast(0).log_sd
    flat = settled.forecast(0, course_of(2)).log_sd
    grows = np.tile([0.04, 0.14, 0.54, 0.3], (2, 1))
    wide = settled.forecast(0, course_of(2, var_ahead=grows)).log_sd
    assert (flat[:, 0] == alone[:, 0]).all()
    assert (wide[:, 0] == alone[:, 0]).all()
    assert (wide**2 - flat**2)[0] == pytest.approx([0, 0.1, 0.5, 0.26], abs=1e-6)
    assert (flat < alone + 1e-9).all(), "a course that gets no wider leaves less open than a random walk"


def test_a_cell_that_strays_from_its_course_makes_the_filter_less_certain(settled: Forecaster) -> None:
    """What the course leaves open is measured: two courses that are equally sure of themselves, one of them wrong."""
    for slot in range(96):
        rising = np.log(0.1) + np.tile([0.6 * (slot % 2), 0.0, 0.0, 0.0], (2, 1)) * [[0], [1]]
        settled.forecast(slot, course_of(2, ahead=rising))
        settled.observe(np.full((2, SPT), 0.1, np.float32), slot)
    sd = settled.forecast(0, course_of(2)).log_sd[:, 0]
    assert sd[1] > 1.3 * sd[0]


def test_the_level_moves_with_the_slope_while_nothing_is_measured(settled: Forecaster) -> None:
    level = settled.state.level.copy()
    settled.forecast(0, course_of(2, slope=np.array([0.02, 0.0])))
    settled.observe(np.full((2, SPT), np.nan, np.float32), 0)
    assert settled.state.level - level == pytest.approx([0.02 * SPT, 0])
    settled.observe(np.full((2, SPT), np.nan, np.float32), 1)
    assert settled.state.level - level == pytest.approx([0.02 * SPT, 0]), "a course is for one tick"


def test_a_model_that_becomes_too_old_is_left_within_its_last_step() -> None:
    told = Told(3600, [[0.1] * 3])
    at = outlook(told, after(6) - np.timedelta64(366, "D"))
    courses = [at.course(after(0))] + [tick(at, after(t), 0.1) for t in range(1, 9)]
    assert [course is not None for course in courses] == [t in (4, 5) for t in range(9)]
