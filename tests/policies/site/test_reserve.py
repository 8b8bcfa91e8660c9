"""The reserve against its naive twin, and against cases worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.site.reserve import Agents, BackupClass, Loads, backup_of, floor_wh
from tests.policies.site.naive_reserve import stored_needed_wh
from tests.policies.site.reserve_cases import STEP_S, plain_case, random_case

URBAN: dict[str, Any] = {
    "name": "urban",
    "radio_backup_h": 2,
    "transport_backup_h": 6,
    "grade_factors": {"1": 0.5, "3": 1.5},
    "lease_s": 1800,
    "recovery_limit_w": 2000,
    "recovery_spread_s": 1800,
    "recovery_within_s": 6 * 3600,
}


@pytest.mark.kernel
@settings(max_examples=6)
@given(seed=st.integers(0, 2**32 - 1))
def test_floors_are_what_walking_through_each_failure_takes(seed: int) -> None:
    backup, loads, agents, pack = random_case(seed)
    found = floor_wh(backup, loads, agents, pack, STEP_S)
    for i, t in np.ndindex(found.floor_wh.shape):
        naive = stored_needed_wh(backup, loads, agents, pack, i, t, step_s=STEP_S)
        assert found.floor_wh[i, t] == pytest.approx(naive, rel=2e-3)
    assert not found.alarm.any()
    np.testing.assert_array_equal(found.radio_s, backup.radio_s)
    np.testing.assert_array_equal(found.transport_s, backup.transport_s)


def agreed(agents: Agents) -> Agents:
    return agents._replace(acknowledged=np.array([True]))


def test_a_failure_by_hand() -> None:
    # without a program: 0.5 h of radio at 400 W, then at 1000 W; transport 200 W throughout; all through 0.9
    backup, loads, agents, pack = plain_case(radio_h=2, transport_h=2.25, capacity_wh=20_000)
    found = floor_wh(backup, loads, agents, pack, STEP_S)
    assert found.floor_wh == pytest.approx(np.full((1, 5), 500 + (200 + 1500 + 400) / 0.9))
    # with one: 10 min at 1000 W and the rest of 2 h at 250 W; here the first stage binds, below the second
    found = floor_wh(backup, loads, agreed(agents), pack, STEP_S)
    assert found.floor_wh[0, 0] == pytest.approx(500 + (625 + 400) / 0.9)
    backup, loads, agents, pack = plain_case(radio_h=2, transport_h=6, capacity_wh=20_000)
    found = floor_wh(backup, loads, agreed(agents), pack, STEP_S)
    assert found.floor_wh[0, 0] == pytest.approx(300 + (625 + 1200) / 0.9)


def test_without_a_program_radio_is_on_until_the_first_stage_opens() -> None:
    # 200 Wh between the stages carry transport for 0.9 h, so radio goes on for the 5.1 h before
    backup, loads, agents, pack = plain_case(radio_h=2, transport_h=6, capacity_wh=20_000)
    found = floor_wh(backup, loads, agents, pack, STEP_S)
    assert found.floor_wh[0, 0] == pytest.approx(500 + (200 + 4600 + 1020) / 0.9)
    found = floor_wh(backup, loads, agents, pack._replace(capacity_wh=np.full((1, 5), 3000.0)), STEP_S)
    # 2250 Wh at the bus above the first stage: 200 + 100 in the lease, then 1200 W for 1.625 h
    assert found.transport_s[0] == pytest.approx((2.125 + 0.9) * 3600, rel=1e-6)
    assert found.radio_s[0] == 7200
    assert found.alarm.all()


def test_sleep_releases_reserve_only_with_an_acknowledged_program() -> None:
    backup, loads, agents, pack = plain_case(radio_h=2, transport_h=6, capacity_wh=20_000)
    held = floor_wh(backup, loads, agents, pack, STEP_S).floor_wh
    released = floor_wh(backup, loads, agreed(agents), pack, STEP_S).floor_wh
    # full service for the 10 min of reaction, then 250 W
    assert released[0, 0] == pytest.approx(300 + (1000 / 6 + 250 * (2 - 1 / 6) + 1200) / 0.9)
    assert (released < held).all()


def test_a_planned_sleep_counts_only_until_its_lease_ends() -> None:
    backup, loads, agents, pack = plain_case(radio_h=2, transport_h=6, capacity_wh=20_000)
    asleep = floor_wh(backup, loads, agents, pack, STEP_S).floor_wh[0, 0]
    awake = loads._replace(planned_radio_w=loads.full_radio_w)
    assert floor_wh(backup, awake, agents, pack, STEP_S).floor_wh[0, 0] == pytest.approx(
        asleep + 0.5 * 600 / 0.9
    )


def test_a_pack_that_cannot_carry_its_class_declares_fewer_hours_of_radio() -> None:
    backup, loads, agents, pack = plain_case(radio_h=2, transport_h=6, capacity_wh=2000)
    found = floor_wh(backup, loads, agreed(agents), pack, STEP_S)
    # 1530 Wh at the bus less 1200 of transport leave 330: 1000 W for 10 min, the rest at 250 W
    assert found.radio_s[0] == pytest.approx(600 + 3600 * (330 - 1000 / 6) / 250, rel=1e-6)
    assert found.transport_s[0] == 6 * 3600
    assert found.alarm.all()
    assert found.floor_wh == pytest.approx(np.full((1, 5), 2000.0))


def test_a_pack_that_cannot_even_carry_transport_declares_no_radio() -> None:
    backup, loads, agents, pack = plain_case(radio_h=2, transport_h=6, capacity_wh=1000)
    found = floor_wh(backup, loads, agreed(agents), pack, STEP_S)
    assert found.radio_s[0] == 0
    assert found.transport_s[0] == pytest.approx(3600 * 700 * 0.9 / 200, rel=1e-6)
    assert found.alarm.all()


def test_the_declaration_is_one_for_all_boundaries() -> None:
    """The weakest moment declares; a warmer one then holds less than all it could."""
    backup, loads, agents, pack = plain_case(radio_h=2, transport_h=3, capacity_wh=20_000, n_steps=40)
    cold = pack.capacity_wh.copy()
    cold[0, 30:] = 2000
    found = floor_wh(backup, loads, agents, pack._replace(capacity_wh=cold), STEP_S)
    assert found.alarm.all()
    assert 0 < found.radio_s[0] < 7200
    assert found.floor_wh.max() == pytest.approx(2000)


def test_the_coldest_moment_of_a_failure_counts() -> None:
    backup, loads, agents, pack = plain_case(radio_h=1, transport_h=1, capacity_wh=20_000, n_steps=12)
    cut = pack.radio_cutoff_wh.copy()
    cut[0, 8] = 900  # four steps reach it from boundary 4 on
    found = floor_wh(backup, loads, agents, pack._replace(radio_cutoff_wh=cut), STEP_S).floor_wh[0]
    warm = found[0]
    assert found == pytest.approx([warm] * 4 + [warm + 400] * 5 + [warm] * 4)


def test_mains_grades_and_classes() -> None:
    urban = BackupClass.model_validate(URBAN)
    backup = backup_of([urban, urban], ["1", "3"])
    assert backup.radio_s.tolist() == [3600, 3 * 3600]
    assert backup.transport_s.tolist() == [3 * 3600, 9 * 3600]
    with pytest.raises(ValueError, match="no factor for mains grade '2'"):
        backup_of([urban], ["2"])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"transport_backup_h": 1}, "radio sheds first"),
        ({"grade_factors": {}}, "at least one mains grade"),
        ({"recovery_within_s": 1800}, "a delay is part of recovery"),
        ({"radio_backup_h": -1}, "greater than or equal to 0"),
        ({"hours": 1}, "Extra inputs"),
    ],
)
def test_a_class_that_makes_no_sense_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        BackupClass.model_validate(URBAN | change)


def test_input_that_does_not_fit_is_refused() -> None:
    backup, loads, agents, pack = plain_case(radio_h=2, transport_h=6, capacity_wh=20_000)
    short = Loads(*(a[:, :-1].copy() for a in loads))
    with pytest.raises(ValueError, match="must cover 1 sites for 25200"):
        floor_wh(backup, short, agents, pack, STEP_S)
    broken = loads._replace(transport_w=np.full_like(loads.transport_w, np.nan))
    with pytest.raises(ValueError, match="transport_w must be finite"):
        floor_wh(backup, broken, agents, pack, STEP_S)
    with pytest.raises(ValueError, match="discharge_efficiency must be"):
        floor_wh(backup, loads, agents, pack._replace(discharge_efficiency=np.array([1.1])), STEP_S)
    with pytest.raises(ValueError, match="radio sheds first"):
        floor_wh(backup._replace(transport_s=np.array([60.0])), loads, agents, pack, STEP_S)
