"""The tick under attack: whatever is reported, at whatever time, and whatever a planner wants, service comes first."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from controller.config import ConstraintsConfig
from controller.constraints import compile_constraints
from controller.forecast.samples import Forecaster
from controller.tick import Controller, Observation
from hw.tables import Tables
from hw.world import SYMBOL
from policies.guards import Guards
from policies.policy import Allowance, Decision, Reason, View
from policies.profile import Profile
from traces import make_cells

N, S, T, N_LEVELS = 6, 3, 900, 7
CANDIDATES = {1: (0,), 2: (0, 1), 4: (3,), 3: (4,)}
GROUP = np.array([0, 0, 0, 1, 1, 2])
COVERAGE = [0, 5]
PROTECTED = 5
SPRING, AUTUMN = np.datetime64("2025-03-29T22:00:00", "s"), np.datetime64("2025-10-25T21:00:00", "s")


class Anything:
    """A planner that wants what the test says."""

    needs_forecast = True
    wanted: list[int]

    def plan(self, view: View) -> Decision:
        assert not (np.isinf(view.offered) | (view.offered < 0)).any()
        assert (view.level < N_LEVELS).all()
        assert view.served is None or (view.served <= view.level[:, None]).all()
        return Decision(np.array(self.wanted, np.uint8), np.full(N, Reason.DEEPEST, np.uint8))


loads = st.one_of(
    st.floats(0, 1, width=32),
    st.sampled_from([np.nan, np.inf, -np.inf, -0.5, 1.5, 1e30, 0.0, 1.0]),
)
levels = st.one_of(st.integers(0, 6), st.sampled_from([7, 99, 255]))
jumps = st.sampled_from([900, 900, 900, 0, 60, 3600, -3600, 86400, -86400])
ticks = st.lists(
    st.tuples(
        hnp.arrays(np.float32, (N, S), elements=loads),
        st.one_of(st.none(), st.lists(levels, min_size=N, max_size=N)),
        st.lists(levels, min_size=N, max_size=N),
        jumps,
    ),
    min_size=1,
    max_size=12,
)


@given(ticks=ticks, start=st.sampled_from([SPRING, AUTUMN]))
@settings(max_examples=80, deadline=None)
def test_service_comes_first_whatever_is_reported(
    ticks: Any, start: np.datetime64, small_network: Any, tables: Tables, profile: Profile
) -> None:
    network, planner = small_network(N, CANDIDATES), Anything()
    quick = profile.guards.model_copy(update={"dwell_s": 0, "least_awake_s": 0, "lockout_s": 0})
    cells = make_cells([f"c{i}" for i in range(N)], CANDIDATES)
    config = ConstraintsConfig(protected=(f"c{PROTECTED}",))
    controller = Controller(
        network,
        tables,
        planner,
        Guards(network, tables.asleep, quick),
        Forecaster(N, profile.forecast, sample_s=300, tick_s=T),
        tick_s=T,
        time_zone="Europe/Madrid",
        allowance=Allowance(0.001, 0.01),
        constraints=compile_constraints(config, cells, "Europe/Madrid", "by hand"),
    )
    now, commanded = start, np.full(N, SYMBOL, np.uint8)
    for carried, reported, wanted, jump in ticks:
        level = commanded if reported is None else np.array(reported, np.uint8)
        planner.wanted = wanted
        kept = carried.copy(), level.copy()
        served = np.repeat(level[:, None], S, axis=1)
        commands = controller.tick(Observation(carried, level, served), now)
        got = commands.level
        assert np.array_equal(carried, kept[0], equal_nan=True)
        assert (level == kept[1]).all()
        assert (got <= wanted).all()
        assert (got[np.array(wanted) <= SYMBOL] == np.array(wanted)[np.array(wanted) <= SYMBOL]).all()
        nothing = np.isnan(carried).all(1)
        absurd = ((carried < 0) | (carried > 1.01)).any(1)
        broken = nothing | absurd | (level >= len(tables.asleep))
        assert (got[np.isin(GROUP, GROUP[broken & on_air(level, tables)])] <= SYMBOL).all()
        assert not tables.asleep[got[COVERAGE]].any()
        assert got[PROTECTED] <= SYMBOL
        for cell in np.flatnonzero(tables.asleep[got]):
            assert not tables.asleep[got[list(CANDIDATES[cell])]].all()
        commanded, now = got, now + np.timedelta64(jump, "s")


def on_air(level: np.ndarray, tables: Tables) -> np.ndarray:
    """Cells that report for themselves; for one off air its group does. One at no level at all reports nothing."""
    exists = np.minimum(level, len(tables.asleep) - 1)
    return ~tables.asleep[exists] | (level != exists)
