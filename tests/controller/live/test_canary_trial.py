"""A trial of canaries in a small lab in virtual time, on the physics of the simulated plant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controller.live.events import Matched, RolledBack
from controller.live.own_energy import OwnPower
from controller.live.savings import Seen, tell
from hw.sim_plant.faults import Fault
from hw.world import SYMBOL
from tests.controller.live.plant_trial import TICK_S, Trial
from tests.controller.live.watched import said

NIGHT_TICKS, WITHIN_TICKS = 7, 3


def test_ten_percent_less_throughput_ends_a_trial_within_three_ticks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(tmp_path, monkeypatch, sites=8, ladder={"stage": "canary", "sample": {"sites": 2}})
    plant, canaries = trial.plant, trial.core.canaries
    full_service_wh, drawn_wh = 0.0, 0.0
    site = np.array(plant.names.site_id)
    at_canaries = np.isin(site, np.unique(site[trial.core.ladder.canary]))
    for minute in range(NIGHT_TICKS * 15):
        trial.run((minute + 1) * 60)
        book = plant.radio.book
        full_service_wh += book.last_full_service_power[at_canaries].sum() / 60
        drawn_wh += book.last_power[at_canaries].sum() / 60
    (matched,) = said(trial, Matched)
    assert len(matched.canary) >= 8
    resting = plant.radio.level > SYMBOL
    assert resting[at_canaries].mean() > 0.3
    assert not resting[~at_canaries].any()
    assert said(trial, RolledBack) == []  # rest slows users by design
    assert canaries.armed is not None
    found = tell(Seen(canaries.facts, canaries.rows, canaries.armed.matching, {}, OwnPower(0.0, 0)))
    saved = 1 - drawn_wh / full_service_wh
    assert saved > 0.05
    assert found.rows[0].by_controls.value == pytest.approx(saved, abs=0.01)
    assert abs(found.rows[0].users_ratio) < 0.005
    assert found.own is not None
    assert found.own.net.value == found.rows[0].combined.value

    plant.inject("", Fault.SLOW_USERS, trial.clock.now_us, heals=False, cell_id=matched.canary, share=0.1)
    trial.run((NIGHT_TICKS + WITHIN_TICKS) * TICK_S + 40)
    assert [record.site for record in said(trial, RolledBack)] == [""]
    assert not (plant.radio.level > SYMBOL).any()
