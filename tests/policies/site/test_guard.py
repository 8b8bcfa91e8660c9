"""The guard and safe charging: rules by hand, and an adversary against a naive plant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.site.guard import GUARD_WORDS, Facts, GuardReason, Verdict, Wanted, guard
from policies.site.safe_charging import Ahead, Charge, Terms, safe_charging

STEP_S = 900
H = STEP_S / 3600


def terms(**change: float) -> Terms:
    values = {
        "hard_cap_w": 6000.0,
        "rectifier_efficiency": 0.96,
        "charge_efficiency": 0.97,
        "discharge_efficiency": 0.96,
        "charge_max_w": 2000.0,
        "discharge_max_w": 3000.0,
        "self_discharge_w": 0.0,
        "room_ratio": 1.0,
    }
    return Terms(**{name: np.array([v]) for name, v in (values | change).items()})


def ahead(floor: list[float], *, charge_max_w: float = 2000, meter_load_w: float = 1500) -> Ahead:
    row = np.ones((1, len(floor) - 1))
    return Ahead(np.array([floor], np.float64), charge_max_w * row, meter_load_w * row)


def decide(
    wanted_w: float, stored_wh: float, floor: list[float], cap_w: float = 4000, **more: Any
) -> tuple[float, float, GuardReason]:
    facts = {"trusted": True, "mains": True, "recovering": False, "recovery_w": 500.0, "served_w": 2500.0}
    facts |= {name: more.pop(name) for name in list(more) if name in facts}
    limits = {name: more.pop(name) for name in list(more) if name in Terms._fields}
    got = guard(
        Wanted(np.array([float(wanted_w)]), np.array([float(cap_w)])),
        Facts(np.array([float(stored_wh)]), **{name: np.array([v]) for name, v in facts.items()}),
        ahead(floor, **more),
        terms(**limits),
        STEP_S,
    )
    return float(got.battery_w[0]), float(got.import_cap_w[0]), GuardReason(got.reason[0])


def test_what_breaks_no_rule_passes() -> None:
    assert decide(1000, 5000, [2000] * 5) == (1000, 4000, GuardReason.AS_WANTED)
    assert decide(-1000, 5000, [2000] * 5) == (-1000, 4000, GuardReason.AS_WANTED)
    assert decide(0, 5000, [2000] * 5) == (0, 4000, GuardReason.AS_WANTED)


def test_discharge_ends_at_the_floor() -> None:
    power, _, reason = decide(2000, 2250, [2000] * 5)
    assert (power, reason) == (pytest.approx(250 * 0.96 / H), GuardReason.FLOOR)
    for stored in (2000, 1900):  # at the floor and below it
        assert decide(2000, stored, [2000, 0, 0, 0, 0])[0] == 0
    # the floor that ends with this step holds until then
    assert decide(2000, 2250, [2000, 500, 500])[0] == pytest.approx(250 * 0.96 / H)


def test_self_discharge_is_left_in_the_pack() -> None:
    power = decide(2000, 2250, [2000, 2000], self_discharge_w=40.0)[0]
    assert power == pytest.approx((250 - 40 * H) * 0.96 / H)


def test_a_rising_floor_is_seen_coming() -> None:
    # 2000 W for a step store 485 Wh; the floor of 3000 Wh stands four boundaries ahead
    floor = [1000.0, 1000, 1000, 1000, 3000]
    power, cap, reason = decide(2000, 1800, floor)
    kept = 3000 - 3 * 2000 * 0.97 * H
    assert reason == GuardReason.RISING_FLOOR
    assert 1800 - power * H / 0.96 == pytest.approx(kept)
    # less than that is stored: charge now, under the cap
    power, cap, reason = decide(2000, kept - 100, floor)
    assert (power, cap, reason) == (pytest.approx(-100 / (0.97 * H)), 4000, GuardReason.CHARGE_NOW)


def test_the_import_cap_gives_way_only_for_a_floor() -> None:
    # the cap leaves (2000 - 1500) x 0.96 = 480 W for charging, the connection all 2000 W
    floor = [1000.0, 1000, 1000, 1000, 3000]
    power, cap, reason = decide(0, 2900, floor, cap_w=2000)
    assert (power, cap, reason) == (0, 2000, GuardReason.AS_WANTED)
    power, cap, reason = decide(0, 2000, floor, cap_w=2000)  # the plant will take what the cap leaves
    assert (power, cap, reason) == (-2000, 2000, GuardReason.CHARGE_NOW)
    power, cap, reason = decide(0, 1200, floor, cap_w=2000)
    needed = 3000 - 3 * 2000 * 0.97 * H
    assert (power, cap, reason) == (
        pytest.approx(-(needed - 1200) / (0.97 * H)),
        6000,
        GuardReason.CAP_LIFTED,
    )


def test_a_battery_is_never_exported() -> None:
    assert decide(2800, 9000, [100] * 3)[::2] == (2500, GuardReason.NO_EXPORT)
    assert decide(500, 9000, [100] * 3, served_w=-200.0)[::2] == (0, GuardReason.NO_EXPORT)
    assert decide(500, 9000, [100] * 3, served_w=np.nan)[::2] == (0, GuardReason.NO_EXPORT)


def test_the_pack_bounds_both_ways() -> None:
    assert decide(9e9, 9000, [100] * 3, served_w=9e9)[::2] == (3000, GuardReason.PACK_LIMIT)
    assert decide(-9e9, 500, [100] * 3)[::2] == (-2000, GuardReason.PACK_LIMIT)
    assert decide(-np.inf, 500, [100] * 3)[::2] == (-2000, GuardReason.PACK_LIMIT)


def test_without_mains_nothing_is_commanded() -> None:
    assert decide(2000, 9000, [100] * 3, mains=False)[::2] == (0, GuardReason.OUTAGE)
    assert decide(-2000, 100, [5000] * 3, mains=False)[::2] == (0, GuardReason.OUTAGE)


def test_recovery_charges_at_its_own_pace() -> None:
    for wanted in (2000, -9e9, np.nan):
        assert decide(wanted, 100, [5000] * 3, recovering=True)[::2] == (-500, GuardReason.RECOVERY)
    assert decide(2000, 100, [50] * 3, recovering=True, recovery_w=np.nan)[::2] == (0, GuardReason.RECOVERY)


def test_a_charge_that_is_not_trusted_is_not_touched() -> None:
    power, _, reason = decide(2000, 1000, [1500] * 3, trusted=False)
    assert (power, reason) == (-2000, GuardReason.UNTRUSTED)
    for stored in (np.nan, np.inf, -1.0):
        power, _, reason = decide(2000, stored, [1500] * 3)
        assert (power, reason) == (-2000, GuardReason.UNTRUSTED)


def test_a_plan_that_is_no_number_means_safe_charging() -> None:
    assert decide(np.nan, 2000, [1500] * 3)[::2] == (0, GuardReason.ABSURD)
    power, _, reason = decide(np.nan, 1400, [1500] * 3)
    assert (power, reason) == (pytest.approx(-100 / (0.97 * H)), GuardReason.ABSURD)
    # a cap that is no number is no cap to charge under, and gives way only for a floor
    assert decide(0, 2000, [1500] * 3, cap_w=np.nan) == (0, 0, GuardReason.AS_WANTED)
    assert decide(0, 1400, [1500] * 3, cap_w=np.nan)[1:] == (6000, GuardReason.CAP_LIFTED)


def test_a_floor_that_is_no_number_is_out_of_reach() -> None:
    assert decide(2000, 9000, [100, 100, np.nan])[0] <= 0
    assert decide(2000, 9000, [np.nan, 100, 100])[0] <= 0


def test_every_reason_has_words() -> None:
    assert set(GUARD_WORDS) == set(GuardReason)


def test_safe_charging_goes_for_the_highest_floor_under_the_cap() -> None:
    floors = ahead([1000, 1000, 1000, 1000, 3000])

    def charge(stored_wh: float, cap_w: float) -> tuple[float, float]:
        got: Charge = safe_charging(np.array([stored_wh]), np.array([cap_w]), floors, terms(), STEP_S)
        return float(got.battery_w[0]), float(got.import_cap_w[0])

    assert charge(5000, 2000) == (0, 2000)
    assert charge(2900, 4000) == (pytest.approx(-100 / (0.97 * H)), 4000)
    assert charge(2000, 4000) == (-2000, 4000)
    assert charge(2000, 2000) == (-2000, 2000)  # what the cap leaves; the connection will do later
    needed = 3000 - 3 * 2000 * 0.97 * H
    assert charge(1400, 2000) == (pytest.approx(-(needed - 1400) / (0.97 * H)), 6000)
    assert charge(np.nan, 2000) == (-2000, 6000)


def test_shapes_and_ranges_are_checked() -> None:
    with pytest.raises(ValueError, match="floor_wh must be of shape"):
        safe_charging(
            np.ones(1), np.ones(1), ahead([1, 1, 1])._replace(floor_wh=np.ones((1, 2))), terms(), STEP_S
        )
    with pytest.raises(ValueError, match="stored_wh must be of shape"):
        safe_charging(np.ones(2), np.ones(1), ahead([1, 1, 1]), terms(), STEP_S)
    with pytest.raises(ValueError, match="charge_efficiency must be above 0"):
        safe_charging(np.ones(1), np.ones(1), ahead([1, 1, 1]), terms(charge_efficiency=0.0), STEP_S)
    with pytest.raises(ValueError, match="step 2 of 2"):
        safe_charging(np.ones(1), np.ones(1), ahead([1, 1, 1]), terms(), STEP_S, at=2)


ABSURD = [np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0]


@pytest.mark.kernel
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_adversary_brings_a_site_below_a_floor_that_it_can_meet(seed: int) -> None:
    """The floors are known a day ahead, reachable from the start under the connection's cap."""
    rng = np.random.default_rng(seed)
    n, steps = 20, 40
    limits = Terms(*(np.full(n, float(field[0])) for field in terms(self_discharge_w=30.0)))
    charge_max, load = rng.uniform(0, 2000, (n, steps)), rng.uniform(500, 5900, (n, steps))
    stored = rng.uniform(1000, 8000, n)
    room = np.minimum(charge_max, (6000 - load) * 0.96)
    reach = stored[:, None] + np.cumsum((room * 0.97 - 30) * H, axis=1)
    highest = np.minimum(9000, np.minimum.accumulate(reach[:, ::-1], axis=1)[:, ::-1])
    floor = np.concatenate([stored[:, None], highest], axis=1) * rng.uniform(0.2, 1, (n, steps + 1))
    floor[rng.random(floor.shape) < 0.2] = 0
    course = Ahead(floor, charge_max, load)
    for t in range(steps):
        wanted = rng.normal(0, 4000, n)
        wanted[: len(ABSURD)] = ABSURD
        caps = rng.choice([*ABSURD, 2000.0, 4000.0, 6000.0], n)
        facts = Facts(
            stored, rng.random(n) < 0.9, np.ones(n, bool), np.zeros(n, bool), np.zeros(n), np.full(n, 2500.0)
        )
        got: Verdict = guard(Wanted(wanted, caps), facts, course, limits, STEP_S, at=t)
        assert np.isfinite(got.battery_w).all()
        assert (got.battery_w <= np.where(facts.trusted, 2500, 0)).all()
        assert (got.battery_w[stored <= floor[:, t]] <= 0).all()
        assert ((got.import_cap_w >= 0) & (got.import_cap_w <= 6000)).all()
        charge = np.minimum(
            np.maximum(-got.battery_w, 0), np.maximum((got.import_cap_w - load[:, t]) * 0.96, 0)
        )
        charge = np.minimum(charge, charge_max[:, t])
        stored = stored + (charge * 0.97 - np.maximum(got.battery_w, 0) / 0.96 - 30) * H
        assert (stored >= floor[:, t + 1] - 1e-6).all(), f"seed {seed}, step {t}"
