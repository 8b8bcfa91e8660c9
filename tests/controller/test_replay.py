"""A replay is a function of its input, cell by cell, and holds its ground where there is little to replay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numba
import numpy as np
import pytest

from controller.energy_price import EnergyPrices
from controller.replay import stage as staging
from controller.replay.figures import gain, service_figures
from controller.replay.planners import CAUSAL, POLICIES
from controller.replay.planning import Planned
from controller.replay.run import PolicyRun, score
from controller.worlds import EvaluatedWorld
from hw.plant import CHANGES, N_COLUMNS, OFFERED, UNSERVED
from hw.world import FULL, SYMBOL
from policies.policy import Reason
from traces import Trace
from traces.groups import independent_groups

Replay = Callable[..., PolicyRun]
CELLWISE = tuple(
    name for name in POLICIES if name != "oracle"
)  # the oracle spends budgets of the whole network
OFF, DORMANT = 5, 6


def bits(run: PolicyRun, cells: Any = slice(None)) -> list[bytes]:
    """Everything that is said about some cells of one replay without blocks."""
    assert run.series is not None
    parts = [run.outcome.table[cells]]
    parts += [
        series[cells]
        for name in ("level", "reason", "expected", "upper")
        for series in getattr(run.series, name)
    ]
    return [np.ascontiguousarray(part).tobytes() for part in parts]


def levels(run: PolicyRun) -> np.ndarray:
    """Level of each cell and tick. (n, T)"""
    assert run.series is not None
    return np.concatenate(run.series.level)


def asleep(run: PolicyRun, world: EvaluatedWorld) -> np.ndarray:
    return np.asarray(world.world.asleep[levels(run)])


@pytest.mark.parametrize("policy", POLICIES)
def test_two_runs_are_bit_identical(policy: str, multi_layer: Trace, replay: Replay) -> None:
    one = replay(policy, multi_layer)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    try:
        other = replay(policy, multi_layer)
    finally:
        numba.set_num_threads(1)
    assert bits(one) == bits(other)
    assert one.outcome.latency.tobytes() == other.outcome.latency.tobytes()
    assert one.bound == other.bound


def test_another_seed_is_another_draw(multi_layer: Trace, replay: Replay) -> None:
    one, other = replay("predictive", multi_layer), replay("predictive", multi_layer, seed=1)
    assert bits(one) != bits(other)
    assert one.outcome.energy == pytest.approx(other.outcome.energy, rel=0.05)


@pytest.mark.parametrize("policy", CELLWISE)
@pytest.mark.parametrize("name", ["single_layer", "multi_layer"])
def test_a_partition_replays_as_it_does_within_the_whole(
    name: str, policy: str, replay: Replay, request: pytest.FixtureRequest
) -> None:
    trace: Trace = request.getfixturevalue(name)
    whole = replay(policy, trace)
    group = independent_groups(trace.cells)
    assert group.max() >= 1
    for part in (np.flatnonzero(group == group.max()), np.flatnonzero(group != 1)):
        alone = replay(policy, trace.select_cells(part))
        assert bits(alone) == bits(whole, part)


def test_neither_does_a_partition_that_is_told_prices(multi_layer: Trace, replay: Replay) -> None:
    """A cell's price is held against what its own traffic has met, not against that of the network."""
    tick = np.arange(multi_layer.n_steps)
    price = np.stack([1 + 0.8 * np.sin(tick / 7 + kind) for kind in range(2)])
    kind = np.arange(multi_layer.n_cells, dtype=np.intp) % 2
    prices = EnergyPrices(multi_layer.start, 900, price, kind)
    whole = replay("predictive", multi_layer, energy_price=prices)
    group = independent_groups(multi_layer.cells)
    part = np.flatnonzero(group == group.max())
    alone = replay("predictive", multi_layer.select_cells(part), energy_price=prices.select(part))
    assert bits(alone) == bits(whole, part)
    assert bits(whole) != bits(replay("predictive", multi_layer))


