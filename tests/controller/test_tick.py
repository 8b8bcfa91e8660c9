"""One tick: what it makes of missing, silent, absurd and saturated telemetry; nothing but its input counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from controller.forecast.samples import Forecaster
from controller.tick import Commands, Controller, Observation, split_groups
from hw.tables import Tables
from hw.telemetry import SimulatedPlant
from hw.world import SYMBOL
from policies.guards import Guards
from policies.network import Network
from policies.policy import Allowance, Decision, Planner, Reason, View
from policies.predictive import PredictivePlanner
from policies.profile import Profile

N, SPT, TICK_S = 4, 15, 900
CANDIDATES = {1: (0,)}  # coverage cell 0 and its capacity cell 1; cells 2 and 3 alone
RF8, OFF, DORMANT = 4, 5, 6
MONDAY = np.datetime64("2025-03-03T00:00:00", "s")


class Wish:
    """A planner that always wants the same and remembers what it was shown."""

    needs_forecast = True

    def __init__(self, *level: int) -> None:
        self.level = np.array(level, np.uint8)
        self.seen: list[View] = []

    def plan(self, view: View) -> Decision:
        self.seen.append(view)
        return Decision(self.level.copy(), np.full(len(self.level), Reason.DEEPEST, np.uint8))


class Site:
    """A controller of four cells, ticked with telemetry that the test makes up."""

    def __init__(
        self, planner: Planner, network: Network, tables: Tables, profile: Profile, zone: str = "UTC"
    ) -> None:
        self.forecaster = Forecaster(N, profile.forecast, sample_s=60, tick_s=TICK_S)
        self.controller = Controller(
            network,
            tables,
            planner,
            Guards(network, tables.asleep, profile.guards),
            self.forecaster,
            tick_s=TICK_S,
            time_zone=zone,
            allowance=Allowance(0.001, 0.01),
        )
        self.now, self.level = MONDAY, np.full(N, SYMBOL, np.uint8)

    def tick(self, carried: Any, level: Any = None) -> Commands:
        """One tick after the telemetry ``carried``, per cell or per cell and sample; None before any."""
        observation = None
        if carried is not None:
            carried = np.asarray(carried, np.float32)
            carried = np.repeat(carried[:, None], SPT, axis=1) if carried.ndim == 1 else carried
            reported = self.level if level is None else np.array(level, np.uint8)
            observation = Observation(carried.copy(), reported.copy())
        commands = self.controller.tick(observation, self.now)
        self.now, self.level = self.now + np.timedelta64(TICK_S, "s"), commands.level
        return commands


CALM = [0.2, 0.1, 0.2, 0.2]


@pytest.fixture
def network(small_network: Any) -> Network:
    found: Network = small_network(N, CANDIDATES)
    return found


@pytest.fixture
def resting(network: Network, tables: Tables, profile: Profile) -> Site:
    """A site that has been told to rest as deep as it may, and does."""
    site = Site(Wish(RF8, OFF, RF8, RF8), network, tables, profile)
    site.tick(None)
    assert site.level.tolist() == [SYMBOL] * 4, "awake before anything was measured"
    for _ in range(4):
        site.tick(CALM)
    assert site.level.tolist() == [RF8, OFF, RF8, RF8]
    return site


def lost(row: np.ndarray) -> None:
    row[:] = np.nan


def silent(row: np.ndarray) -> None:
    row[:] = 0


def silent_where_known(row: np.ndarray) -> None:
    row[:] = 0
    row[:9] = np.nan


def negative(row: np.ndarray) -> None:
    row[3] = -0.01


def impossible(row: np.ndarray) -> None:
    row[14] = 1.2


def infinite(row: np.ndarray) -> None:
    row[0] = np.inf


@pytest.mark.parametrize("broken", [lost, silent, silent_where_known, negative, impossible, infinite])
@pytest.mark.parametrize("cell", [0, 2])
def test_telemetry_that_is_not_to_be_believed_wakes_the_group(broken: Any, cell: int, resting: Site) -> None:
    carried = np.repeat(np.array([0.3, 0.0, 0.2, 0.2])[:, None], SPT, axis=1)
    broken(carried[cell])
    before = resting.forecaster.weight()[cell]
    commands = resting.tick(carried)
    awake = [0, 1] if cell == 0 else [2]
    others = [i for i in range(N) if i not in awake]
    assert (commands.level[awake] == SYMBOL).all()
    assert commands.level[others].tolist() == [[RF8, OFF, RF8, RF8][i] for i in others]
    assert set(commands.reason[awake].tolist()) <= {Reason.GUARD_TELEMETRY, Reason.GUARD_OVERLOAD}
    assert resting.forecaster.weight()[cell] == before, "nothing was learnt from it"
    recovered = resting.tick([0.3, 0.1, 0.2, 0.2])
    assert recovered.level.tolist() == [RF8, OFF, RF8, RF8]


def test_a_cell_that_is_nearly_idle_may_report_nothing(
    network: Network, tables: Tables, profile: Profile
) -> None:
    site = Site(Wish(RF8, RF8, RF8, RF8), network, tables, profile)
    site.tick(None)
    for _ in range(40):
        site.tick([0.2, 0.1, 0.003, 0.2])
    assert site.tick([0.2, 0.1, 0.0, 0.2]).level[2] == RF8


def test_a_capacity_cell_off_air_reports_nothing_and_that_is_no_fault(resting: Site) -> None:
    for _ in range(20):
        assert resting.tick([0.3, 0.0, 0.2, 0.2]).level[1] == OFF


@pytest.mark.parametrize(
    ("samples", "share", "wakes"), [(5, 1.0, True), (4, 1.0, False), (15, 0.985, True), (15, 0.97, False)]
)
def test_a_cell_at_its_limit_is_awake_in_the_next_tick(
    samples: int, share: float, wakes: bool, resting: Site, tables: Tables
) -> None:
    """Five of fifteen samples at 98 % of what the level carries: nobody knows what was offered."""
    carried = np.repeat(np.array([0.3, 0.0, 0.2, 0.2])[:, None], SPT, axis=1)
    carried[:, :samples][[0, 3]] = share * tables.capacity[0, RF8]
    commands = resting.tick(carried)
    assert commands.level.tolist() == ([SYMBOL, SYMBOL, RF8, SYMBOL] if wakes else [RF8, OFF, RF8, RF8])


def test_a_full_coverage_cell_keeps_its_group_awake(
    network: Network, tables: Tables, profile: Profile
) -> None:
    site = Site(Wish(SYMBOL, OFF, RF8, RF8), network, tables, profile)
    site.tick(None)
    assert site.tick([1.0, 0.1, 0.2, 0.2]).level.tolist() == [SYMBOL, SYMBOL, RF8, RF8]


@pytest.mark.parametrize("wait_h", [2, 5])
def test_a_new_group_does_not_leave_the_air_before_its_time(
    wait_h: int, network: Network, tables: Tables, profile: Profile
) -> None:
    """The whole controller on a nearly idle site; the telemetry of cell 1 begins an hour late."""
    options = profile.predictive.model_copy(
        update={"off_air_after_h": float(wait_h), "surge_probability": 0.0}
    )
    planner = PredictivePlanner(network, tables, options, samples_per_tick=SPT)
    site = Site(planner, network, tables, profile)
    path = np.full((N, 60 * 12), 0.004, np.float32)
    path[1, :60] = np.nan
    plant = SimulatedPlant(tables, network.groups, path, samples_per_tick=SPT)
    level = [site.tick(None).level]
    while len(level) < 4 * 12:
        level.append(site.tick(plant.step(site.level)).level)
    off = np.array([tables.asleep[lv] for lv in level])
    assert off[:, 1].argmax() == 4 * (wait_h + 1)
    assert not off[:, [0, 2, 3]].any()


def test_same_inputs_same_decisions(network: Network, tables: Tables, profile: Profile) -> None:
    rng = np.random.default_rng(9)
    carried = rng.lognormal(-2, 0.6, (60, N, SPT)).clip(0, 1)
    carried[rng.random(carried.shape) < 0.02] = np.nan

    def run() -> list[Commands]:
        planner = PredictivePlanner(network, tables, profile.predictive, samples_per_tick=SPT)
        site = Site(planner, network, tables, profile)
        return [site.tick(None)] + [site.tick(one) for one in carried]

    levels = set()
    for one, other in zip(run(), run(), strict=True):
        assert (one.level == other.level).all()
        assert (one.reason == other.reason).all()
        assert one.forecast is not None
        assert other.forecast is not None
        assert (one.forecast.log_median == other.forecast.log_median).all()
        assert (one.forecast.log_sd == other.forecast.log_sd).all()
        levels |= set(one.level.tolist())
    assert len(levels) > 2


def test_a_tick_leaves_its_input_as_it_was(resting: Site) -> None:
    carried, level = np.full((N, SPT), np.float32(0.1)), resting.level.copy()
    carried[2] = 0
    carried[3] = -1
    observation = Observation(carried.copy(), level.copy())
    resting.controller.tick(observation, resting.now)
    resting.controller.tick(None, resting.now)
    assert (observation.carried == carried).all()
    assert (observation.level == level).all()


def test_the_planner_sees_local_time_and_the_time_at_the_level(
    network: Network, tables: Tables, profile: Profile
) -> None:
    wish = Wish(RF8, RF8, RF8, SYMBOL)
    site = Site(wish, network, tables, profile, "Asia/Shanghai")
    site.tick(None)
    site.tick(CALM)
    site.tick(CALM)
    site.tick(CALM, level=[RF8, 0, RF8, SYMBOL])  # cell 1 went back to full service by itself
    site.tick(CALM)
    assert [view.local_hour for view in wish.seen] == [8, 8.25, 8.5, 8.75, 9]
    assert wish.seen[2].held_s.tolist() == [0, 0, 0, 1800]
    assert wish.seen[3].held_s.tolist() == [900, 0, 900, 2700]
    assert wish.seen[3].level.tolist() == [RF8, 0, RF8, SYMBOL]
    assert wish.seen[4].held_s.tolist() == [1800, 0, 1800, 3600]


@pytest.mark.parametrize(
    ("zone", "slot"), [("UTC", 95), ("Asia/Shanghai", 31), ("Asia/Kathmandu", 22), ("Europe/Madrid", 3)]
)
def test_a_tick_is_learnt_at_the_local_time_in_which_it_was_measured(
    zone: str, slot: int, network: Network, tables: Tables, profile: Profile
) -> None:
    """The quarter of an hour that ended at midnight UTC."""
    site = Site(Wish(1, 1, 1, 1), network, tables, profile, zone)
    site.tick(CALM)
    assert np.flatnonzero(site.forecaster.state.days[0]).tolist() == [slot]


def test_the_budget_of_changes_begins_anew_at_local_midnight(
    network: Network, tables: Tables, profile: Profile
) -> None:
    """Cell 3 wants to change all the time; in Shanghai the day of the first tick ends after 16 h."""
    guards = profile.guards.model_copy(update={"max_changes_per_cell_day": 6})
    wish = Wish(SYMBOL, SYMBOL, SYMBOL, SYMBOL)
    site = Site(wish, network, tables, profile.model_copy(update={"guards": guards}), "Asia/Shanghai")
    site.tick(None)
    deeper = []
    for tick in range(1, 80):
        wish.level[3] = RF8 if tick % 2 else SYMBOL
        if site.tick(CALM).level[3] == RF8:
            deeper.append(tick)
    assert deeper == [1, 3, 5, 65, 67, 69]


def test_a_cell_that_is_still_waking_up_is_not_taken_for_idle(
    network: Network, tables: Tables, profile: Profile
) -> None:
    """Until it is on air its traffic shows at its candidate, as before; afterwards each cell speaks for itself."""
    wish = Wish(SYMBOL, DORMANT, SYMBOL, SYMBOL)
    site = Site(wish, network, tables, profile)
    site.tick(None)
    for _ in range(8):
        site.tick([0.2, 0.1, 0.2, 0.2], level=[SYMBOL] * 4)
    site.level = wish.level
    wish.level = np.full(N, SYMBOL, np.uint8)
    site.tick([0.3, 0.0, 0.2, 0.2])  # asleep, and told to wake up
    late = int(tables.wake_samples[DORMANT])
    assert late == 3
    waking = np.repeat(np.array([0.2, 0.1, 0.2, 0.2])[:, None], SPT, axis=1)
    waking[0, :late], waking[1, :late] = 0.3, 0.0
    for carried in (waking, [0.2, 0.1, 0.2, 0.2]):
        site.tick(carried)
        np.testing.assert_allclose(wish.seen[-1].offered[:2].mean(1), [0.2, 0.1], atol=0.01)
    assert site.forecaster.weight()[:2] == pytest.approx([0.2, 0.1], abs=0.02)
    site.tick([0.0, 0.3, 0.2, 0.2])
    assert wish.seen[-1].offered[1, 0] == np.float32(0.3), "it is awake by now"


@pytest.mark.kernel
@given(
    carried=hnp.arrays(np.float32, (6, 3), elements=st.floats(0, 1, width=32)),
    off_until=hnp.arrays(np.int64, 6, elements=st.sampled_from([0, 0, 1, 3, 7])),
    weight=hnp.arrays(np.float64, 6, elements=st.floats(0.01, 2)),
    unknown=st.sampled_from([None, 0, 3, 5]),
)
def test_what_a_group_with_cells_off_air_carried_is_shared_out(
    carried: Any, off_until: Any, weight: Any, unknown: int | None, small_network: Any
) -> None:
    """In proportion to what was expected; groups on air and cells alone keep what they measured."""
    network = small_network(6, {1: (0,), 2: (0, 1), 4: (3,)})
    if unknown is not None:
        carried[unknown, 1] = np.nan
    offered = carried.copy()
    split_groups(
        network.groups, network.coupled, np.ones(1), np.arange(3) < off_until[:, None], weight, offered
    )
    for members in ([0, 1, 2], [3, 4], [5]):
        share = weight[members] / weight[members].sum()
        for t in range(3):
            kept = len(members) == 1 or (off_until[members] <= t).all()
            expected = carried[members, t] if kept else share * carried[members, t].sum()
            np.testing.assert_allclose(offered[members, t], expected, rtol=1e-5, atol=1e-9)


def test_an_outlook_gets_what_is_believed_at_the_time_it_was_measured(
    network: Network, tables: Tables, profile: Profile
) -> None:
    site = Site(Wish(SYMBOL, SYMBOL, SYMBOL, SYMBOL), network, tables, profile)
    told: list[tuple[str, np.ndarray]] = []

    class Told:
        def observe(self, offered: np.ndarray, begin: np.datetime64) -> None:
            told.append((f"sees {begin}"[-8:-3], offered.copy()))

        def course(self, now: np.datetime64) -> None:
            told.append((f"asked {now}"[-8:-3], np.zeros(0)))

    site.controller.outlook = Told()  # type: ignore[assignment]
    site.tick(None)
    site.tick([0.2, 0.1, 0.2, 0.2])
    site.tick([0.2, 0.1, -1.0, 0.0])
    assert [moment for moment, _ in told] == ["00:00", "00:00", "00:15", "00:15", "00:30"]
    assert np.isnan(told[3][1][2:]).all(), "absurd, and silent"
    assert told[3][1][:2, 0] == pytest.approx([0.2, 0.1])
