"""The core of site power against the real core of a power agent and the physics of the simulated plant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controller.live import known
from controller.live.events import Cleared, Connected, Disconnected, Led, Reported, Stopped
from controller.live.journal_entry import entry_of, record_of
from controller.live.power.events import ChargedSafely, PowerDecided, PowerWithheld
from controller.live.power.why import Why, words_of
from hw.sim_plant.faults import Fault
from policies.site.guard import GuardReason
from tests.controller.live.doubles import AgentDouble
from tests.controller.live.power_trial import PowerTrial

HOUR_S = 3600
DEAR_S = 6 * HOUR_S  # after the trace's begin the dear hours are on


@pytest.fixture
def acting(tmp_path: Path) -> PowerTrial:
    """A trial at an hour in which both sites discharge."""
    trial = PowerTrial(tmp_path, now_s=DEAR_S)
    trial.run(30 * 60)
    assert (trial.power.leases.battery_w > 1000).all()
    return trial


def charges_safely(trial: PowerTrial) -> bool:
    assert trial.plant.power is not None
    return bool(trial.plant.power.is_safe.all()) and not trial.power.leases.is_leased.any()


def test_each_file_is_read_once_for_both_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, read_trace = [], known.read_trace
    monkeypatch.setattr(known, "read_trace", lambda path, **how: read.append(path) or read_trace(path, **how))
    trial = PowerTrial(tmp_path)
    assert trial.power.planner.inputs.past_w.shape[1] > 0
    assert len(read) == 2, "the trace and the history"


def test_a_planned_discharge_reaches_the_plant_and_is_durable_before_it_is_sent(acting: PowerTrial) -> None:
    before = acting.stored_wh.copy()
    acting.run(HOUR_S)
    assert (before - acting.stored_wh > 1000).all()
    for out in acting.outputs:
        sent = sum(len(batch.site) for _, batch in out.setpoints)
        assert sent == sum(len(r.site) for r in out.durable if isinstance(r, PowerDecided))
    assert not [record for record in acting.records if isinstance(record, ChargedSafely)]


def test_shadow_and_advise_send_nothing_and_say_what_they_would(tmp_path: Path) -> None:
    for stage in ("shadow", "advise"):
        (tmp_path / stage).mkdir()
        trial = PowerTrial(tmp_path / stage, stage=stage)
        trial.run(HOUR_S)
        assert not any(out.setpoints or out.safes for out in trial.outputs)
        withheld = [record for record in trial.records if isinstance(record, PowerWithheld)]
        assert [len(record.site) for record in withheld] == [2] * len(withheld)
        assert len(withheld) >= 3


def test_the_reserve_is_kept_whatever_is_planned(tmp_path: Path) -> None:
    trial = PowerTrial(tmp_path, now_s=DEAR_S)
    assert trial.plant.power is not None
    trial.plant.power.state.stored_wh[:] = trial.reserve_wh + 3500.0
    least = np.inf
    for _ in range(3):
        trial.run(HOUR_S)
        least = min(least, float((trial.stored_wh - trial.reserve_wh).min()))
    assert 0.0 <= least < 3000.0, (
        "it was used, down to the reserve, three percent of doubt about the charge above it"
    )


def test_an_import_limit_is_no_way_around_the_reserve(acting: PowerTrial) -> None:
    power = acting.power
    held, limit_w = power.held(), np.full(2, 300.0)
    enough = power.planner.guarded(np.zeros(2), limit_w, power.telemetry, held)
    assert (enough.import_cap_w == limit_w).all()
    assert (enough.battery_w > 1000).all(), "the battery carries what is above the limit"
    power.telemetry.stored_wh[:] = held.floor_wh
    at_floor = power.planner.guarded(np.zeros(2), limit_w, power.telemetry, held)
    assert (at_floor.import_cap_w == held.import_cap_w).all()
    assert (at_floor.battery_w <= 0.0).all()


def test_only_an_acknowledged_program_releases_reserve(tmp_path: Path) -> None:
    trial = PowerTrial(tmp_path, program=True)
    full_wh = trial.power.held().floor_wh
    trial.run(HOUR_S)
    assert (trial.power.standing.program == 1).all()
    assert (trial.power.held().floor_wh < full_wh - 1000).all()
    trial.power.standing.program[:] = 7  # of another leader: nobody knows what it holds
    assert (trial.power.held().floor_wh == full_wh).all()


@pytest.mark.parametrize(
    "fault", [Fault.WRONG_UNIT, Fault.FROZEN_COUNTERS, Fault.OUTAGE, Fault.LOCAL_CONTROL]
)
def test_a_site_whose_telemetry_or_mains_is_not_right_charges_safely(
    acting: PowerTrial, fault: Fault
) -> None:
    assert acting.plant.power is not None
    acting.plant.power.inject(fault, np.array([0, 1]), acting.clock.now_us, heals=False)
    acting.run(2 * HOUR_S if fault is Fault.FROZEN_COUNTERS else 240)
    assert charges_safely(acting)


def test_stop_charges_safely_at_once_and_lasts(acting: PowerTrial) -> None:
    acting.feed(Stopped("ann", "smoke"))
    assert charges_safely(acting)
    acting.run(HOUR_S)
    assert charges_safely(acting)
    acting.feed(Cleared("ann", "out"))
    acting.run(HOUR_S)
    assert acting.power.leases.is_leased.all()


def test_without_word_of_the_controller_the_lease_ends(acting: PowerTrial) -> None:
    acting.agent.is_cut = True
    acting.run(240)
    assert acting.plant.power is not None
    assert acting.plant.power.is_safe.all()
    assert acting.power.wanted.silent.all()
    assert charges_safely(acting)


def test_without_plans_or_a_majority_nothing_goes_on(acting: PowerTrial) -> None:
    acting.run(2 * 900 + 120, plans=False)
    assert charges_safely(acting)
    acting.run(HOUR_S)
    assert acting.power.leases.is_leased.all()
    acting.feed(Led(False))
    acting.run(300)
    assert acting.plant.power is not None
    assert acting.plant.power.is_safe.all()


def test_an_agent_of_a_later_leader_is_left_to_it(acting: PowerTrial) -> None:
    acting.agent.core.book.adopt_epoch(9, "edge-2", acting.clock.now_us)
    acting.run(600)
    assert acting.power.wanted.bars().tolist() == [Why.LEADER] * 2
    assert not acting.outputs[-1].renewals


def test_a_radio_agent_that_claims_a_later_leader_alone_takes_no_site_from_this_one(
    acting: PowerTrial,
) -> None:
    liar = AgentDouble(acting.name, ("unknown",), (False,), epoch=2**63)
    acting.feed(Connected(liar.inventory()))
    assert acting.cores.radio.wanted.leads, "an election of the same two agents goes on"
    acting.run(600)
    assert acting.power.leases.is_leased.all()


def test_what_a_radio_agent_says_settles_site_power_only_where_the_leadership_is_lost(
    acting: PowerTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting.cores.radio.fleet.electorate.others = 1  # of power agents elsewhere
    settled, bars = [], acting.power.wanted.bars
    monkeypatch.setattr(acting.power.wanted, "bars", lambda: settled.append(1) or bars())
    radio = AgentDouble(acting.name, ("unknown",), (False,))
    acting.feed(Connected(radio.inventory()))
    acting.feed(Reported(radio.report(acting.clock.now_us, None)))
    acting.feed(Disconnected(acting.name))
    assert not settled
    radio.epoch = 9
    out = acting.feed(Connected(radio.inventory()))
    assert not acting.power.wanted.leads
    assert settled
    assert [batch.site.tolist() for _, batch in out.safes] == [[0, 1]]
    assert charges_safely(acting)
    radio.epoch = 1
    acting.feed(Connected(radio.inventory()))
    assert acting.power.wanted.leads
    acting.run(HOUR_S)
    assert acting.power.leases.is_leased.all(), "once no majority says so, the next plan is followed"


def test_power_agents_count_in_the_majority_that_ends_leadership(acting: PowerTrial) -> None:
    acting.agent.core.book.adopt_epoch(9, "edge-2", acting.clock.now_us)
    acting.run(60)
    assert acting.cores.radio.wanted.leads
    radio = AgentDouble(acting.name, ("unknown",), (False,), epoch=9)
    acting.feed(Connected(radio.inventory()))
    assert not acting.cores.radio.wanted.leads


def test_a_restarted_agent_and_a_restarted_controller_begin_with_safe_charging(acting: PowerTrial) -> None:
    acting.start_agent()
    acting.run(60)
    assert not acting.power.leases.is_leased.any()
    acting.run(HOUR_S)
    assert acting.power.leases.is_leased.all()
    revisions = acting.power.leases.revision.copy()
    acting.start_controller({}, 4)  # with a journal that was lost
    acting.connect()
    acting.run(60)
    assert charges_safely(acting), "a lease of nobody's is not left to run"
    acting.run(HOUR_S)
    assert (acting.power.leases.revision > revisions).all()


def test_records_come_back_from_the_journal_to_the_last_bit(acting: PowerTrial) -> None:
    acting.feed(Stopped("ann", "smoke"))
    for of in (PowerDecided, ChargedSafely):
        record = next(r for r in acting.records if isinstance(r, of))
        again = record_of(entry_of(record, 0, 0))
        assert repr(again) == repr(record)


def test_every_reason_has_words() -> None:
    assert all(words_of(int(code)) for code in (*Why, *GuardReason))