@pytest.mark.parametrize("policy", CELLWISE)
def test_the_size_of_the_blocks_does_not_matter(
    policy: str, multi_layer: Trace, replay: Replay, make_stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replay(policy, multi_layer)
    monkeypatch.setattr(staging, "BLOCK_SAMPLES", 1)
    stage = make_stage(multi_layer)
    assert len(stage.blocks) == 3
    pieces = replay(policy, multi_layer)
    assert pieces.outcome.table.tobytes() == np.ascontiguousarray(whole.outcome.table[stage.order]).tobytes()
    assert (levels(pieces) == levels(whole)[stage.order]).all()
    assert pieces.outcome.latency == pytest.approx(whole.outcome.latency)


def test_neither_does_it_for_the_oracle(
    multi_layer: Trace, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replay("oracle", multi_layer)
    monkeypatch.setattr(staging, "BLOCK_SAMPLES", 1)
    pieces = replay("oracle", multi_layer)
    assert pieces.bound == pytest.approx(whole.bound, rel=1e-5)
    assert pieces.outcome.energy == pytest.approx(whole.outcome.energy, rel=1e-3)


@pytest.mark.parametrize("policy", POLICIES)
def test_coverage_cells_stay_on_air(
    policy: str, multi_layer: Trace, replay: Replay, world: EvaluatedWorld
) -> None:
    off = asleep(replay(policy, multi_layer), world)
    assert not off[~multi_layer.cells.is_capacity].any()
    assert off.any() == (policy not in ("none", "symbol"))


@pytest.mark.parametrize("name", ["single_layer", "multi_layer"])
def test_switching_everything_off_looks_terrible(
    name: str, make_stage: Any, replay: Replay, world: EvaluatedWorld, request: pytest.FixtureRequest
) -> None:
    trace: Trace = request.getfixturevalue(name)
    stage, none = make_stage(trace), replay("none", trace).outcome
    everybody = np.ones(trace.n_cells, np.bool_)
    for cells in (everybody, trace.cells.is_capacity):
        plan = np.where(cells[:, None], DORMANT, SYMBOL).astype(np.uint8).repeat(stage.clock.n_ticks, axis=1)
        outcome = score(stage, [Planned(plan)])
        figures = service_figures(outcome, world.evaluation.service, stage.clock.per_day)
        if cells is everybody:
            assert figures["unserved_share"] == pytest.approx(1, abs=1e-3)
            assert figures["below_target_share"] > 0.9
            assert figures["cells_over_limit_share"] == 1
            assert gain(outcome, none) < -0.9, "no traffic served, so nothing gained per joule"
        elif cells.any():
            assert figures["unserved_share"] > 100 * world.evaluation.service.unserved_share
            assert figures["cells_over_limit_share"] > 0.3
        assert figures["limits_held"] is not cells.any()


# --- small and odd networks ---


def daily(n: int, low: float, high: float, *, days: int = 2, seed: int = 0) -> np.ndarray:
    """Quarter-hourly loads with a quiet night around midnight UTC. (n, steps)"""
    rng = np.random.default_rng(seed)
    hour = np.arange(days * 96) / 4
    shape = low + (high - low) * (0.5 - 0.5 * np.cos(hour / 24 * 2 * np.pi))
    return np.asarray((shape * rng.lognormal(0, 0.1, (n, len(hour)))).clip(0, 1).astype(np.float32))


def test_one_cell_alone(small_trace: Any, replay: Replay) -> None:
    trace = small_trace(daily(1, 0.02, 0.4))
    spent = {name: replay(name, trace).outcome.energy for name in CELLWISE if name != "logged"}
    oracle = replay("oracle", trace)
    assert spent["none"] > spent["symbol"] > spent["predictive"] > oracle.bound
    assert oracle.outcome.energy >= oracle.bound


@pytest.mark.parametrize("policy", CAUSAL)
@pytest.mark.parametrize("risk_price", [0.01, 40.0])
def test_two_cells_that_cover_each_other_are_never_both_off(
    policy: str, risk_price: float, small_trace: Any, replay: Replay, world: EvaluatedWorld, quick: Any
) -> None:
    """Even where the traffic is worth next to nothing to the planner."""
    priced = quick.predictive.model_copy(update={"risk_price": risk_price})
    trace = small_trace(daily(2, 0.004, 0.3), {0: (1,), 1: (0,)})
    run = replay(policy, trace, profile=quick.model_copy(update={"predictive": priced}))
    assert not asleep(run, world).all(0).any()
    table = run.outcome.table.sum((0, 1))
    assert table[UNSERVED] < 0.05 * table[OFFERED]
    if policy == "predictive" and risk_price > 1:
        assert asleep(run, world).any(), "one of the two may rest"


@pytest.mark.parametrize("policy", CAUSAL)
def test_a_saturated_network_is_left_in_peace(
    policy: str, small_trace: Any, replay: Replay, world: EvaluatedWorld
) -> None:
    """Nobody may rest for longer than the one tick that shows it was wrong."""
    trace = small_trace(np.ones((4, 192)), {1: (0,), 2: (0, 1)})
    run = replay(policy, trace)
    deep = levels(run) > SYMBOL
    assert not (deep[:, 1:] & deep[:, :-1]).any()
    assert np.isfinite(run.outcome.table).all()
    if policy != "timer":
        assert not deep.any()
        assert run.outcome.table.sum((0, 1))[UNSERVED] == 0


def test_a_network_without_traffic_stays_awake(small_trace: Any, replay: Replay) -> None:
    """A cell of which nothing but zeros is known is more likely broken than idle."""
    run = replay("predictive", small_trace(np.zeros((3, 96)), {1: (0,)}))
    assert (levels(run) == SYMBOL).all()
    assert run.outcome.offered == 0
    assert run.outcome.energy > 0


# --- gaps ---


@pytest.mark.parametrize("policy", CAUSAL)
def test_unrecorded_steps_run_awake_and_are_not_scored(
    policy: str, small_trace: Any, replay: Replay, world: EvaluatedWorld
) -> None:
    load = daily(3, 0.01, 0.2)
    load[2, 96 + 8 : 96 + 16] = np.nan
    load[0, 130] = np.nan
    trace = small_trace(load, {1: (0,)})
    run = replay(policy, trace)
    n_levels = world.world.n_levels
    scored = run.outcome.table[:, :, N_COLUMNS : N_COLUMNS + n_levels].sum((1, 2))
    assert scored.tolist() == [15 * float(np.isfinite(row).sum()) for row in load]
    assert run.series is not None
    recorded = ~np.isnan(load)
    assert run.series.level_samples.sum(1) == pytest.approx(15 * recorded.sum(0))
    level = levels(run)
    after = np.flatnonzero(~recorded[2]) + 1
    assert (level[2, after] <= SYMBOL).all()
    assert (level[:2, 131] <= SYMBOL).all(), "the whole group wakes"
    reason = np.concatenate(run.series.reason)
    assert set(reason[2, after].tolist()) <= {
        Reason.GUARD_TELEMETRY,
        Reason.NO_FORECAST,
        Reason.OUTSIDE_WINDOW,
    }


def test_what_happens_in_unrecorded_steps_counts_for_nobody(small_trace: Any, make_stage: Any) -> None:
    """Two plans that differ only there score the same but for the changes of level."""
    load = daily(2, 0.05, 0.3)
    load[:, 40:60] = np.nan
    stage = make_stage(small_trace(load))
    plan = np.full((2, 192), SYMBOL, np.uint8)
    other = plan.copy()
    other[:, 41:59] = FULL
    one, two = score(stage, [Planned(plan)]), score(stage, [Planned(other)])
    assert two.table == pytest.approx(one.table, rel=1e-12)
    other[:, 40:60] = 4
    assert score(stage, [Planned(other)]).table == pytest.approx(one.table, rel=1e-12), (
        "levels that nobody saw"
    )


@pytest.mark.parametrize("policy", CAUSAL)
@pytest.mark.parametrize("start", [104, 120])
def test_a_missing_hour_makes_cells_more_awake(
    policy: str, start: int, small_trace: Any, replay: Replay
) -> None:
    """In the second night and in the morning after; compared tick by tick while nothing is known."""
    load = daily(3, 0.004, 0.15)
    with_gap = load.copy()
    with_gap[[0, 2], start : start + 4] = np.nan
    whole = levels(replay(policy, small_trace(load, {1: (0,)})))
    gap = levels(replay(policy, small_trace(with_gap, {1: (0,)})))
    hour = slice(start + 1, start + 5)
    assert (gap[:, hour] == SYMBOL).all()
    assert (whole[:, hour] >= gap[:, hour]).all()
    if start == 104 and policy != "timer":
        assert (whole[:, hour] > SYMBOL).any(), "there was something to lose"
    assert (whole[:, : start - 1] == gap[:, : start - 1]).all()


def test_hourly_steps_are_filled_with_a_path_of_their_mean(small_trace: Any, replay: Replay) -> None:
    hourly = small_trace(np.full((2, 48), 0.25), step_s=3600)
    quarter = small_trace(np.full((2, 192), 0.25))
    one, other = (replay("symbol", trace).outcome for trace in (hourly, quarter))
    assert one.offered == pytest.approx(0.25 * 2 * 2880, rel=1e-4)
    assert one.offered == pytest.approx(other.offered, rel=1e-4)


def test_a_trace_that_ends_within_a_tick_is_replayed_to_its_end(small_trace: Any, replay: Replay) -> None:
    trace = small_trace(np.full((2, 100), 0.1), step_s=300)
    for policy in CELLWISE[:2] + CAUSAL + ("oracle",):
        assert replay(policy, trace).outcome.samples == 2 * 500


def test_changes_are_counted_where_they_can_be_seen(small_trace: Any, make_stage: Any) -> None:
    stage = make_stage(small_trace(np.full((2, 96), 0.1)))
    plan = np.full((2, 96), SYMBOL, np.uint8)
    plan[0, 10:20], plan[0, 30:31], plan[1, 50:] = 4, FULL, 2
    assert score(stage, [Planned(plan)]).table[:, 0, CHANGES].tolist() == [2, 1]


def test_a_trace_without_a_whole_number_of_samples_is_refused(small_trace: Any, replay: Replay) -> None:
    trace = replace(small_trace(np.full((1, 96), 0.1)), step_s=70)
    with pytest.raises(ValueError, match="resample"):
        replay("none", trace)
