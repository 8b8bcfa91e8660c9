"""Efficiency of the rectifiers, and which of their modules work."""

from __future__ import annotations

import numpy as np
import pytest

from hw.power import flows as f
from hw.power.plant import Plant, State, step
from hw.power.rectifier import modules_wanted, rectifier_in_w, rectifier_loss_w, rectifier_out_at_w
from tests.hw.power.plants import NAMES, catalogue, changed, command, inputs, sites

SPEC = catalogue()


def run(plant: Plant, state: State, radio_w: float, minutes: int = 5) -> int:
    """Modules at work after some minutes at a load."""
    step(plant, state, inputs(radio_w=radio_w, transport_w=0), command(), 60 * minutes)
    return int(state.rectifier["working"][0])


@pytest.mark.parametrize("name", NAMES)
def test_efficiency_has_a_flat_top_between_40_and_80_percent(name: str) -> None:
    plant, _ = sites(catalogue(name))
    site = plant.sites[0]
    share = np.linspace(0.4, 1, 61)
    scale_w = site["module_w"] * site["modules"]
    efficiency = np.array([x * scale_w / rectifier_in_w(site, x * scale_w, site["modules"]) for x in share])
    assert ((efficiency > 0.94) & (efficiency < 0.97)).all()
    assert np.ptp(efficiency[share <= 0.8]) < 0.003


def test_input_is_output_and_loss_and_its_inverse_holds() -> None:
    site = sites(SPEC)[0].sites[0]
    for working in (1, 2, 4):
        for out_w in (0.0, 500.0, 2999.0):
            in_w = rectifier_in_w(site, out_w, working)
            assert in_w == pytest.approx(out_w + rectifier_loss_w(site, out_w, working), rel=1e-12)
            assert rectifier_out_at_w(site, in_w, working) == pytest.approx(out_w, abs=1e-6)
        assert rectifier_out_at_w(site, 0.0, working) == 0
        assert rectifier_out_at_w(site, 1e6, working) == working * 3000


@pytest.mark.kernel
@pytest.mark.parametrize("spare", [0, 1, 5])
@pytest.mark.parametrize("resting_w", [0.0, 4.0, 50.0])
def test_wanted_modules_lose_least_from_wherever_they_are_sought(spare: int, resting_w: float) -> None:
    spec = changed(SPEC, rectifier={"spare_modules": spare, "resting_w": resting_w, "modules": 6})
    site = sites(spec)[0].sites[0]
    for out_w in np.linspace(0, 18000, 181):
        allowed = [m for m in range(1, 7) if m >= 1 + spare and out_w <= (m - spare) * 3000 + 1e-3] or [6]
        best = min(allowed, key=lambda m: (round(rectifier_loss_w(site, out_w, m), 9), m))
        for working in range(1, 7):
            found = modules_wanted(site, out_w, working)
            assert rectifier_loss_w(site, out_w, found) == pytest.approx(rectifier_loss_w(site, out_w, best))
            assert found in allowed


def test_hibernation_saves_standby_losses() -> None:
    awake = changed(SPEC, rectifier={"hibernates": False})
    lost = []
    for spec in (SPEC, awake):
        plant, state = sites(spec)
        lost.append(step(plant, state, inputs(radio_w=1000), command(), 3600)[0, f.RECTIFIER_LOSS])
    assert lost[0] < lost[1] - 15
    assert run(*sites(awake), 0.0) == 4
    assert run(*sites(SPEC), 0.0) == 1


def test_no_more_changes_in_an_hour_than_allowed_then_all_stay_on() -> None:
    plant, state = sites(SPEC)  # 4 changes
    seen, changes = [4], []
    for k in range(36):
        seen.append(run(plant, state, 500.0 if k % 2 == 0 else 11000.0))
        changes += [5 * k] if seen[-1] != seen[-2] else []
    for at in changes:
        assert sum(at <= x < at + 60 for x in changes) <= 4
    assert seen[1:6] == [1, 4, 1, 4, 4]
    assert seen[6:13] == [4] * 7
    assert len(changes) > 8
    calm, calm_state = sites(SPEC)
    assert [run(calm, calm_state, load, 60) for load in (500.0, 11000.0, 500.0, 11000.0)] == [1, 4, 1, 4]


def test_hours_of_work_even_out() -> None:
    plant, state = sites(SPEC)
    for _ in range(24 * 60):
        run(plant, state, 3000.0, 60)
    hours = state.rectifier["hours"][0, :4]
    assert hours.sum() == pytest.approx(24 * 60 * 2, rel=0.01)
    assert np.ptp(hours) <= 24 + 1
    lazy, lazy_state = sites(changed(SPEC, rectifier={"rotate_after_h": 1e9}))
    for _ in range(24 * 60):
        run(lazy, lazy_state, 3000.0, 60)
    assert np.ptp(lazy_state.rectifier["hours"][0, :4]) > 1000


def test_a_rested_module_is_woken_before_a_worn_one() -> None:
    plant, state = sites(SPEC)
    state.rectifier["hours"][0, :4] = [30, 10, 20, 40]
    run(plant, state, 1000.0)
    assert state.rectifier["at_work"][0, :4].tolist() == [0, 1, 0, 0]
    run(plant, state, 3000.0)
    assert state.rectifier["at_work"][0, :4].tolist() == [0, 1, 1, 0]


def test_modules_do_no_work_without_mains() -> None:
    plant, state = sites(SPEC)
    flows = step(plant, state, inputs(mains=False), command(), 3600)[0]
    assert flows[f.RECTIFIER_IN] == flows[f.RECTIFIER_LOSS] == 0
    assert (state.rectifier["hours"] == 0).all()
