"""Forecasts and scenarios: what they may know, what they are worth, and what they say of too little history."""

from __future__ import annotations

import numpy as np
import pytest

from controller.site.outlook import Forecast, Outlook, Scenarios, SiteCalendar
from controller.site.outlook_days import typical_days, window_before
from controller.site.outlook_scenarios import draw_days

PER_DAY = 96
START = np.datetime64("2025-01-05T23:00:00", "s")  # Monday 00:00 in Berlin
CALENDAR = SiteCalendar(START, 900, "Europe/Berlin")


def world(n: int, days: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Load with quieter weekends, PV of changing clearness, temperature with spells. (n, steps) each"""
    rng = np.random.default_rng(seed)
    hour = (np.arange(days * PER_DAY) % PER_DAY) / 4
    day = np.arange(days * PER_DAY) // PER_DAY
    busy = np.where(day % 7 >= 5, 0.6, 1.0)
    load = 1000 + 600 * busy * np.exp(-(((hour - 19) / 4) ** 2)) + 40 * rng.standard_normal((n, len(hour)))
    clear = np.maximum(0, np.sin(np.pi * (hour - 7) / 10)) * (hour > 7) * (hour < 17)
    pv = 2000 * clear * rng.uniform(0.1, 1, (n, days))[:, day]
    spell = 3 * rng.standard_normal((n, days))
    for k in range(1, days):
        spell[:, k] = 0.6 * spell[:, k - 1] + 0.8 * spell[:, k]
    return load, pv, 10 + 5 * np.sin(2 * np.pi * (hour - 9) / 24) + spell[:, day]


def outlook(data: tuple[np.ndarray, ...], now: int, price: np.ndarray | None = None) -> Outlook:
    load, pv, temp = (values[:, :now] for values in data)
    return Outlook(load, pv, temp, price, CALENDAR)


def everything(data: tuple[np.ndarray, ...], now: int, price: np.ndarray) -> list[np.ndarray]:
    view = outlook(data, now, price)
    forecast: Forecast = view.forecast(2 * PER_DAY)
    drawn: Scenarios = view.scenarios(3 * PER_DAY, 4, np.random.default_rng(1))
    return [*(values for values in forecast if values is not None), *drawn]


@pytest.mark.parametrize("now", [40, 5 * PER_DAY, 33 * PER_DAY + 17])
def test_nothing_after_now_changes_a_bit(now: int) -> None:
    data = world(3, 40)
    price = np.random.default_rng(2).random(now + 50)
    before = everything(data, now, price)
    rng = np.random.default_rng(3)
    perturbed = tuple(np.concatenate([v[:, :now], rng.random(v[:, now:].shape) * 1e4], axis=1) for v in data)
    for old, new in zip(before, everything(perturbed, now, price), strict=True):
        assert np.array_equal(old, new)


def test_what_was_recorded_does_change_the_outlook() -> None:
    data, price = world(1, 40), np.ones(34 * PER_DAY)
    now = 33 * PER_DAY + 17
    moved = tuple(values.copy() for values in data)
    for values in moved:
        values[:, now - 100 : now] += 50
    for old, new in zip(everything(data, now, price)[:4], everything(moved, now, price)[:4], strict=True):
        assert not np.array_equal(old, new)


def mean_error(name: str, days_back: int | None, lead: slice) -> float:
    data, errors = world(4, 60), []
    truth = data[{"load_w": 0, "pv_w": 1, "temp_c": 2}[name]]
    for now in range(30 * PER_DAY + 13, 56 * PER_DAY, 2 * PER_DAY + 31):
        real = truth[:, now : now + 2 * PER_DAY]
        if days_back is None:
            said = getattr(outlook(data, now).forecast(2 * PER_DAY), name)
        else:
            back = now - days_back * PER_DAY
            said = np.tile(truth[:, back : back + min(days_back, 2) * PER_DAY], 3 - min(days_back, 2))
        errors.append(np.abs(said - real)[:, lead].mean())
    return float(np.mean(errors))


@pytest.mark.parametrize("name", ["load_w", "pv_w", "temp_c"])
@pytest.mark.parametrize("lead", [slice(0, 8), slice(96, 192)], ids=["2h", "next_day"])
def test_the_outlook_beats_yesterday_and_last_week(name: str, lead: slice) -> None:
    ours = mean_error(name, None, lead)
    assert ours < 0.9 * mean_error(name, 1, lead)
    assert ours < 0.9 * mean_error(name, 7, lead)


def test_the_upper_load_holds_in_about_99_of_100_steps() -> None:
    data, held = world(6, 60), []
    for now in range(30 * PER_DAY, 56 * PER_DAY, 3 * PER_DAY + 11):
        forecast = outlook(data, now).forecast(PER_DAY)
        held.append((data[0][:, now : now + PER_DAY] <= forecast.load_upper_w).mean())
        assert (forecast.load_upper_w >= forecast.load_w).all()
        assert forecast.load_upper_w.mean() < 1.3 * forecast.load_w.mean()
    assert 0.975 < np.mean(held) < 1


def test_rest_days_are_forecast_from_rest_days() -> None:
    data = world(2, 30)
    friday_evening = 4 * 7 * PER_DAY - 2 * PER_DAY - 4  # of the fourth week
    ahead = outlook(data, friday_evening).forecast(4 * PER_DAY).load_w
    peak = ahead[:, 4:].reshape(2, -1)[:, : 3 * PER_DAY].reshape(2, 3, PER_DAY).max(axis=2)  # Sat, Sun, Mon
    assert peak[:, :2] == pytest.approx(1360, rel=0.05)
    assert peak[:, 2] == pytest.approx(1600, rel=0.05)


def test_the_last_hours_move_the_next_ones_and_fade() -> None:
    load, pv, temp = world(1, 20)
    now = 19 * PER_DAY + 40
    calm = outlook((load, pv, temp), now).forecast(2 * PER_DAY).load_w[0]
    load[:, now - 4 : now] += 300
    stirred = outlook((load, pv, temp), now).forecast(2 * PER_DAY).load_w[0]
    moved = stirred - calm
    assert moved[0] > 100
    assert moved[0] > moved[20] > moved[-1] >= 0


def test_a_growing_load_is_carried_on_for_some_days_and_then_comes_back() -> None:
    load, pv, temp = world(1, 60)
    load = load * (1 + 0.004 * np.arange(load.shape[1]) / PER_DAY)
    now = 30 * PER_DAY
    ahead = outlook((load, pv, temp), now).forecast(28 * PER_DAY).load_w[0]
    tomorrow = load[0, now : now + PER_DAY].mean()
    assert ahead[:PER_DAY].mean() == pytest.approx(tomorrow, rel=0.01)
    first_week, last_week = ahead[: 7 * PER_DAY].mean(), ahead[21 * PER_DAY :].mean()
    assert first_week > 1.01 * last_week


def test_who_looks_at_the_same_end_a_day_later_draws_nearly_the_same() -> None:
    """What differs between two looks was learned in between, not drawn."""
    data = world(2, 60)

    def last_day(day: int, seed: int) -> np.ndarray:
        view, left = outlook(data, day * PER_DAY), (50 - day) * PER_DAY
        load_w = view.scenarios(left, 30, np.random.default_rng(seed)).load_w[..., -PER_DAY:]
        return (load_w - load_w.mean(axis=0)).ravel()

    again = np.corrcoef(last_day(40, 3), last_day(41, 3))[0, 1]
    drawn_anew = np.corrcoef(last_day(40, 3), last_day(41, 4))[0, 1]
    assert again > 0.4
    assert abs(drawn_anew) < 0.2


def test_hours_stay_with_the_clock_on_the_wall() -> None:
    # the clock goes forward on 30 March 2025, 83 days after the start: a busy hour at 20:00 comes 4 steps earlier
    steps = 95 * PER_DAY
    slot = CALENDAR.slot(0, steps)
    load = np.where((slot >= 80) & (slot < 84), 2000.0, 1000.0)[None, :]
    now = 82 * PER_DAY
    ahead = outlook((load, 0 * load, 0 * load), now).forecast(4 * PER_DAY).load_w[0]
    busy = load[0, now : now + 4 * PER_DAY] > 1500
    assert 89 in np.diff(np.flatnonzero(busy))  # the change is inside: 93 steps elsewhere
    assert ahead[busy].min() > ahead[~busy & (np.roll(busy, 3) | np.roll(busy, -3))].max()


def test_known_prices_are_repeated_and_the_rest_follows_the_hour() -> None:
    data = world(2, 30)
    hour = (np.arange(30 * PER_DAY) % PER_DAY) / 4
    price = 0.1 + 0.05 * np.sin(2 * np.pi * hour / 24)
    now, known = 20 * PER_DAY + 52, 22 * PER_DAY
    ahead = outlook(data, now, price[:known]).forecast(3 * PER_DAY).import_price
    assert ahead is not None
    assert np.array_equal(ahead[:, : known - now], np.tile(price[now:known], (2, 1)))
    assert ahead[0, known - now :] == pytest.approx(price[known : now + 3 * PER_DAY], abs=0.004)
    assert outlook(data, now).forecast(4).import_price is None


def test_less_than_a_day_of_history_works_and_is_wide() -> None:
    data = world(3, 4)
    for now in (1, 40):
        forecast = outlook(data, now).forecast(2 * PER_DAY)
        drawn = outlook(data, now).scenarios(2 * PER_DAY, 30, np.random.default_rng(0))
        seen = data[0][:, :now].max(axis=1)
        assert (forecast.load_upper_w >= 1.5 * seen[:, None] - 1e-9).all()
        assert np.isfinite(drawn.load_w).all()
        tomorrow = drawn.load_w[:, :, PER_DAY:].mean(axis=2)
        assert (tomorrow.std(axis=0) > 0.1 * tomorrow.mean(axis=0)).all()
        assert (forecast.pv_w[:, PER_DAY + 60 :] >= 0).all()
    load, pv, temp = (values[:, :40] for values in data)
    rated = Outlook(load, pv, temp, None, CALENDAR, np.full(3, 5000.0)).forecast(8)
    assert (rated.load_upper_w >= 5000).all()


def test_gaps_in_the_record_leave_no_gap_in_the_outlook() -> None:
    data = world(3, 20)
    for values in data:
        values[:, 300:420] = np.nan
        values[1, -2 * PER_DAY :] = np.nan
    data[2][2] = np.nan
    now = 20 * PER_DAY
    view = outlook(data, now)
    for values in (*view.forecast(PER_DAY)[:4], *view.scenarios(PER_DAY, 3, np.random.default_rng(0))):
        assert np.isfinite(values).all()
    data[0][0] = np.nan
    with pytest.raises(ValueError, match="give rated_load_w"):
        outlook(data, now)
    rated = Outlook(*data, None, CALENDAR, np.full(3, 3000.0)).forecast(4)
    assert (rated.load_w[0] == 3000).all()


def test_scenarios_are_days_of_the_past_of_their_type_for_all_sites_at_once() -> None:
    load, pv, temp = world(2, 30)
    pv[1] = pv[0]
    now = 29 * PER_DAY
    drawn = outlook((load, pv, temp), now).scenarios(10 * PER_DAY, 20, np.random.default_rng(4))
    days = drawn.pv_w.reshape(20, 2, 10, PER_DAY).sum(axis=3)
    together = np.corrcoef(days[:, 0, 2:].ravel(), days[:, 1, 2:].ravel())[0, 1]
    assert together > 0.7
    evening = drawn.load_w.reshape(20, 2, 10, PER_DAY)[..., 74:80].mean(axis=(0, 1, 3))
    weekend = np.array([(29 + k) % 7 >= 5 for k in range(10)])
    assert evening[weekend].max() < 0.9 * evening[~weekend].min()
    night = drawn.pv_w.reshape(20, 2, 10, PER_DAY)[..., :24]
    assert (night == 0).all()


def test_scenarios_begin_where_the_load_is_and_spread_out() -> None:
    load, pv, temp = world(1, 30)
    now = 29 * PER_DAY + 30
    load[:, now - 8 : now] += 400
    drawn = outlook((load, pv, temp), now).scenarios(5 * PER_DAY, 60, np.random.default_rng(5)).load_w[:, 0]
    usual = outlook((load, pv, temp), now).forecast(5 * PER_DAY).load_w[0]
    assert drawn[:, 0].mean() == pytest.approx(usual[0], rel=0.02)
    assert drawn[:, :4].std(axis=0).mean() < 0.7 * drawn[:, 200:].std(axis=0).mean()


def test_scenarios_stray_as_far_as_weeks_did() -> None:
    load, pv, temp = world(1, 90)
    level = np.repeat(np.random.default_rng(6).uniform(0.7, 1.3, 9), 10 * PER_DAY)
    now = 89 * PER_DAY
    spread = []
    for data in ((load, pv, temp), (load * level, pv, temp)):
        drawn = outlook(data, now).scenarios(28 * PER_DAY, 60, np.random.default_rng(7)).load_w
        spread.append(drawn.mean(axis=2).std() / drawn.mean())
    assert spread[1] > 3 * spread[0]
    assert 0.1 < spread[1] < 0.3


def test_a_day_is_judged_by_the_days_before_it_alone() -> None:
    grid = np.random.default_rng(0).random((2, 12, 8))
    rest = np.arange(12) % 7 >= 5
    before = typical_days(grid, rest).past
    grid[:, 6] += 100
    after = typical_days(grid, rest).past
    assert np.array_equal(before[:, 1:7], after[:, 1:7])
    assert (after[:, 7:] > before[:, 7:]).all()
    assert np.isnan(after[:, 0]).all()


def test_a_coming_day_repeats_a_whole_day_of_its_type() -> None:
    now = 25 * PER_DAY + 40
    window = window_before(CALENDAR, now)
    drawn = draw_days(window, CALENDAR, 12 * PER_DAY, 50, np.random.default_rng(0))
    is_rest = np.array([(25 + k) % 7 >= 5 for k in range(13)])
    assert (window.rest[drawn.source] == is_rest).all()
    assert drawn.source.min() >= 1
    assert drawn.source.max() < window.n_days - 1
    assert drawn.day[[0, 55, 56, -1]].tolist() == [0, 0, 1, 12]
    goes_on = (np.diff(drawn.source[:, 3:8], axis=1) == 1).mean()  # Monday to Friday
    assert 0.3 < goes_on < 0.9


def test_the_same_seed_draws_the_same_scenarios() -> None:
    data = world(2, 20)
    one, two, other = (
        outlook(data, 19 * PER_DAY).scenarios(PER_DAY, 3, np.random.default_rng(seed)).load_w
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pv_w": np.zeros((2, 9))}, r"pv_w has shape \(2, 9\)"),
        ({"import_price": np.zeros(5)}, "p >= 10"),
        ({"import_price": np.full(10, np.nan)}, "holds no price"),
        ({"temp_c": np.full((2, 10), np.nan)}, "holds no temperature"),
    ],
)
def test_histories_that_do_not_fit_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    given = {"load_w": np.ones((2, 10)), "pv_w": np.ones((2, 10)), "temp_c": np.ones((2, 10))}
    with pytest.raises(ValueError, match=message):
        Outlook(**({"import_price": None} | given | change), calendar=CALENDAR)
